//! How things stand before a group is written: what its writes refer to.

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{Encode, Executor as _, QueryBuilder, Sqlite, SqliteConnection, Type};

use super::super::failed;
use super::super::rows::get;
use super::statements::ROWS;
use super::{Next, Write};
use crate::store::Result;

/// What the store says about the rows that a group refers to.
#[derive(Default)]
pub(super) struct Standing {
    /// Ids of events that the journal has or had.
    pub known: HashSet<String>,
    /// Units that wait.
    pub units: HashSet<i64>,
    /// Deliveries.
    pub deliveries: HashMap<i64, Settling>,
}

/// A delivery that is being settled.
pub(super) struct Settling {
    pub event: i64,
    pub unit: i64,
    /// The delivery of which it is a part, or itself: it has the content.
    pub whole: i64,
    pub entry: String,
    pub tag: Option<String>,
    pub waits: bool,
    pub dead: bool,
    /// An operator changed it, and the host has not been told yet.
    pub untold: bool,
}

impl Standing {
    pub(super) async fn read(connection: &mut SqliteConnection, group: &[Write]) -> Result<Self> {
        let (mut ids, mut units, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
        for write in group {
            match write {
                Write::Journal { events, .. } => ids.extend(events.iter().map(|new| new.event.id.as_str())),
                Write::EndUnit { end, .. } => units.push(end.unit.id),
                Write::Settle { settled, .. } => deliveries.push(settled.delivery),
                Write::Keep { .. } | Write::Alone(_) => {}
            }
        }
        let mut standing = Self::default();
        for table in ["events", "past"] {
            for row in among(connection, &format!("SELECT id FROM {table} WHERE id IN ("), &ids).await? {
                standing.known.insert(get(&row, "id")?);
            }
        }
        for row in among(connection, "SELECT id FROM units WHERE state = 'waiting' AND id IN (", &units).await? {
            standing.units.insert(get(&row, "id")?);
        }
        let query = "SELECT id, event, unit, coalesce(part_of, id) AS whole, entry, tag, state = 'waiting' AS waits, \
                     state = 'dead' AS dead, id IN (SELECT delivery FROM nudges) AS untold FROM deliveries WHERE id IN (";
        for row in among(connection, query, &deliveries).await? {
            let settling = Settling {
                event: get(&row, "event")?,
                unit: get(&row, "unit")?,
                whole: get(&row, "whole")?,
                entry: get(&row, "entry")?,
                tag: get(&row, "tag")?,
                waits: get(&row, "waits")?,
                dead: get(&row, "dead")?,
                untold: get(&row, "untold")?,
            };
            standing.deliveries.insert(get(&row, "id")?, settling);
        }
        Ok(standing)
    }
}

/// The rows of a query that ends with `IN (`.
pub(super) async fn among<'a, T>(connection: &mut SqliteConnection, query: &str, keys: &[T]) -> Result<Vec<SqliteRow>>
where
    T: Copy + Send + Sync + Encode<'a, Sqlite> + Type<Sqlite> + 'a,
{
    let mut rows = Vec::new();
    for keys in keys.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(query);
        let mut list = query.separated(", ");
        keys.iter().for_each(|key| {
            list.push_bind(*key);
        });
        query.push(")");
        rows.extend(connection.fetch_all(query.build()).await.map_err(failed)?);
    }
    Ok(rows)
}

/// The numbers that come after all that were ever given, also to rows that were removed since.
pub(super) async fn next(connection: &mut SqliteConnection) -> Result<Next> {
    let rows = connection.fetch_all("SELECT name, seq FROM sqlite_sequence").await.map_err(failed)?;
    let mut last = HashMap::<String, i64>::new();
    for row in &rows {
        last.insert(get(row, "name")?, get(row, "seq")?);
    }
    let next = |table: &str| last.get(table).copied().unwrap_or_default() + 1;
    Ok(Next { event: next("events"), unit: next("units"), delivery: next("deliveries") })
}
