//! A group's statements: one for each table and kind of change.

use sqlx::{Executor as _, QueryBuilder, Sqlite, SqliteConnection};

use super::super::failed;
use super::super::rows::text;
use super::plan::{Change, Plan, Row, UnitChange};
use crate::store::{Result, Unit};
use crate::transport::{Mail, Payload};

/// Rows of one statement: SQLite takes 32,766 variables, and the widest row has 20.
pub(super) const ROWS: usize = 1_000;

/// Writes a group.
pub(super) async fn write(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<()> {
    cursors(connection, plan).await?;
    events(connection, plan).await?;
    for rows in plan.details.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO details (event, path, rows) ");
        query.push_values(rows, |mut row, (event, path, rows)| {
            row.push_bind(*event).push_bind(*path).push_bind(rows);
        });
        run(connection, query).await?;
    }
    for units in plan.new_units.chunks(ROWS) {
        insert_units(connection, units).await?;
    }
    for units in chunks(&plan.units) {
        change_units(connection, &units, plan.now).await?;
    }
    state(connection, plan).await?;
    for rows in plan.new_deliveries.chunks(ROWS) {
        insert_deliveries(connection, rows, plan.now).await?;
    }
    for changes in chunks(&plan.deliveries) {
        change_deliveries(connection, &changes, plan.now).await?;
    }
    for lines in plan.attempts.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO attempts (delivery, at_ms, took_ms, status, answer) ");
        query.push_values(lines, |mut row, (delivery, line)| {
            row.push_bind(*delivery).push_bind(line.at_ms).push_bind(line.took_ms).push_bind(line.status).push_bind(&line.text);
        });
        run(connection, query).await?;
    }
    for told in plan.told.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM nudges WHERE delivery IN (");
        let mut list = query.separated(", ");
        told.iter().for_each(|id| {
            list.push_bind(*id);
        });
        query.push(")");
        run(connection, query).await?;
    }
    Ok(())
}

fn chunks<T>(all: &std::collections::BTreeMap<i64, T>) -> Vec<Vec<(i64, &T)>> {
    let all: Vec<(i64, &T)> = all.iter().map(|(id, change)| (*id, change)).collect();
    all.chunks(ROWS).map(<[_]>::to_vec).collect()
}

async fn run(connection: &mut SqliteConnection, mut query: QueryBuilder<Sqlite>) -> Result<()> {
    connection.execute(query.build()).await.map(drop).map_err(failed)
}

async fn cursors(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<()> {
    let cursors: Vec<_> = plan.cursors.iter().collect();
    for cursors in cursors.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO cursors (source, cursor) ");
        query.push_values(cursors, |mut row, (source, cursor)| {
            row.push_bind(**source).push_bind(**cursor);
        });
        run(connection, query).await?;
    }
    Ok(())
}

async fn events(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<()> {
    for rows in plan.events.chunks(ROWS) {
        let bodies = rows.iter().map(|(_, event)| text(event.as_ref())).collect::<Result<Vec<_>>>()?;
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO events (seq, id, journalled_ms, body) ");
        query.push_values(rows.iter().zip(bodies), |mut row, ((seq, event), body)| {
            row.push_bind(*seq).push_bind(&event.id).push_bind(plan.now).push_bind(body);
        });
        run(connection, query).await?;
    }
    Ok(())
}

async fn state(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<()> {
    let (kept, gone): (Vec<_>, Vec<_>) = plan.state.iter().partition(|(_, value)| value.is_some());
    for rows in kept.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO state (entry, key, value) ");
        query.push_values(rows, |mut row, ((entry, key), value)| {
            row.push_bind(*entry).push_bind(*key).push_bind(**value);
        });
        run(connection, query).await?;
    }
    for rows in gone.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM state WHERE (entry, key) IN (");
        query.push_values(rows, |mut row, ((entry, key), _)| {
            row.push_bind(*entry).push_bind(*key);
        });
        query.push(")");
        run(connection, query).await?;
    }
    Ok(())
}

pub(super) async fn insert_units(connection: &mut SqliteConnection, units: &[Unit]) -> Result<()> {
    let jobs = units.iter().map(|unit| text(&unit.job)).collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO units (id, event, entry, ordering, job, state, made_ms, attempts, failed, waited, due_ms) ");
    query.push_values(units.iter().zip(jobs), |mut row, (unit, job)| {
        row.push_bind(unit.id).push_bind(unit.event).push_bind(&unit.entry).push_bind(&unit.order);
        row.push_bind(job).push("'waiting'").push_bind(unit.made_ms).push("0").push("0").push("0").push_bind(unit.due_ms);
    });
    run(connection, query).await
}

async fn change_units(connection: &mut SqliteConnection, units: &[(i64, &UnitChange<'_>)], now: i64) -> Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE units SET state = v.column2, why = v.column3, log = v.column4, due_ms = coalesce(v.column5, due_ms), \
         ended_ms = v.column6, attempts = attempts + v.column7, failed = failed + v.column8, waited = waited + v.column9 FROM (",
    );
    query.push_values(units, |mut row, (id, unit)| {
        row.push_bind(*id).push_bind(unit.state).push_bind(unit.why).push_bind(&unit.log).push_bind(unit.due_ms);
        row.push_bind(unit.ended.then_some(now)).push_bind(unit.attempts).push_bind(unit.failed).push_bind(unit.waited);
    });
    query.push(") AS v WHERE units.id = v.column1");
    run(connection, query).await
}

async fn insert_deliveries(connection: &mut SqliteConnection, rows: &[Row], now: i64) -> Result<()> {
    let contents = rows.iter().map(|row| Ok((content(row)?, text(&row.new.rules)?))).collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO deliveries (id, uid, event, unit, entry, endpoint, destination, lane, supersede, tag, title, state, why, \
         attempts, throttled, queued_ms, due_ms, expires_ms, ended_ms, payload, rules, part_of) ",
    );
    query.push_values(rows.iter().zip(contents), |mut out, (row, (payload, rules))| {
        let new = &row.new;
        out.push_bind(row.id).push_bind(&new.uid).push_bind(row.event).push_bind(row.unit).push_bind(&new.entry);
        out.push_bind(&new.endpoint).push_bind(&new.destination).push_bind(&new.lane).push_bind(&new.supersede);
        out.push_bind(&new.tag).push_bind(&new.title).push_bind(row.state).push_bind(&row.why).push("0").push("0");
        out.push_bind(now).push_bind(now).push_bind(new.expires_ms).push_bind(row.ended_ms).push_bind(payload);
        out.push_bind(rules).push_bind(row.part_of);
    });
    run(connection, query).await
}

/// Of a part only for whom it is: the delivery of which it is a part has the mail ([`super::super::rows::DELIVERY`]).
fn content(row: &Row) -> Result<String> {
    match (row.new.payload.as_ref(), row.part_of) {
        (Payload::Smtp(Mail { only: Some(only), .. }), Some(_)) => text(only),
        (payload, _) => text(&row.content.then_some(payload)),
    }
}

async fn change_deliveries(connection: &mut SqliteConnection, changes: &[(i64, &Change<'_>)], now: i64) -> Result<()> {
    let payloads = changes.iter().map(|(_, change)| change.payload.map(text).transpose()).collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE deliveries SET state = v.column2, why = v.column3, due_ms = coalesce(v.column4, due_ms), ended_ms = v.column5, \
         payload = coalesce(v.column6, payload), attempts = attempts + v.column7, throttled = throttled + v.column8 FROM (",
    );
    query.push_values(changes.iter().zip(payloads), |mut row, ((id, change), payload)| {
        row.push_bind(*id).push_bind(change.state).push_bind(&change.why).push_bind(change.due_ms);
        row.push_bind(change.ended.then_some(now)).push_bind(payload).push_bind(change.attempts).push_bind(change.throttled);
    });
    query.push(") AS v WHERE deliveries.id = v.column1");
    run(connection, query).await
}
