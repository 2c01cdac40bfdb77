//! What was found out, by either way, and the events it makes.

use serde_json::{Value, json};

use super::table::Row;
use crate::event::{Event, Kind};

/// Something that happened at the master.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What.
    pub kind: Kind,
    /// When, in the master's seconds (a worker's: in ours).
    pub at: i64,
    /// The id of the build, request, buildset or worker.
    pub id: i64,
    /// The event's message.
    pub message: Value,
    /// Found by reading instead of being heard.
    pub late: bool,
    /// Tells a worker's absences apart: when this one began.
    pub absence: Option<i64>,
}

/// Buildbot's number for a cancelled build.
const CANCELLED: i64 = 6;
/// Buildbot's number for a build that was not to be done (`do_build_if`): it ends without having been announced.
const SKIPPED: i64 = 3;
/// Buildbot's number for a build that is to be tried again.
const RETRY: i64 = 5;

impl Found {
    /// A build, request or buildset.
    pub fn new(kind: Kind, message: Value, late: bool) -> Option<Self> {
        let (id, at) = match kind {
            Kind::BuildStarted => ("buildid", "started_at"),
            Kind::BuildFinished => ("buildid", "complete_at"),
            Kind::BuildrequestNew => ("buildrequestid", "submitted_at"),
            Kind::BuildrequestCancelled => ("buildrequestid", "complete_at"),
            Kind::BuildsetComplete => ("bsid", "complete_at"),
            Kind::WorkerMissing | Kind::WorkerConnected | Kind::Heard => return None,
        };
        let at = message[at].as_i64().unwrap_or_else(crate::source::now);
        Some(Self { kind, at, id: message[id].as_i64()?, message, late, absence: None })
    }

    /// The event's id. Ids of a master whose database was replaced begin again, in a generation of their own.
    pub fn event_id(&self, source: &str, generation: u32) -> String {
        event_id(self.kind, self.id, self.absence, source, generation)
    }

    /// The id of the event that comes before this one: a build's start, a request's submission.
    pub fn before(&self) -> Option<Kind> {
        match self.kind {
            Kind::BuildFinished => Some(Kind::BuildStarted),
            Kind::BuildrequestCancelled => Some(Kind::BuildrequestNew),
            _ => None,
        }
    }

    /// The event that comes before this one, made from it.
    pub fn made_before(&self) -> Option<Self> {
        match self.kind {
            Kind::BuildFinished if !has_start(&self.message) => None,
            Kind::BuildFinished => Self::new(Kind::BuildStarted, started(&self.message), true),
            Kind::BuildrequestCancelled => Self::new(Kind::BuildrequestNew, submitted(&self.message), true),
            _ => None,
        }
    }

    /// What orders events that were found together: time, then the order in which a master says things, then id.
    pub fn order(&self) -> (i64, u8, i64) {
        let rank = match self.kind {
            Kind::BuildrequestNew => 0,
            Kind::BuildStarted => 1,
            Kind::BuildFinished => 2,
            Kind::BuildrequestCancelled => 3,
            Kind::BuildsetComplete => 4,
            Kind::WorkerMissing => 5,
            Kind::WorkerConnected | Kind::Heard => 6,
        };
        (self.at, rank, self.id)
    }

    /// The event.
    pub fn into_event(self, source: &str, generation: u32) -> Event {
        Event {
            id: self.event_id(source, generation),
            kind: self.kind,
            source: source.to_owned(),
            occurred_at: self.at,
            late: self.late,
            message: self.message,
        }
    }
}

/// An event's id: `main/builds/12/finished`, `main/workers/3/missing/1795388230`.
pub fn event_id(kind: Kind, id: i64, absence: Option<i64>, source: &str, generation: u32) -> String {
    let plural = match kind {
        Kind::BuildStarted | Kind::BuildFinished => "builds",
        Kind::BuildrequestNew | Kind::BuildrequestCancelled => "buildrequests",
        Kind::BuildsetComplete => "buildsets",
        Kind::WorkerMissing | Kind::WorkerConnected | Kind::Heard => "workers",
    };
    let again = if generation > 1 { format!("generation-{generation}/") } else { String::new() };
    let absence = absence.map(|since| format!("/{since}")).unwrap_or_default();
    format!("{source}/{again}{plural}/{id}/{}{absence}", kind.verb())
}

fn has_start(build: &Value) -> bool {
    build["results"].as_i64() != Some(SKIPPED)
}

/// A build as it was when it started.
fn started(build: &Value) -> Value {
    let mut build = build.clone();
    if build["complete"].as_bool() == Some(true) {
        set(&mut build, &[("complete", json!(false)), ("complete_at", Value::Null), ("results", Value::Null), ("state_string", json!("starting"))]);
    }
    build
}

/// A build request as it was when it was submitted.
fn submitted(request: &Value) -> Value {
    let mut request = request.clone();
    set(
        &mut request,
        &[
            ("claimed", json!(false)),
            ("claimed_at", Value::Null),
            ("claimed_by_masterid", Value::Null),
            ("complete", json!(false)),
            ("complete_at", Value::Null),
            ("results", json!(-1)),
        ],
    );
    request
}

fn set(object: &mut Value, pairs: &[(&str, Value)]) {
    if let Some(object) = object.as_object_mut() {
        for (key, value) in pairs {
            object.insert((*key).to_owned(), value.clone());
        }
    }
}

/// What a build's row tells. A build in state `created` has not been announced yet, and its
/// properties are not there: it tells nothing until the next reading.
pub fn of_build(Row { row, fresh, ended }: &Row) -> Vec<Found> {
    let announced = row["complete"].as_bool() == Some(true) || row["state_string"].as_str() != Some("created");
    let new = (*fresh && announced && has_start(row)).then(|| Found::new(Kind::BuildStarted, started(row), true)).flatten();
    let finished = ended.then(|| Found::new(Kind::BuildFinished, row.clone(), true)).flatten();
    new.into_iter().chain(finished).collect()
}

/// What a build request's row tells; `builds` are its builds, asked for if [`may_be_cancelled`].
pub fn of_request(Row { row, fresh, ended }: &Row, builds: &[Value]) -> Vec<Found> {
    let new = fresh.then(|| Found::new(Kind::BuildrequestNew, submitted(row), true)).flatten();
    // A request that ends as cancelled because its build was has no event of its own.
    let last = builds.iter().max_by_key(|build| build["buildid"].as_i64());
    let by_itself = last.is_none_or(|build| build["results"].as_i64() == Some(RETRY));
    let cancelled = (*ended && may_be_cancelled(row) && by_itself).then(|| Found::new(Kind::BuildrequestCancelled, row.clone(), true)).flatten();
    new.into_iter().chain(cancelled).collect()
}

/// Whether it takes a request's builds to tell whether it was cancelled.
pub fn may_be_cancelled(row: &Value) -> bool {
    row["complete"].as_bool() == Some(true) && row["results"].as_i64() == Some(CANCELLED)
}

/// What a buildset's row tells.
pub fn of_set(Row { row, ended, .. }: &Row) -> Option<Found> {
    ended.then(|| Found::new(Kind::BuildsetComplete, row.clone(), true)).flatten()
}
