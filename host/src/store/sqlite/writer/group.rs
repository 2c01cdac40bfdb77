//! One group of writes, in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::{Connection as _, Executor as _, QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::super::failed;
use super::super::rows::text;
use super::{Next, Write};
use crate::event::Event;
use crate::store::{
    Delivery, End, Job, Journalled, NewDelivery, Result, Settle, Settled, StoreError, Unit, UnitEnd, now_ms,
};

/// Rows of one statement: SQLite takes 32,766 variables, and the widest row has 19.
const ROWS: usize = 1_000;

/// What a group comes to, table by table.
#[derive(Default)]
struct Plan {
    cursors: HashMap<String, String>,
    events: Vec<(i64, Arc<Event>)>,
    details: Vec<(i64, String, String)>,
    new_units: Vec<Unit>,
    ended_units: Vec<UnitEnd>,
    state: HashMap<(String, String), Option<String>>,
    deliveries: Vec<Row>,
    settled: Vec<Settled>,
}

/// A delivery's row.
struct Row {
    id: i64,
    event: i64,
    unit: i64,
    new: NewDelivery,
    state: &'static str,
    why: Option<String>,
    ended_ms: Option<i64>,
}

/// Commits a group. If that fails, each write is tried by itself, so that one that cannot be written
/// does not take the others with it.
pub(super) async fn commit(connection: &mut SqliteConnection, group: Vec<Write>, next: &mut Next) {
    let group: Vec<Write> = match attempt(connection, &group, next).await {
        Ok(answers) => return reply(group, answers),
        Err(error) if group.len() == 1 => return refuse(group, &error),
        Err(_) => group,
    };
    for write in group {
        let alone = vec![write];
        match attempt(connection, &alone, next).await {
            Ok(answers) => reply(alone, answers),
            Err(error) => refuse(alone, &error),
        }
    }
}

fn reply(group: Vec<Write>, answers: Vec<Made>) {
    for (write, made) in group.into_iter().zip(answers) {
        // Nobody may be waiting any more; what was written stays.
        match (write, made) {
            (Write::Journal { reply, .. }, Made::Journalled(events)) => drop(reply.send(Ok(events))),
            (Write::EndUnit { reply, .. }, Made::Deliveries(deliveries)) => drop(reply.send(Ok(deliveries))),
            (Write::Settle { reply, .. }, Made::Unit(unit)) => drop(reply.send(Ok(unit))),
            _ => {}
        }
    }
}

fn refuse(group: Vec<Write>, error: &StoreError) {
    for write in group {
        match write {
            Write::Journal { reply, .. } => drop(reply.send(Err(error.clone()))),
            Write::EndUnit { reply, .. } => drop(reply.send(Err(error.clone()))),
            Write::Settle { reply, .. } => drop(reply.send(Err(error.clone()))),
            Write::Keep { path, .. } => tracing::warn!("the detail {path} is not kept: {error}"),
            _ => {}
        }
    }
}

/// What one write made.
enum Made {
    Nothing,
    Journalled(Vec<Journalled>),
    Deliveries(Vec<Delivery>),
    Unit(Option<Unit>),
}

async fn attempt(connection: &mut SqliteConnection, group: &[Write], next: &mut Next) -> Result<Vec<Made>> {
    let mut numbers = *next;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let known = known(&mut transaction, group).await?;
    let tags = tags(&mut transaction, group).await?;
    let (plan, made) = plan(group, known, &tags, &mut numbers)?;
    write(&mut transaction, &plan).await?;
    transaction.commit().await.map_err(failed)?;
    *next = numbers;
    Ok(made)
}

/// Which events of the group the journal has already.
async fn known(connection: &mut SqliteConnection, group: &[Write]) -> Result<HashSet<String>> {
    let ids: Vec<&str> = group
        .iter()
        .flat_map(|write| match write {
            Write::Journal { events, .. } => events.as_slice(),
            _ => &[],
        })
        .map(|new| new.event.id.as_str())
        .collect();
    let mut known = HashSet::new();
    for ids in ids.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM events WHERE id IN (");
        let mut list = query.separated(", ");
        ids.iter().for_each(|id| {
            list.push_bind(*id);
        });
        query.push(")");
        for row in connection.fetch_all(query.build()).await.map_err(failed)? {
            known.insert(row.try_get(0).map_err(failed)?);
        }
    }
    Ok(known)
}

/// Where the answers of the group's tagged deliveries belong: delivery, event, entry, tag.
async fn tags(connection: &mut SqliteConnection, group: &[Write]) -> Result<HashMap<i64, (i64, String, String)>> {
    let ids = group.iter().filter_map(|write| match write {
        Write::Settle { settled, .. } if settled.answer.is_some() => Some(settled.delivery),
        _ => None,
    });
    let ids: Vec<i64> = ids.collect();
    let mut tags = HashMap::new();
    for ids in ids.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT id, event, entry, tag FROM deliveries WHERE tag IS NOT NULL AND id IN (");
        let mut list = query.separated(", ");
        ids.iter().for_each(|id| {
            list.push_bind(*id);
        });
        query.push(")");
        for row in connection.fetch_all(query.build()).await.map_err(failed)? {
            let (id, event): (i64, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
            tags.insert(id, (event, row.try_get(2).map_err(failed)?, row.try_get(3).map_err(failed)?));
        }
    }
    Ok(tags)
}

fn plan(group: &[Write], mut known: HashSet<String>, tags: &HashMap<i64, (i64, String, String)>, next: &mut Next) -> Result<(Plan, Vec<Made>)> {
    let mut plan = Plan::default();
    let mut made = Vec::with_capacity(group.len());
    let now = now_ms();
    for write in group {
        made.push(match write {
            Write::Keep { event, path, rows } => {
                plan.details.push((*event, path.clone(), text(rows.as_ref())?));
                Made::Nothing
            }
            Write::Journal { source, cursor, events, .. } => {
                if let Some(cursor) = cursor {
                    plan.cursors.insert(source.clone(), cursor.clone());
                }
                let mut journalled = Vec::new();
                for new in events.iter().filter(|new| known.insert(new.event.id.clone())) {
                    let seq = take(&mut next.event);
                    let event = Arc::new(new.event.clone());
                    for (path, rows) in &new.details {
                        plan.details.push((seq, path.clone(), text(rows)?));
                    }
                    let units: Vec<Unit> = new
                        .units
                        .iter()
                        .map(|unit| Unit {
                            id: take(&mut next.unit),
                            event: seq,
                            entry: unit.entry.clone(),
                            order: unit.order.clone(),
                            job: Job::Report,
                            attempts: 0,
                            due_ms: now,
                        })
                        .collect();
                    plan.new_units.extend(units.iter().cloned());
                    plan.events.push((seq, event.clone()));
                    journalled.push(Journalled { seq, event, units });
                }
                Made::Journalled(journalled)
            }
            Write::EndUnit { end, .. } => {
                for (key, value) in &end.state {
                    plan.state.insert((end.unit.entry.clone(), key.clone()), value.clone());
                }
                let mut deliveries = Vec::new();
                for new in &end.sends {
                    let id = take(&mut next.delivery);
                    let row = Row { id, event: end.unit.event, unit: end.unit.id, new: new.clone(), state: "waiting", why: None, ended_ms: None };
                    plan.deliveries.push(row);
                    deliveries.push(Delivery { id, event: end.unit.event, attempts: 0, due_ms: now, new: new.clone() });
                }
                plan.ended_units.push(end.as_ref().clone());
                Made::Deliveries(deliveries)
            }
            Write::Settle { settled, .. } => {
                let unit = settled.answer.as_ref().and_then(|answer| {
                    let (event, entry, tag) = tags.get(&settled.delivery)?;
                    Some(Unit {
                        id: take(&mut next.unit),
                        event: *event,
                        entry: entry.clone(),
                        order: format!("answered/{}", settled.delivery),
                        job: Job::Answered { tag: tag.clone(), answer: answer.clone() },
                        attempts: 0,
                        due_ms: now,
                    })
                });
                plan.new_units.extend(unit.clone());
                for split in &settled.split {
                    let new = NewDelivery { payload: split.payload.clone(), title: split.title.clone(), ..split.of.clone() };
                    let state = if split.dead.is_some() { "dead" } else { "delivered" };
                    let row = Row { id: take(&mut next.delivery), event: split.event, unit: 0, new, state, why: split.dead.clone(), ended_ms: Some(now) };
                    plan.deliveries.push(row);
                }
                plan.settled.push(settled.as_ref().clone());
                Made::Unit(unit)
            }
            _ => Made::Nothing,
        });
    }
    Ok((plan, made))
}

fn take(next: &mut i64) -> i64 {
    *next += 1;
    *next - 1
}

async fn write(connection: &mut SqliteConnection, plan: &Plan) -> Result<()> {
    let now = now_ms();
    for (source, cursor) in &plan.cursors {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO cursors (source, cursor) VALUES (");
        query.push_bind(source).push(", ").push_bind(cursor).push(")");
        run(connection, query).await?;
    }
    for rows in plan.events.chunks(ROWS) {
        let bodies = rows.iter().map(|(_, event)| text(event.as_ref())).collect::<Result<Vec<_>>>()?;
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO events (seq, id, journalled_ms, body) ");
        query.push_values(rows.iter().zip(bodies), |mut row, ((seq, event), body)| {
            row.push_bind(*seq).push_bind(event.id.clone()).push_bind(now).push_bind(body);
        });
        run(connection, query).await?;
    }
    for rows in plan.details.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO details (event, path, rows) ");
        query.push_values(rows, |mut row, (event, path, rows)| {
            row.push_bind(*event).push_bind(path).push_bind(rows);
        });
        run(connection, query).await?;
    }
    for rows in plan.new_units.chunks(ROWS) {
        let jobs = rows.iter().map(|unit| text(&unit.job)).collect::<Result<Vec<_>>>()?;
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO units (id, event, entry, ordering, job, state, attempts, due_ms) ");
        query.push_values(rows.iter().zip(jobs), |mut row, (unit, job)| {
            row.push_bind(unit.id).push_bind(unit.event).push_bind(&unit.entry).push_bind(&unit.order);
            row.push_bind(job).push("'waiting'").push("0").push_bind(unit.due_ms);
        });
        run(connection, query).await?;
    }
    for rows in plan.ended_units.chunks(ROWS) {
        end_units(connection, rows, now).await?;
    }
    for ((entry, key), value) in &plan.state {
        let mut query = match value {
            Some(value) => {
                let mut query = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO state (entry, key, value) VALUES (");
                query.push_bind(entry).push(", ").push_bind(key).push(", ").push_bind(value);
                query
            }
            None => {
                let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM state WHERE (entry, key) = (");
                query.push_bind(entry).push(", ").push_bind(key);
                query
            }
        };
        query.push(")");
        run(connection, query).await?;
    }
    for rows in plan.deliveries.chunks(ROWS) {
        insert_deliveries(connection, rows, now).await?;
    }
    for rows in plan.settled.chunks(ROWS) {
        settle(connection, rows, now).await?;
    }
    Ok(())
}

async fn end_units(connection: &mut SqliteConnection, ends: &[UnitEnd], now: i64) -> Result<()> {
    let logs = ends.iter().map(|end| if end.log.is_empty() { Ok(None) } else { text(&end.log).map(Some) }).collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE units SET state = v.column2, why = v.column3, log = v.column4, due_ms = coalesce(v.column5, due_ms), \
         ended_ms = v.column6, attempts = attempts + 1 FROM (",
    );
    query.push_values(ends.iter().zip(logs), |mut row, (end, log)| {
        let (state, why, due_ms) = match &end.end {
            End::Sent => ("sent", None, None),
            End::Skipped(why) => ("skipped", Some(why), None),
            End::Failed(why) => ("failed", Some(why), None),
            End::Again { due_ms, why } => ("waiting", Some(why), Some(*due_ms)),
        };
        let ended = (state != "waiting").then_some(now);
        row.push_bind(end.unit.id).push_bind(state).push_bind(why).push_bind(log).push_bind(due_ms).push_bind(ended);
    });
    query.push(") AS v WHERE units.id = v.column1 AND units.state = 'waiting'");
    run(connection, query).await
}

async fn insert_deliveries(connection: &mut SqliteConnection, rows: &[Row], now: i64) -> Result<()> {
    let contents = rows.iter().map(|row| Ok((text(row.new.payload.as_ref())?, text(&row.new.rules)?))).collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO deliveries (id, uid, event, unit, entry, endpoint, destination, lane, supersede, tag, title, state, why, \
         attempts, queued_ms, due_ms, expires_ms, ended_ms, payload, rules) ",
    );
    query.push_values(rows.iter().zip(contents), |mut out, (row, (payload, rules))| {
        let new = &row.new;
        out.push_bind(row.id).push_bind(&new.uid).push_bind(row.event).push_bind(row.unit).push_bind(&new.entry);
        out.push_bind(&new.endpoint).push_bind(&new.destination).push_bind(&new.lane).push_bind(&new.supersede);
        out.push_bind(&new.tag).push_bind(&new.title).push_bind(row.state).push_bind(&row.why).push("0");
        out.push_bind(now).push_bind(now).push_bind(new.expires_ms).push_bind(row.ended_ms).push_bind(payload).push_bind(rules);
    });
    run(connection, query).await
}

async fn settle(connection: &mut SqliteConnection, settled: &[Settled], now: i64) -> Result<()> {
    let payloads = settled
        .iter()
        .map(|one| match &one.settle {
            Settle::Retry { payload: Some(payload), .. } => text(payload.as_ref()).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE deliveries SET state = v.column2, why = v.column3, due_ms = coalesce(v.column4, due_ms), ended_ms = v.column5, \
         payload = coalesce(v.column6, payload), attempts = attempts + v.column7 FROM (",
    );
    query.push_values(settled.iter().zip(payloads), |mut row, (one, payload)| {
        let (state, why, due_ms) = match &one.settle {
            Settle::Delivered => ("delivered", None, None),
            Settle::Superseded(by) => ("superseded", Some(format!("superseded by delivery {by}")), None),
            Settle::Dead(why) => ("dead", Some(why.clone()), None),
            Settle::Retry { due_ms, why, .. } => ("waiting", Some(why.clone()), Some(*due_ms)),
        };
        let ended = (state != "waiting").then_some(now);
        row.push_bind(one.delivery).push_bind(state).push_bind(why).push_bind(due_ms).push_bind(ended);
        row.push_bind(payload).push_bind(i64::from(one.attempt.is_some()));
    });
    query.push(") AS v WHERE deliveries.id = v.column1 AND deliveries.state = 'waiting'");
    run(connection, query).await?;
    let attempts: Vec<_> = settled.iter().filter_map(|one| Some((one.delivery, one.attempt.as_ref()?))).collect();
    if attempts.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO attempts (delivery, at_ms, took_ms, status, answer) ");
    query.push_values(attempts, |mut row, (delivery, line)| {
        row.push_bind(delivery).push_bind(line.at_ms).push_bind(line.took_ms).push_bind(line.status).push_bind(&line.text);
    });
    run(connection, query).await
}

async fn run(connection: &mut SqliteConnection, mut query: QueryBuilder<Sqlite>) -> Result<()> {
    connection.execute(query.build()).await.map(drop).map_err(failed)
}

/// Puts a delivery back, or drops it, and leaves a note for a host that runs beside.
pub(super) async fn operate(connection: &mut SqliteConnection, id: i64, again_until: Option<i64>, why: &str) -> Result<()> {
    let now = now_ms();
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let mut query = match again_until {
        Some(expires) => {
            let mut query = QueryBuilder::<Sqlite>::new(
                // Insisted on, it is not replaced by what is newer.
                "UPDATE deliveries SET state = 'waiting', ended_ms = NULL, attempts = 0, supersede = NULL, due_ms = ",
            );
            query.push_bind(now).push(", expires_ms = ").push_bind(expires).push(", why = ").push_bind(why);
            query.push(" WHERE state <> 'waiting' AND id = ").push_bind(id);
            query
        }
        None => {
            let mut query = QueryBuilder::<Sqlite>::new("UPDATE deliveries SET state = 'dead', ended_ms = ");
            query.push_bind(now).push(", why = ").push_bind(why).push(" WHERE state = 'waiting' AND id = ").push_bind(id);
            query
        }
    };
    transaction.execute(query.build()).await.map_err(failed)?;
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO nudges (delivery) VALUES (");
    query.push_bind(id).push(")");
    transaction.execute(query.build()).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Takes the notes that operators left.
pub(super) async fn take_nudges(connection: &mut SqliteConnection) -> Result<Vec<i64>> {
    let rows = connection.fetch_all("DELETE FROM nudges RETURNING delivery").await.map_err(failed)?;
    rows.iter().map(|row| row.try_get(0).map_err(failed)).collect()
}
