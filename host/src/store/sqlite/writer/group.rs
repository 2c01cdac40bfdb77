//! One group of writes, in one transaction.

use std::collections::HashSet;

use sqlx::SqliteConnection;

use super::plan::{Made, plan};
use super::standing::Standing;
use super::{Next, Write, statements, transaction};
use crate::store::{Result, StoreError};

/// Commits a group. If that fails, each write is tried by itself, so that one that cannot be written
/// does not take the others with it. Answers with the details that are still to be kept.
pub(super) async fn commit(connection: &mut SqliteConnection, group: Vec<Write>, next: &mut Next) -> Vec<Write> {
    match attempt(connection, &group, next).await {
        Ok(made) => {
            reply(group, made);
            Vec::new()
        }
        Err(error) => {
            tracing::debug!(writes = group.len(), "each write of a group is tried by itself: {error}");
            one_by_one(connection, group, next).await
        }
    }
}

async fn one_by_one(connection: &mut SqliteConnection, group: Vec<Write>, next: &mut Next) -> Vec<Write> {
    let mut unkept = Vec::new();
    // What was made from a detail is not to be durable before the detail is. So there are never more unkept details
    // than units under way have asked for.
    let mut held_up = HashSet::new();
    for write in group {
        if let Write::EndUnit { end, .. } = &write
            && held_up.contains(&end.unit.event)
        {
            refuse(write, &StoreError::Full("a detail of the event is to be written first".into()));
            continue;
        }
        let alone = [write];
        let done = attempt(connection, &alone, next).await;
        let [write] = alone;
        match (done, write) {
            (Ok(made), write) => reply(vec![write], made),
            (Err(error), Write::Keep { event, path, rows }) => {
                tracing::warn!("the detail {path} cannot be kept yet: {error}");
                held_up.insert(event);
                unkept.push(Write::Keep { event, path, rows });
            }
            (Err(error), write) => refuse(write, &error),
        }
    }
    unkept
}

fn reply(group: Vec<Write>, made: Vec<Made>) {
    for (write, made) in group.into_iter().zip(made) {
        // Nobody may be waiting any more; what was written stays.
        match (write, made) {
            (Write::Journal { reply, .. }, Made::Journalled(events)) => drop(reply.send(Ok(events))),
            (Write::EndUnit { reply, .. }, Made::Follows(follows)) => drop(reply.send(Ok(follows))),
            (Write::Settle { reply, .. }, Made::Unit(unit)) => drop(reply.send(Ok(unit))),
            _ => {}
        }
    }
}

fn refuse(write: Write, error: &StoreError) {
    match write {
        Write::Journal { reply, .. } => drop(reply.send(Err(error.clone()))),
        Write::EndUnit { reply, .. } => drop(reply.send(Err(error.clone()))),
        Write::Settle { reply, .. } => drop(reply.send(Err(error.clone()))),
        Write::Keep { .. } | Write::Alone(_) => {}
    }
}

async fn attempt(connection: &mut SqliteConnection, group: &[Write], next: &mut Next) -> Result<Vec<Made>> {
    let mut numbers = *next;
    transaction::begin(connection).await?;
    let done = write(connection, group, &mut numbers).await;
    let made = transaction::end(connection, done).await?;
    *next = numbers;
    Ok(made)
}

async fn write(connection: &mut SqliteConnection, group: &[Write], next: &mut Next) -> Result<Vec<Made>> {
    let standing = Standing::read(connection, group).await?;
    let (plan, made) = plan(group, standing, next)?;
    statements::write(connection, &plan).await?;
    Ok(made)
}
