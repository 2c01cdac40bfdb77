//! A registered connection: joins, says what is to be said, and hears what is said.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use irc::proto::Message;
use irc::proto::message::Tag;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::{Answer, FailedKind, IrcMessage};
use super::hearing::Hearing;
use super::line::{self, Came, command};
use super::register::{Lines, Registered};
use super::rooms::{Rooms, fold};
use super::sending::{Job, Next, Sending};

/// Lines that may go at once.
const BURST: f64 = 5.0;
/// How often what is wanted and not there is tried again: channels, the nick.
const AGAIN: Duration = Duration::from_secs(60);
/// How long NickServ is waited for before channels are joined: some are for those who are logged in.
const NICKSERV: Duration = Duration::from_secs(4);
/// How long a line may take to be written.
const WRITE: Duration = Duration::from_secs(30);
/// Why a connection is over.
pub(super) enum Ended {
    /// The host wants it.
    Stopped,
    /// In words.
    Lost(String),
}

/// A channel that the settings or a delivery named.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub name: String,
    pub key: Option<String>,
    /// Whether the host is to be in it; false: it was told to leave.
    pub joined: bool,
    /// Whether the settings name it.
    pub own: bool,
}

/// What a connection is to do.
pub(super) struct Wishes<'a> {
    pub nick: &'a str,
    /// NickServ as it is addressed, and the password for it; none: it is not to be asked.
    pub identify: Option<(&'a str, String)>,
    /// Channels by folded name. What is joined and left by deliveries changes it.
    pub channels: &'a mut BTreeMap<String, Place>,
    pub jobs: &'a mut mpsc::Receiver<Job>,
    pub heard: mpsc::Sender<Value>,
    /// Called when a channel is joined later than the others: what waited for it can be sent.
    pub rejoined: &'a (dyn Fn() + Send + Sync),
    pub stop: watch::Receiver<bool>,
}

pub(super) struct Session {
    lines: Lines,
    own: mpsc::UnboundedReceiver<Message>,
    pub me: String,
    capabilities: BTreeSet<String>,
    /// `user@host` as the server shows it to others, once it is known.
    mask: Option<String>,
    rooms: Rooms,
    /// Channels in which people's signs have changed: their names are to be asked for.
    changed: BTreeSet<String>,
    tokens: f64,
    filled: Instant,
    rate: f64,
    number: u64,
    sending: Option<Sending>,
    /// Batches that answer a label.
    batches: HashMap<String, String>,
    hearing: Hearing,
}

impl Session {
    pub fn new(registered: Registered, line_rate: f64) -> Self {
        let Registered { lines, own, me, capabilities, .. } = registered;
        let accounts = capabilities.contains("account-tag");
        Self {
            lines,
            own,
            me,
            capabilities,
            mask: None,
            rooms: Rooms::default(),
            changed: BTreeSet::new(),
            tokens: BURST,
            filled: Instant::now(),
            rate: line_rate,
            number: 0,
            sending: None,
            batches: HashMap::new(),
            hearing: Hearing::new(accounts),
        }
    }

    /// Works until the connection ends. `up` is called when channels have been joined.
    pub async fn run(mut self, wishes: Wishes<'_>, up: impl FnOnce(&str)) -> Ended {
        let ended = match self.work(wishes, up).await {
            Ok(()) => Ended::Stopped,
            Err(why) => Ended::Lost(why),
        };
        let why = match &ended {
            Ended::Stopped => "the host ends",
            Ended::Lost(why) => why,
        };
        if let Some(sending) = self.sending.take() {
            sending.broken(why);
        }
        if matches!(ended, Ended::Stopped) {
            let bye = async {
                self.lines.send(command("QUIT", &["reporter-host ends"])).await.ok();
                self.lines.close().await.ok();
            };
            tokio::time::timeout(Duration::from_secs(2), bye).await.ok();
        }
        ended
    }

    async fn work(&mut self, wishes: Wishes<'_>, up: impl FnOnce(&str)) -> Result<(), String> {
        let Wishes { nick, identify, channels, jobs, heard, rejoined, mut stop } = wishes;
        let mut up = Some(up);
        // Channels are joined when NickServ has answered, or does not.
        let mut join_at = Some(Instant::now() + if identify.is_some() { NICKSERV } else { Duration::ZERO });
        if let Some((nickserv, password)) = &identify {
            // Under another nick it has to be said whose password it is.
            let of = if fold(&self.me) == fold(nick) { String::new() } else { format!("{nick} ") };
            self.write(command("PRIVMSG", &[nickserv, &format!("IDENTIFY {of}{password}")])).await?;
        }
        let mut joined = None;
        let mut again = tokio::time::interval_at(Instant::now() + AGAIN, AGAIN);
        loop {
            let pause = self.pause();
            let deadline = self.sending.as_ref().map(Sending::deadline);
            tokio::select! {
                biased;
                () = super::stopped(&mut stop) => return Ok(()),
                came = self.lines.next() => {
                    let came = match came {
                        Some(Ok(message)) => Came::of(&message),
                        Some(Err(error)) => return Err(format!("the connection is lost: {error}")),
                        None => return Err("the server closed the connection".into()),
                    };
                    if came.command == "ERROR" {
                        return Err(format!("the server says: {}", came.last()));
                    }
                    let of_services = |(name, _): &(&str, String)| name.split('@').next().is_some_and(|name| name.eq_ignore_ascii_case(&came.from.0));
                    let answered = came.command == "NOTICE" && identify.as_ref().is_some_and(of_services);
                    if join_at.is_some() && (answered || came.numeric() == Some(900)) {
                        join_at = Some(Instant::now());
                    }
                    if came.command == "PONG" && joined.as_deref() == Some(came.last()) && let Some(up) = up.take() {
                        up(&self.me);
                        let update = json!({"kind": "connected", "me": self.me});
                        heard.send(update).await.ok();
                    }
                    let had_nick = self.me == nick;
                    self.take(&came, &heard);
                    if let Some((nickserv, password)) = identify.as_ref().filter(|_| !had_nick && self.me == nick) {
                        // Services know people by their nick: whoever takes another one is a stranger.
                        self.write(command("PRIVMSG", &[nickserv, &format!("IDENTIFY {password}")])).await?;
                    }
                    if up.is_none() && came.command == "JOIN" && fold(&came.from.0) == fold(&self.me) {
                        rejoined();
                    }
                }
                Some(message) = self.own.recv() => self.write(message).await?,
                () = sleep_until(join_at) => {
                    join_at = None;
                    let wanted: Vec<_> = channels.values().filter(|place| place.joined).collect();
                    self.join(&wanted).await?;
                    let token = self.token();
                    self.write(command("PING", &[&token])).await?;
                    joined = Some(token);
                }
                Some(job) = jobs.recv(), if self.sending.is_none() && up.is_none() => {
                    // Whoever waited for it has given up, and will come again.
                    if !job.answer.is_closed() {
                        self.begin(job, channels);
                    }
                }
                () = tokio::time::sleep_until(pause.unwrap_or_else(Instant::now)), if (self.sending.is_some() || !self.changed.is_empty()) && pause.is_some() => {}
                () = sleep_until(deadline) => return Err("the server does not answer any more".into()),
                _ = again.tick() => {
                    if self.me != nick {
                        self.write(command("NICK", &[nick])).await?;
                    }
                    let missing: Vec<_> = channels.values().filter(|place| joined.is_some() && place.joined && !self.rooms.is_in(&place.name)).collect();
                    self.join(&missing).await?;
                }
            }
            self.advance(channels).await?;
        }
    }

    async fn join(&mut self, channels: &[&Place]) -> Result<(), String> {
        for line in line::joins(channels.iter().map(|place| (place.name.as_str(), place.key.as_deref()))) {
            self.write(line).await?;
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), String> {
        self.refill();
        self.tokens -= 1.0;
        match tokio::time::timeout(WRITE, self.lines.send(message)).await {
            Ok(sent) => sent.map_err(|error| format!("the connection is lost: {error}")),
            Err(_) => Err("the server takes nothing any more".into()),
        }
    }

    fn refill(&mut self) {
        let now = Instant::now();
        let seconds = now.duration_since(self.filled).as_secs_f64();
        self.tokens = if self.rate > 0.0 { (self.tokens + seconds / self.rate).min(BURST) } else { BURST };
        self.filled = now;
    }

    /// When the next line may go; none: now.
    fn pause(&mut self) -> Option<Instant> {
        self.refill();
        (self.tokens < 1.0).then(|| Instant::now() + Duration::from_secs_f64((1.0 - self.tokens) * self.rate))
    }

    fn token(&mut self) -> String {
        self.number += 1;
        format!("rh{}", self.number)
    }

    fn begin(&mut self, mut job: Job, channels: &mut BTreeMap<String, Place>) {
        if let IrcMessage::Say { target, .. } = &job.message
            && channels.get(&fold(target)).is_some_and(|place| !place.joined)
            && !self.rooms.is_in(target)
        {
            let why = format!("it is not in {target}, which it was told to leave or could not join, and is not to try until it is told to join");
            job.answer.send(Answer::failed(FailedKind::Never, why)).ok();
            return;
        }
        let pieces = match &mut job.message {
            IrcMessage::Say { target, verb, text } => line::pieces(*verb, target, text, self.own_bytes()),
            IrcMessage::Membership { channel, key, joined } => {
                let new = || Place { name: channel.clone(), key: None, joined: *joined, own: false };
                let place = channels.entry(fold(channel)).or_insert_with(new);
                // A key that is known is not forgotten because somebody does not say it.
                *key = key.take().or_else(|| place.key.clone());
                place.key.clone_from(key);
                place.joined = *joined;
                Vec::new()
            }
        };
        let labeled = ["message-tags", "labeled-response", "echo-message"].iter().all(|name| self.capabilities.contains(*name));
        self.sending = Some(Sending::new(job, pieces, labeled));
    }

    /// Bytes that the server puts in front of what others get of us.
    fn own_bytes(&self) -> usize {
        // Without a word from the server: as much as servers allow.
        self.me.len() + 1 + self.mask.as_ref().map_or(10 + 1 + 63, String::len)
    }

    /// Writes what can be written, and answers what is done.
    async fn advance(&mut self, channels: &mut BTreeMap<String, Place>) -> Result<(), String> {
        loop {
            if let Some(sending) = self.sending.take_if(|sending| sending.is_over()) {
                // Whoever wanted it is told, and may try again; what the settings name is tried by itself.
                if let Some(channel) = sending.refused_channel() {
                    channels.entry(fold(channel)).and_modify(|place| place.joined = place.own);
                }
                sending.finish();
                return Ok(());
            }
            if self.pause().is_some() {
                return Ok(());
            }
            if let Some(channel) = self.changed.pop_first() {
                self.write(command("NAMES", &[&channel])).await?;
                continue;
            }
            let number = &mut self.number;
            let mut token = || {
                *number += 1;
                format!("rh{number}")
            };
            let Some(next) = self.sending.as_mut().map(|sending| sending.next(&mut token)) else { return Ok(()) };
            match next {
                Next::Wait => return Ok(()),
                Next::Say(verb, target, text, label) => {
                    let mut message = line::said(verb, &target, &text);
                    message.tags = label.map(|label| vec![Tag("label".into(), Some(label))]);
                    self.write(message).await?;
                }
                Next::Member(name, key, true) => self.join(&[&Place { name, key, joined: true, own: false }]).await?,
                Next::Member(channel, _, false) => self.write(command("PART", &[&channel])).await?,
                Next::Fence(token) => self.write(command("PING", &[&token])).await?,
            }
        }
    }

    /// Takes a line, which is no ERROR.
    fn take(&mut self, came: &Came, heard: &mpsc::Sender<Value>) {
        self.answered(came);
        let mine = fold(&came.from.0) == fold(&self.me);
        match (came.command.as_str(), came.numeric()) {
            ("PRIVMSG" | "NOTICE", _) if !mine => {
                if let Some(update) = self.hearing.said(came, &self.me, &self.rooms) {
                    // A full queue is somebody's flood: what does not fit is not heard.
                    if heard.try_send(update).is_err() {
                        tracing::warn!(me = self.me, "too much is said at once; some of it is not heard");
                    }
                }
            }
            ("PRIVMSG" | "NOTICE", _) => self.mask = mask(came),
            ("JOIN", _) if mine => {
                self.mask = mask(came).or_else(|| self.mask.take());
                self.rooms.enter(came.param(0));
            }
            ("JOIN", _) => self.rooms.joined(came.param(0), &came.from.0),
            ("PART", _) if mine => self.rooms.leave(came.param(0)),
            ("PART", _) => self.rooms.left(came.param(0), &came.from.0),
            ("KICK", _) if fold(came.param(1)) == fold(&self.me) => {
                tracing::warn!(channel = came.param(0), by = came.from.0, "kicked: {}", came.last());
                self.rooms.leave(came.param(0));
            }
            ("KICK", _) => self.rooms.left(came.param(0), came.param(1)),
            ("QUIT", _) => self.rooms.quit(&came.from.0),
            ("NICK", _) => {
                self.rooms.renamed(&came.from.0, came.param(0));
                if mine {
                    came.param(0).clone_into(&mut self.me);
                }
            }
            // Whose sign it is, and which others they keep, differs by server: the list of names says it.
            ("MODE", _) if self.rooms.is_in(came.param(0)) && self.rooms.is_of_rank(came.param(1)) => {
                self.changed.insert(came.param(0).to_owned());
            }
            (_, Some(5)) => came.params.iter().for_each(|word| self.rooms.supports(word)),
            (_, Some(353)) => self.rooms.names(came.param(2), came.last()),
            (_, Some(366)) => self.rooms.named(came.param(1)),
            (_, Some(396)) => self.mask = None,
            (_, Some(471 | 473..=477)) => tracing::warn!(channel = came.param(1), "cannot be joined: {}", came.last()),
            _ => {}
        }
    }

    /// Looks whether a line answers what is being sent.
    fn answered(&mut self, came: &Came) {
        if came.command == "BATCH" {
            let name = came.param(0);
            if let (Some(name), Some(label)) = (name.strip_prefix('+'), came.tag("label")) {
                self.batches.insert(name.to_owned(), label.to_owned());
                return;
            }
            if let Some(label) = name.strip_prefix('-').and_then(|name| self.batches.remove(name))
                && let Some(sending) = &mut self.sending
            {
                sending.labeled(&label, None);
            }
            return;
        }
        let Some(sending) = &mut self.sending else { return };
        let refusal = came.numeric().filter(|numeric| (400..600).contains(numeric)).map(|numeric| (numeric, came.last()));
        let batch = came.tag("batch").and_then(|name| self.batches.get(name));
        match (came.tag("label"), batch) {
            (Some(label), _) => sending.labeled(label, refusal),
            (None, Some(label)) if refusal.is_some() => sending.labeled(label, refusal),
            _ => {}
        }
        if let Some((numeric, text)) = refusal {
            sending.unlabeled(came.param(1), numeric, text);
        }
        if came.command == "PONG" {
            sending.fenced(came.last());
        }
    }
}

fn mask(came: &Came) -> Option<String> {
    let (_, user, host) = &came.from;
    (!user.is_empty() && !host.is_empty()).then(|| format!("{user}@{host}"))
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
