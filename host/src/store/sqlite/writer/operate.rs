//! What operators change, and what the host is told of it.

use std::collections::HashMap;

use sqlx::{Executor as _, QueryBuilder, Sqlite, SqliteConnection};

use super::super::failed;
use super::super::rows::{DELIVERY, delivery, get, unit};
use super::plan::take;
use super::standing::among;
use super::statements::{ROWS, insert_units};
use super::{Next, transaction};
use crate::store::{Delivery, Job, Nudged, Result, TaggedAnswer, Unit, now_ms};

/// Puts a delivery that has ended back, with a note for the host. False: it has not ended.
pub(super) async fn redeliver(connection: &mut SqliteConnection, id: i64, expires_ms: i64, why: &str) -> Result<bool> {
    // Insisted on, it is not replaced by what is newer; without anything newer, it goes on as it was.
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE deliveries SET state = 'waiting', ended_ms = NULL, attempts = 0, throttled = 0, supersede = CASE WHEN EXISTS \
         (SELECT 1 FROM deliveries n WHERE n.entry = deliveries.entry AND n.endpoint = deliveries.endpoint \
         AND n.supersede = deliveries.supersede AND n.part_of IS NULL AND (n.event, n.id) > (deliveries.event, deliveries.id)) THEN NULL ELSE supersede END, due_ms = ",
    );
    query.push_bind(now_ms()).push(", expires_ms = ").push_bind(expires_ms).push(", why = ").push_bind(why);
    query.push(" WHERE state <> 'waiting' AND id = ").push_bind(id);
    noted(connection, id, query).await
}

/// Lets the unit be called again for which this dead letter stands, with a note for the host. False: it was, already.
pub(super) async fn call_again(connection: &mut SqliteConnection, id: i64, why: &str) -> Result<bool> {
    let now = now_ms();
    let mut unit = QueryBuilder::<Sqlite>::new("UPDATE units SET state = 'waiting', ended_ms = NULL, attempts = 0, failed = 0, waited = 0, made_ms = ");
    unit.push_bind(now).push(", due_ms = ").push_bind(now).push(" WHERE state = 'failed' AND id = (SELECT unit FROM deliveries WHERE state = 'dead' AND id = ");
    unit.push_bind(id).push(")");
    let mut letter = QueryBuilder::<Sqlite>::new("UPDATE deliveries SET state = 'superseded', why = ");
    letter.push_bind(why).push(" WHERE id = ").push_bind(id);
    transaction::begin(connection).await?;
    let done = async {
        if connection.execute(unit.build()).await.map_err(failed)?.rows_affected() == 0 {
            return Ok(false);
        }
        connection.execute(letter.build()).await.map_err(failed)?;
        note(connection, id).await?;
        Ok(true)
    };
    let done = done.await;
    transaction::end(connection, done).await
}

/// Makes a delivery that waits a dead letter, with a note for the host. False: it does not wait.
pub(super) async fn drop_waiting(connection: &mut SqliteConnection, id: i64, why: &str) -> Result<bool> {
    let mut query = QueryBuilder::<Sqlite>::new("UPDATE deliveries SET state = 'dead', ended_ms = ");
    query.push_bind(now_ms()).push(", why = ").push_bind(why).push(" WHERE state = 'waiting' AND id = ").push_bind(id);
    noted(connection, id, query).await
}

async fn noted(connection: &mut SqliteConnection, id: i64, mut change: QueryBuilder<Sqlite>) -> Result<bool> {
    transaction::begin(connection).await?;
    let done = async {
        if connection.execute(change.build()).await.map_err(failed)?.rows_affected() == 0 {
            return Ok(false);
        }
        note(connection, id).await?;
        Ok(true)
    };
    let done = done.await;
    transaction::end(connection, done).await
}

async fn note(connection: &mut SqliteConnection, id: i64) -> Result<()> {
    let mut note = QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO nudges (delivery) VALUES (");
    note.push_bind(id).push(")");
    connection.execute(note.build()).await.map(drop).map_err(failed)
}

/// Takes the notes, but those about deliveries that are `busy`. A tag of one that was dropped gets its unit with it.
pub(super) async fn nudged(connection: &mut SqliteConnection, busy: &[i64], next: &mut Next) -> Result<Vec<Nudged>> {
    let mut numbers = *next;
    transaction::begin(connection).await?;
    let done = take_notes(connection, busy, &mut numbers).await;
    let nudged = transaction::end(connection, done).await?;
    *next = numbers;
    Ok(nudged)
}

async fn take_notes(connection: &mut SqliteConnection, busy: &[i64], next: &mut Next) -> Result<Vec<Nudged>> {
    let noted = connection.fetch_all("SELECT delivery FROM nudges ORDER BY delivery").await.map_err(failed)?;
    let noted = noted.iter().map(|row| get(row, "delivery")).collect::<Result<Vec<i64>>>()?;
    let ids: Vec<i64> = noted.into_iter().filter(|id| !busy.contains(id)).collect();
    let mut found = HashMap::new();
    for row in among(connection, &format!("SELECT {DELIVERY}, state FROM deliveries WHERE endpoint <> '' AND id IN ("), &ids).await? {
        found.insert(get::<i64>(&row, "id")?, (get::<String>(&row, "state")?, delivery(&row)?));
    }
    let mut called = HashMap::new();
    let of_calls = "SELECT u.*, d.id AS letter FROM deliveries d JOIN units u ON u.id = d.unit WHERE d.endpoint = '' AND u.state = 'waiting' AND d.id IN (";
    for row in among(connection, of_calls, &ids).await? {
        called.insert(get::<i64>(&row, "letter")?, unit(&row)?);
    }
    among(connection, "DELETE FROM nudges WHERE delivery IN (", &ids).await?;
    let nudged = ids.into_iter().map(|id| match found.remove(&id) {
        Some((state, delivery)) if state == "waiting" => Nudged { id, waits: Some(delivery), answer: None },
        Some((state, delivery)) if state == "dead" => Nudged { id, waits: None, answer: answer(delivery, next) },
        _ => Nudged { id, waits: None, answer: None },
    });
    let mut nudged: Vec<Nudged> = nudged.collect();
    let units: Vec<Unit> = nudged.iter().filter_map(|it| it.answer.clone()).collect();
    for units in units.chunks(ROWS) {
        insert_units(connection, units).await?;
    }
    // Those are there already.
    nudged.iter_mut().filter(|it| it.answer.is_none()).for_each(|it| it.answer = called.remove(&it.id));
    Ok(nudged)
}

/// The unit for the tag of a dropped delivery.
fn answer(dropped: Delivery, next: &mut Next) -> Option<Unit> {
    let answer = TaggedAnswer { status: 0, headers: Vec::new(), body: String::new(), ended: "dead".into() };
    let job = Job::Answered { tag: dropped.new.tag?, answer };
    let order = format!("/answered/{}", dropped.id);
    let now = now_ms();
    let (id, event, entry) = (take(&mut next.unit), dropped.event, dropped.new.entry);
    Some(Unit { id, event, entry, order, job, made_ms: now, attempts: 0, failed: 0, waited: 0, due_ms: now })
}
