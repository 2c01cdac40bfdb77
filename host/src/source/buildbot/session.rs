//! Following a master: one connection after the other, each begun by subscribing, then catching up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Master;
use super::catchup::{Reading, read};
use super::cursor::Cursor;
use super::found::{Found, event_id};
use super::rest::RestError;
use super::websocket::{HEARTBEAT, Heard, NoSocket, Socket};
use super::workers::Who;
use crate::event::{Kind, paths};
use crate::source::{Arrived, Journal, ended, journal_or_wait, now, pause};

/// The master writes a row first and announces it then; what was read is held back for so long, to be heard.
const SETTLE: Duration = Duration::from_secs(2);
/// Heard events that wait for the first reading. What is too much is found by it.
const HELD: usize = 10_000;
/// Events in one transaction.
const BATCH: usize = 500;
/// The longest pause between attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a shutdown waits for answers under way: breaking them off can harm the master.
const GOODBYE: Duration = Duration::from_secs(10);

/// How a session ended.
enum End {
    /// The host shuts down.
    Shutdown,
    /// A round of polling is over.
    Polled,
    /// The connection was lost, or there was none.
    Lost {
        why: String,
        /// Whether everything up to then was journalled.
        caught_up: bool,
    },
}

impl From<RestError> for End {
    fn from(error: RestError) -> Self {
        Self::Lost { why: error.to_string(), caught_up: false }
    }
}

struct Session<'a> {
    master: Arc<Master>,
    journal: &'a dyn Journal,
    shutdown: watch::Receiver<bool>,
    /// At any time fit to be journalled: what is not in the journal yet is after it.
    cursor: Cursor,
    /// Found events older than this are not journalled.
    limit: i64,
    caught_up: bool,
    /// Events found by reading until then.
    found: usize,
}

impl Master {
    /// Follows the master until the shutdown, whatever restarts or is cut off meanwhile.
    pub async fn run(self: Arc<Self>, journal: Arc<dyn Journal>, mut shutdown: watch::Receiver<bool>) {
        let first = Duration::from_secs(1);
        let mut wait = first;
        let mut said_polling = false;
        let mut down = shutdown.clone();
        while !*shutdown.borrow() {
            let end = tokio::select! {
                biased;
                () = ended(&mut down) => End::Shutdown,
                begun = Session::begin(&self, journal.as_ref(), &shutdown) => match begun {
                    Ok((session, Some(socket))) => {
                        said_polling = false;
                        session.listen(socket).await
                    }
                    Ok((session, None)) => {
                        if !std::mem::replace(&mut said_polling, true) {
                            tracing::warn!(source = self.name, "no WebSocket at {}ws; polling every {:?}", self.settings.url, self.settings.poll_every);
                        }
                        session.poll().await
                    }
                    Err(end) => end,
                },
            };
            match end {
                End::Shutdown => break,
                End::Polled => wait = first,
                End::Lost { why, caught_up } => {
                    if caught_up {
                        wait = first;
                    }
                    tracing::warn!(source = self.name, "{why}; connecting again in {wait:?}");
                    if pause(wait, &mut shutdown).await {
                        break;
                    }
                    wait = (wait * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.rest.settle(GOODBYE).await;
    }
}

impl<'a> Session<'a> {
    /// Connects, subscribes, and finds out where to go on.
    async fn begin(master: &Arc<Master>, journal: &'a dyn Journal, shutdown: &watch::Receiver<bool>) -> Result<(Self, Option<Socket>), End> {
        let rest = &master.rest;
        let socket = match Socket::connect(rest).await {
            Ok(socket) => Some(socket),
            Err(NoSocket::NotOffered(why)) => {
                tracing::debug!(source = master.name, "{why}");
                None
            }
            Err(NoSocket::Failed(error)) => return Err(error.into()),
        };
        master.learn_builders().await?;
        let unstored = |error: crate::store::StoreError| End::Lost { why: error.to_string(), caught_up: false };
        let stored = journal.cursor(&master.name).await.map_err(unstored)?;
        let now = now();
        let horizon = now - i64::try_from(master.settings.catch_up_max.as_secs()).unwrap_or(i64::MAX / 2);
        let (cursor, limit) = match stored.as_deref().and_then(Cursor::parse) {
            None => {
                if stored.is_some() {
                    tracing::warn!(source = master.name, "the journal's cursor is not readable; beginning now");
                }
                let mut cursor = Cursor::at(rest, master.settings.catch_up_from, now).await?;
                cursor.workers.read(&rest.rows("workers").await?, now, Who::Before, 0);
                if master.settings.catch_up_from.is_none() {
                    // From here on nothing is lost, also if this very session is.
                    journal.journal(&master.name, Some(cursor.text()), Vec::new()).await.map_err(unstored)?;
                }
                (cursor, i64::MIN)
            }
            Some(mut cursor) => {
                cursor.workers.interrupted();
                let from = cursor.time.max(horizon);
                if cursor.replaced(rest).await? {
                    tracing::warn!(
                        source = master.name,
                        "the master's database was replaced: its ids began again. Events from {from} (seconds since 1970) on count as generation {}",
                        cursor.generation + 1
                    );
                    let generation = cursor.generation + 1;
                    cursor = Cursor { generation, ..Cursor::at(rest, Some(from), now).await? };
                } else if cursor.time < horizon {
                    tracing::warn!(
                        source = master.name,
                        "away since {} (seconds since 1970), longer than catch_up_max: what happened before {horizon} is not reported",
                        cursor.time
                    );
                    let away = cursor;
                    cursor = Cursor { generation: away.generation, workers: away.workers, ..Cursor::at(rest, Some(horizon), now).await? };
                    cursor.builds.open.extend(away.builds.open);
                    cursor.requests.open.extend(away.requests.open);
                    cursor.sets.open.extend(away.sets.open);
                }
                // What was being caught up is in time, however long that takes.
                let limit = cursor.catching_up.unwrap_or(horizon);
                (cursor, limit)
            }
        };
        let session = Self { master: master.clone(), journal, shutdown: shutdown.clone(), cursor, limit, caught_up: false, found: 0 };
        Ok((session, socket))
    }

    /// One round without WebSocket.
    async fn poll(mut self) -> End {
        loop {
            let reading = match read(&self.master.rest, &self.cursor, now()).await {
                Ok(reading) => reading,
                Err(error) => return error.into(),
            };
            let more = reading.more;
            if let Err(end) = self.take(reading, Vec::new(), Who::Host).await {
                return end;
            }
            if *self.shutdown.borrow() {
                return End::Shutdown;
            }
            if !more {
                break;
            }
        }
        if pause(self.master.settings.poll_every, &mut self.shutdown).await { End::Shutdown } else { End::Polled }
    }

    /// Hears and reads until the connection is lost.
    async fn listen(mut self, mut socket: Socket) -> End {
        let mut shutdown = self.shutdown.clone();
        let mut new_workers = Who::Host;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut poll_at = Instant::now();
        let mut reading = JoinSet::new();
        let mut read_and_asked: Option<(Reading, i64)> = None;
        // Until the first reading is done, what is heard waits for it: what comes before it has to go before it.
        let mut held: Option<Vec<Found>> = Some(Vec::new());
        loop {
            let idle = reading.is_empty() && read_and_asked.is_none();
            let done = tokio::select! {
                biased;
                () = ended(&mut shutdown) => {
                    let held = held.take().unwrap_or_default();
                    let end = self.commit_unread(held).await.err().unwrap_or(End::Shutdown);
                    socket.close().await;
                    return end;
                }
                heard = socket.heard() => match heard {
                    Heard::Event(key, message) => match (self.understand(&key, message).await, &mut held) {
                        (Some(found), Some(held)) => {
                            if held.len() == HELD {
                                // No reading tells of workers.
                                held.retain(|found| found.absence.is_some());
                            }
                            held.push(found);
                            Ok(())
                        }
                        (Some(found), None) => self.commit(vec![found]).await,
                        (None, _) => Ok(()),
                    },
                    Heard::Answer(number, _) => match read_and_asked.take_if(|(_, asked)| number == *asked) {
                        Some((reading, _)) if reading.more => {
                            poll_at = Instant::now();
                            self.take(reading, Vec::new(), new_workers).await
                        }
                        Some((reading, _)) => {
                            let taken = self.take(reading, held.take().unwrap_or_default(), new_workers).await;
                            new_workers = Who::Master;
                            poll_at = Instant::now() + self.master.settings.poll_every;
                            taken
                        }
                        None => Ok(()),
                    },
                    Heard::Lost(why) => {
                        let held = held.take().unwrap_or_default();
                        return self.commit_unread(held).await.err().unwrap_or(End::Lost { why, caught_up: self.caught_up });
                    }
                },
                Some(read) = reading.join_next() => match read {
                    // The answer to this ping comes after everything that belongs to what was read.
                    Ok(Ok(reading)) => socket.ping().await.map(|asked| read_and_asked = Some((reading, asked))).map_err(|why| self.lost(why)),
                    Ok(Err(error)) => Err(self.lost(RestError::to_string(&error))),
                    Err(error) => Err(self.lost(error.to_string())),
                },
                () = sleep_until(poll_at), if idle => {
                    let (master, cursor) = (self.master.clone(), self.cursor.clone());
                    reading.spawn(async move {
                        let reading = read(&master.rest, &cursor, now()).await;
                        if reading.as_ref().is_ok_and(|reading| !reading.more) {
                            tokio::time::sleep(SETTLE).await;
                        }
                        reading
                    });
                    Ok(())
                }
                _ = heartbeat.tick() => socket.ping().await.map(drop).map_err(|why| self.lost(why)),
            };
            if let Err(end) = done {
                let held = held.take().unwrap_or_default();
                return self.commit_unread(held).await.err().unwrap_or(end);
            }
        }
    }

    fn lost(&self, why: String) -> End {
        End::Lost { why, caught_up: self.caught_up }
    }

    /// What a WebSocket message says. None: nothing of interest, or the next reading will find it.
    async fn understand(&mut self, key: &[String], message: Value) -> Option<Found> {
        let [table, id, verb] = key else { return None };
        let id: i64 = id.parse().ok()?;
        let kind = match (table.as_str(), verb.as_str()) {
            ("builds", "new") => Kind::BuildStarted,
            ("builds", "finished") => Kind::BuildFinished,
            ("buildrequests", "new") => Kind::BuildrequestNew,
            ("buildrequests", "cancel") => Kind::BuildrequestCancelled,
            ("buildsets", "complete") => Kind::BuildsetComplete,
            ("workers", "missing") => return self.cursor.workers.heard_missing(id, message, now()),
            ("workers", "connected") => return self.cursor.workers.heard_connected(id, message, now()),
            _ => return None,
        };
        // `cancel` comes without a message in 4.x.
        let message = if message.is_object() {
            message
        } else {
            match self.master.rest.rows(&format!("{table}/{id}")).await {
                Ok(rows) => rows.into_iter().next()?,
                Err(error) => {
                    tracing::warn!(source = self.master.name, "{table}/{id}/{verb} was heard, but cannot be read: {error}; the next poll will find it");
                    return None;
                }
            }
        };
        Found::new(kind, message, false)
    }

    /// Journals what a reading found, together with what was heard meanwhile, and moves the cursor.
    async fn take(&mut self, reading: Reading, heard: Vec<Found>, new_workers: Who) -> Result<(), End> {
        let Reading { found, workers, mut cursor, more } = reading;
        cursor.catching_up = more.then_some(self.limit);
        let name = &self.master.name;
        let generation = cursor.generation;
        let have: HashSet<String> = heard.iter().map(|found| found.event_id(name, generation)).collect();
        let mut all: Vec<Found> = found.into_iter().filter(|found| found.at >= self.limit && !have.contains(&found.event_id(name, generation))).collect();
        std::mem::swap(&mut cursor.workers, &mut self.cursor.workers);
        if !more {
            let timeout = self.master.settings.worker_missing_after + if new_workers == Who::Master { self.master.settings.poll_every } else { Duration::ZERO };
            all.extend(cursor.workers.read(&workers, cursor.time, new_workers, i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX)));
        }
        all.extend(heard);
        all.sort_by_key(Found::order);
        let before = self.cursor.clone();
        self.cursor = cursor;
        let text = self.cursor.text();
        let new = match self.write(all, Some(text)).await {
            Ok(new) => new,
            Err(end) => {
                self.cursor = before;
                return Err(end);
            }
        };
        self.found += new;
        if more {
            tracing::info!(source = self.master.name, "catching up with the master: {} events so far", self.found);
        } else if !std::mem::replace(&mut self.caught_up, true) {
            tracing::info!(source = self.master.name, "caught up with the master: {} events", self.found);
        } else if new > 0 {
            tracing::info!(source = self.master.name, "{new} events were found by polling");
        }
        Ok(())
    }

    /// Journals what was heard. The cursor moves only for workers, whose absences it holds.
    async fn commit(&mut self, heard: Vec<Found>) -> Result<(), End> {
        if heard.is_empty() {
            return Ok(());
        }
        let cursor = heard.iter().any(|found| found.absence.is_some()).then(|| self.cursor.text());
        self.write(heard, cursor).await.map(drop)
    }

    /// Journals what was heard and still waited for a reading that never came. The next reading finds it again, after what comes
    /// before it (a build's request); only what masters say of workers is told by no reading.
    async fn commit_unread(&mut self, held: Vec<Found>) -> Result<(), End> {
        self.commit(held.into_iter().filter(|found| found.absence.is_some()).collect()).await
    }

    /// Writes events, in order, each after the one that has to come before it.
    async fn write(&mut self, found: Vec<Found>, cursor: Option<String>) -> Result<usize, End> {
        let all = self.with_beginnings(found).await?;
        let mut events = Vec::with_capacity(all.len());
        for found in all {
            events.push(self.arrived(found).await);
        }
        let mut new = 0;
        loop {
            let rest = events.split_off(events.len().min(BATCH));
            let cursor = if rest.is_empty() { cursor.clone() } else { None };
            match journal_or_wait(self.journal, &self.master.name, cursor, events, &mut self.shutdown).await {
                Some(more) => new += more,
                None => return Err(End::Shutdown),
            }
            if rest.is_empty() {
                return Ok(new);
            }
            events = rest;
        }
    }

    /// Adds the start of builds of which only the end is known, and the submission of requests: from another
    /// master's build the end may be heard and the start not. Not of what began before the first start.
    async fn with_beginnings(&mut self, found: Vec<Found>) -> Result<Vec<Found>, End> {
        let (name, generation) = (self.master.name.clone(), self.cursor.generation);
        let id = |found: &Found, kind: Kind| event_id(kind, found.id, None, &name, generation);
        let mut have: HashSet<String> = found.iter().map(|found| id(found, found.kind)).collect();
        let begun = |found: &Found| match found.kind {
            Kind::BuildFinished => found.id > self.cursor.builds.first,
            _ => found.id > self.cursor.requests.first,
        };
        let horizon = now() - i64::try_from(self.master.settings.catch_up_max.as_secs()).unwrap_or(i64::MAX / 2);
        let made: Vec<Option<Found>> = found
            .iter()
            .map(|found| {
                let before = id(found, found.before()?);
                let made = found.made_before().filter(|made| begun(found) && made.at >= horizon.max(self.limit) && !have.contains(&before))?;
                Some(made)
            })
            .collect();
        let ask: Vec<String> = made.iter().flatten().map(|made| id(made, made.kind)).collect();
        if ask.is_empty() {
            return Ok(found);
        }
        let known = loop {
            match self.journal.known(ask.clone()).await {
                Ok(known) => break known,
                Err(error) => tracing::error!(source = self.master.name, %error, "cannot read the journal; trying again"),
            }
            if pause(Duration::from_secs(2), &mut self.shutdown).await {
                return Err(End::Shutdown);
            }
        };
        have.extend(known);
        let mut all = Vec::with_capacity(found.len());
        for (found, made) in found.into_iter().zip(made) {
            all.extend(made.filter(|made| !have.contains(&id(made, made.kind))));
            all.push(found);
        }
        Ok(all)
    }

    /// The event, with its builder: filters ask for nothing else.
    async fn arrived(&self, found: Found) -> Arrived {
        let mut details = Vec::new();
        if let Some(id) = found.message["builderid"].as_i64()
            && let Ok(builder) = self.master.builder(id).await
        {
            details.push((paths::builder(id), vec![builder]));
        }
        (found.into_event(&self.master.name, self.cursor.generation), details)
    }
}
