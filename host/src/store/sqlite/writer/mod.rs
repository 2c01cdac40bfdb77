//! The one writer. What was asked of it while it committed is its next group: one transaction, and in
//! it one statement for each table that the group touches.

mod group;
mod retain;

use std::sync::Arc;

use sqlx::{Executor as _, Row as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::{Mode, failed};
use crate::event::Rows;
use crate::store::{Delivery, Journalled, NewEvent, Result, Retention, Settled, StoreError, Unit, UnitEnd};

/// The most writes of one group: it bounds how long a commit takes, and the variables of a statement.
const GROUP: usize = 256;
/// After so many groups without a pause the log is copied back all the same.
const CHECKPOINT_AFTER: u32 = 2_000;

/// What is asked of the writer.
pub(super) enum Write {
    Keep { event: i64, path: String, rows: Arc<Rows> },
    Journal { source: String, cursor: Option<String>, events: Vec<NewEvent>, reply: Reply<Vec<Journalled>> },
    EndUnit { end: Box<UnitEnd>, reply: Reply<Vec<Delivery>> },
    Settle { settled: Box<Settled>, reply: Reply<Option<Unit>> },
    Operate { id: i64, again_until: Option<i64>, why: String, reply: Reply<()> },
    TakeNudges { reply: Reply<Vec<i64>> },
    Retain { retention: Retention, reply: Reply<(u64, u64)> },
    Close { reply: Reply<()> },
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
    pub(super) async fn start(mut connection: SqliteConnection, mode: Mode) -> Result<Self> {
        let next = Next {
            event: next(&mut connection, "SELECT coalesce(max(seq), 0) + 1 FROM events").await?,
            unit: next(&mut connection, "SELECT coalesce(max(id), 0) + 1 FROM units").await?,
            delivery: next(&mut connection, "SELECT coalesce(max(id), 0) + 1 FROM deliveries").await?,
        };
        let (queue, writes) = mpsc::unbounded_channel();
        tokio::spawn(run(connection, writes, next, mode));
        Ok(Self { queue })
    }

    pub(super) fn keep(&self, event: i64, path: String, rows: Arc<Rows>) {
        // A closed writer keeps nothing more; the detail is fetched again after the restart.
        self.queue.send(Write::Keep { event, path, rows }).ok();
    }

    pub(super) async fn journal(&self, source: String, cursor: Option<String>, events: Vec<NewEvent>) -> Result<Vec<Journalled>> {
        self.ask(|reply| Write::Journal { source, cursor, events, reply }).await
    }

    pub(super) async fn end_unit(&self, end: UnitEnd) -> Result<Vec<Delivery>> {
        self.ask(|reply| Write::EndUnit { end: Box::new(end), reply }).await
    }

    pub(super) async fn settle(&self, settled: Settled) -> Result<Option<Unit>> {
        self.ask(|reply| Write::Settle { settled: Box::new(settled), reply }).await
    }

    /// Puts a delivery back until `again_until`, or drops it.
    pub(super) async fn operate(&self, id: i64, again_until: Option<i64>, why: String) -> Result<()> {
        self.ask(|reply| Write::Operate { id, again_until, why, reply }).await
    }

    pub(super) async fn take_nudges(&self) -> Result<Vec<i64>> {
        self.ask(|reply| Write::TakeNudges { reply }).await
    }

    pub(super) async fn retain(&self, retention: Retention) -> Result<(u64, u64)> {
        self.ask(|reply| Write::Retain { retention, reply }).await
    }

    pub(super) async fn close(&self) {
        self.ask(|reply| Write::Close { reply }).await.ok();
    }

    async fn ask<T>(&self, write: impl FnOnce(Reply<T>) -> Write) -> Result<T> {
        let closed = || StoreError::Failed("the store is closed".into());
        let (reply, answer) = oneshot::channel();
        self.queue.send(write(reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn next(connection: &mut SqliteConnection, query: &'static str) -> Result<i64> {
    connection.fetch_one(query).await.and_then(|row| row.try_get(0)).map_err(failed)
}

async fn run(mut connection: SqliteConnection, mut writes: mpsc::UnboundedReceiver<Write>, mut next: Next, mode: Mode) {
    let mut batch = Vec::with_capacity(GROUP);
    let mut groups = 0;
    while writes.recv_many(&mut batch, GROUP).await > 0 {
        let (group, mut alone): (Vec<_>, Vec<_>) = batch.drain(..).partition(Write::goes_with_others);
        if !group.is_empty() {
            group::commit(&mut connection, group, &mut next).await;
        }
        for write in alone.drain(..) {
            match write {
                Write::Retain { retention, reply } => {
                    reply.send(retain::retain(&mut connection, &retention).await).ok();
                }
                Write::Close { reply } => {
                    checkpoint(&mut connection, "TRUNCATE").await;
                    reply.send(Ok(())).ok();
                    return;
                }
                Write::Operate { id, again_until, why, reply } => {
                    reply.send(group::operate(&mut connection, id, again_until, &why).await).ok();
                }
                Write::TakeNudges { reply } => {
                    reply.send(group::take_nudges(&mut connection).await).ok();
                }
                _ => {}
            }
        }
        groups += 1;
        if mode == Mode::Host && (groups >= CHECKPOINT_AFTER || (groups >= 100 && writes.is_empty())) {
            checkpoint(&mut connection, "PASSIVE").await;
            groups = 0;
        }
    }
    checkpoint(&mut connection, "PASSIVE").await;
}

/// Copies the write-ahead log back. That it cannot be done now is no loss: it is tried again.
async fn checkpoint(connection: &mut SqliteConnection, how: &str) {
    let statement = sqlx::AssertSqlSafe(format!("PRAGMA wal_checkpoint({how})"));
    if let Err(error) = connection.execute(sqlx::raw_sql(statement)).await {
        tracing::debug!("checkpoint: {error}");
    }
}

impl Write {
    fn goes_with_others(&self) -> bool {
        matches!(self, Self::Keep { .. } | Self::Journal { .. } | Self::EndUnit { .. } | Self::Settle { .. })
    }
}
