//! The one writer. What was asked of it while it committed is its next group: one transaction, and in
//! it one statement for each table that the group touches.

mod group;
mod operate;
mod plan;
mod remove;
mod standing;
mod statements;
mod transaction;

use std::sync::Arc;

use sqlx::{Executor as _, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::event::Rows;
use crate::store::{Follows, Journalled, NewEvent, Nudged, Result, Settled, StoreError, Unit, UnitEnd};

/// The most writes of one group: it bounds how long a commit takes, and the variables of a statement.
const GROUP: usize = 256;
/// Groups between two checkpoints, with a pause after the first number and without one after the second.
const CHECKPOINT: (u32, u32) = (100, 2_000);

/// What is asked of the writer.
pub(super) enum Write {
    Keep { event: i64, path: String, rows: Arc<Rows> },
    Journal { source: String, cursor: Option<String>, events: Vec<NewEvent>, reply: Reply<Vec<Journalled>> },
    EndUnit { end: Box<UnitEnd>, reply: Reply<Follows> },
    Settle { settled: Box<Settled>, reply: Reply<Option<Unit>> },
    Alone(Alone),
}

/// What has a transaction of its own.
pub(super) enum Alone {
    Redeliver {
        id: i64,
        expires_ms: i64,
        why: String,
        reply: Reply<bool>,
    },
    CallAgain {
        id: i64,
        why: String,
        reply: Reply<bool>,
    },
    Drop {
        id: i64,
        why: String,
        reply: Reply<bool>,
    },
    Nudged {
        busy: Vec<i64>,
        reply: Reply<Vec<Nudged>>,
    },
    Remove {
        events: Vec<i64>,
        ended_before: i64,
        reply: Reply<(u64, u64)>,
    },
    Forget {
        before: i64,
        reply: Reply<u64>,
    },
    Close {
        reply: Reply<()>,
    },
    #[cfg(test)]
    Pages {
        most: u32,
        reply: Reply<()>,
    },
}

type Reply<T> = oneshot::Sender<Result<T>>;

/// The writer's end of the channel. Unbounded, because everybody but `keep` waits for the answer.
pub(super) struct Writer {
    queue: mpsc::UnboundedSender<Write>,
}

/// The numbers that the next rows get.
#[derive(Clone, Copy, Debug)]
struct Next {
    event: i64,
    unit: i64,
    delivery: i64,
}

impl Writer {
    /// Starts the writer. With a second connection the write-ahead log is copied back beside it, so
    /// that no commit waits for that.
    pub(super) async fn start(mut connection: SqliteConnection, checkpoints: Option<SqliteConnection>) -> Result<Self> {
        let next = standing::next(&mut connection).await?;
        let (queue, writes) = mpsc::unbounded_channel();
        let wanted = Arc::new(Notify::new());
        let checkpoints = checkpoints.map(|connection| tokio::spawn(copy_back(connection, wanted.clone())));
        tokio::spawn(async move {
            run(connection, writes, next, &wanted).await;
            if let Some(task) = checkpoints {
                task.abort();
            }
        });
        Ok(Self { queue })
    }

    pub(super) fn keep(&self, event: i64, path: String, rows: Arc<Rows>) {
        // A closed writer keeps nothing more; the detail is fetched again after the restart.
        self.queue.send(Write::Keep { event, path, rows }).ok();
    }

    pub(super) async fn journal(&self, source: String, cursor: Option<String>, events: Vec<NewEvent>) -> Result<Vec<Journalled>> {
        self.ask(|reply| Write::Journal { source, cursor, events, reply }).await
    }

    pub(super) async fn end_unit(&self, end: UnitEnd) -> Result<Follows> {
        self.ask(|reply| Write::EndUnit { end: Box::new(end), reply }).await
    }

    pub(super) async fn settle(&self, settled: Settled) -> Result<Option<Unit>> {
        self.ask(|reply| Write::Settle { settled: Box::new(settled), reply }).await
    }

    /// Puts a delivery that has ended back; false: it has not.
    pub(super) async fn redeliver(&self, id: i64, expires_ms: i64, why: String) -> Result<bool> {
        self.ask(|reply| Write::Alone(Alone::Redeliver { id, expires_ms, why, reply })).await
    }

    /// See [`crate::store::Store::call_again`]; false: it was called again already.
    pub(super) async fn call_again(&self, id: i64, why: String) -> Result<bool> {
        self.ask(|reply| Write::Alone(Alone::CallAgain { id, why, reply })).await
    }

    /// Drops a delivery that waits; false: it does not.
    pub(super) async fn drop_waiting(&self, id: i64, why: String) -> Result<bool> {
        self.ask(|reply| Write::Alone(Alone::Drop { id, why, reply })).await
    }

    /// See [`crate::store::Store::nudged`].
    pub(super) async fn nudged(&self, busy: Vec<i64>) -> Result<Vec<Nudged>> {
        self.ask(|reply| Write::Alone(Alone::Nudged { busy, reply })).await
    }

    /// Removes those of these events of which everything ended before that time.
    pub(super) async fn remove(&self, events: Vec<i64>, ended_before: i64) -> Result<(u64, u64)> {
        self.ask(|reply| Write::Alone(Alone::Remove { events, ended_before, reply })).await
    }

    /// Forgets some ids of removed events that were journalled before that time. Answers with their number.
    pub(super) async fn forget(&self, before: i64) -> Result<u64> {
        self.ask(|reply| Write::Alone(Alone::Forget { before, reply })).await
    }

    pub(super) async fn close(&self) {
        self.ask(|reply| Write::Alone(Alone::Close { reply })).await.ok();
    }

    /// The most pages that the file may have: a full disk.
    #[cfg(test)]
    pub(super) async fn pages(&self, most: u32) -> Result<()> {
        self.ask(|reply| Write::Alone(Alone::Pages { most, reply })).await
    }

    async fn ask<T>(&self, write: impl FnOnce(Reply<T>) -> Write) -> Result<T> {
        let closed = || StoreError::Failed("the store is closed".into());
        let (reply, answer) = oneshot::channel();
        self.queue.send(write(reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn run(mut connection: SqliteConnection, mut writes: mpsc::UnboundedReceiver<Write>, mut next: Next, checkpoint: &Notify) {
    let mut batch = Vec::with_capacity(GROUP);
    // Details that could not be written; first in the next group.
    let mut unkept = Vec::new();
    let mut groups = 0;
    while writes.recv_many(&mut batch, GROUP).await > 0 {
        let (mut group, mut alone) = (std::mem::take(&mut unkept), Vec::new());
        for write in batch.drain(..) {
            match write {
                Write::Alone(write) => alone.push(write),
                write => group.push(write),
            }
        }
        if !group.is_empty() {
            unkept = group::commit(&mut connection, group, &mut next).await;
        }
        for write in alone {
            if let Alone::Close { reply } = write {
                copy_all_back(&mut connection).await;
                reply.send(Ok(())).ok();
                return;
            }
            by_itself(&mut connection, write, &mut next).await;
        }
        groups += 1;
        if groups >= CHECKPOINT.1 || (groups >= CHECKPOINT.0 && writes.is_empty()) {
            checkpoint.notify_one();
            groups = 0;
        }
    }
}

async fn by_itself(connection: &mut SqliteConnection, write: Alone, next: &mut Next) {
    // Nobody may be waiting for an answer any more; what was written stays.
    match write {
        Alone::Redeliver { id, expires_ms, why, reply } => {
            reply.send(operate::redeliver(connection, id, expires_ms, &why).await).ok();
        }
        Alone::CallAgain { id, why, reply } => {
            reply.send(operate::call_again(connection, id, &why).await).ok();
        }
        Alone::Drop { id, why, reply } => {
            reply.send(operate::drop_waiting(connection, id, &why).await).ok();
        }
        Alone::Nudged { busy, reply } => {
            reply.send(operate::nudged(connection, &busy, next).await).ok();
        }
        Alone::Remove { events, ended_before, reply } => {
            reply.send(remove::remove(connection, &events, ended_before).await).ok();
        }
        Alone::Forget { before, reply } => {
            reply.send(remove::forget(connection, before).await).ok();
        }
        Alone::Close { reply } => {
            reply.send(Ok(())).ok();
        }
        #[cfg(test)]
        Alone::Pages { most, reply } => {
            let statement = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {most}"));
            reply.send(connection.execute(sqlx::raw_sql(statement)).await.map(drop).map_err(super::failed)).ok();
        }
    }
}

/// Copies the write-ahead log back when that is wanted. What cannot be copied now is copied the next time.
async fn copy_back(mut connection: SqliteConnection, wanted: Arc<Notify>) {
    loop {
        wanted.notified().await;
        if let Err(error) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").await {
            tracing::debug!("checkpoint: {error}");
        }
    }
}

/// Copies all of the write-ahead log back and empties it. What stays in it is read at the next start.
async fn copy_all_back(connection: &mut SqliteConnection) {
    if let Err(error) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await {
        tracing::debug!("checkpoint: {error}");
    }
}
