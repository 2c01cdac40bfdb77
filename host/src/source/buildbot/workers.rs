//! Workers that are away: one `worker-missing` for each absence, whoever noticed it, and one
//! `worker-connected` when such a worker is back.
//!
//! The master says `missing` once, after the worker's own `missing_timeout`, to whoever listens
//! then, and REST does not tell of it afterwards. So an absence that began while we listened is
//! the master's to announce; one that may have been announced while nobody listened is announced here
//! after a time-out of our own (without `notify`, which only the master's message carries).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::found::Found;
use crate::event::Kind;

/// One worker's absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// When it was first noticed, in seconds since 1970.
    pub since: i64,
    /// Who is to announce it.
    pub who: Who,
    /// Whether it was announced.
    #[serde(default)]
    pub told: bool,
    /// Whom the master named to be told: they are told as well when it is over.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub notify: Value,
}

/// Who is to announce an absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The master: it began while we listened.
    Master,
    /// We, after a time-out: the master may have said so to nobody.
    Host,
    /// Nobody but the master: it was there before the first start.
    Before,
}

/// The workers that are away, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Absences(BTreeMap<i64, Absence>);

impl Absence {
    /// The message about its end, with those who were told of its beginning.
    fn over(&self, mut message: Value) -> Value {
        if let (Value::Object(message), Value::Array(_)) = (&mut message, &self.notify) {
            message.entry("notify").or_insert_with(|| self.notify.clone());
        }
        message
    }
}

impl Absences {
    /// The connection to the master was interrupted: what it would have said may be lost.
    pub fn interrupted(&mut self) {
        for absence in self.0.values_mut().filter(|absence| absence.who == Who::Master) {
            absence.who = Who::Host;
        }
    }

    /// The master said `missing`. None: this absence was announced already.
    pub fn heard_missing(&mut self, id: i64, message: Value, now: i64) -> Option<Found> {
        let absence = self.0.entry(id).or_insert(Absence { since: now, who: Who::Master, told: false, notify: Value::Null });
        absence.notify = message["notify"].clone();
        if std::mem::replace(&mut absence.told, true) {
            return None;
        }
        Some(worker(Kind::WorkerMissing, id, message, now, false, absence.since))
    }

    /// The master said `connected`. Some: the worker had been announced as missing.
    pub fn heard_connected(&mut self, id: i64, message: Value, now: i64) -> Option<Found> {
        let absence = self.0.remove(&id)?;
        absence.told.then(|| worker(Kind::WorkerConnected, id, absence.over(message), now, false, absence.since))
    }

    /// All workers as they were read at `read`. `new` says who is to announce an absence first seen now;
    /// `timeout` is ours, in seconds. A worker that was removed from the master is no longer awaited.
    pub fn read(&mut self, rows: &[Value], read: i64, new: Who, timeout: i64) -> Vec<Found> {
        let mut found = Vec::new();
        for row in rows {
            let Some(id) = row["workerid"].as_i64() else { continue };
            let there = row["connected_to"].as_array().is_some_and(|masters| !masters.is_empty());
            let wanted = row["configured_on"].as_array().is_some_and(|builders| !builders.is_empty());
            if there || !wanted {
                // What was heard after the rows were read is newer than they are.
                if self.0.get(&id).is_some_and(|absence| absence.since < read)
                    && let Some(absence) = self.0.remove(&id)
                    && there
                    && absence.told
                {
                    found.push(worker(Kind::WorkerConnected, id, absence.over(row.clone()), read, true, absence.since));
                }
                continue;
            }
            let absence = self.0.entry(id).or_insert(Absence { since: read, who: new, told: false, notify: Value::Null });
            if !absence.told && absence.who == Who::Host && read - absence.since >= timeout {
                absence.told = true;
                found.push(worker(Kind::WorkerMissing, id, row.clone(), read, true, absence.since));
            }
        }
        found
    }
}

fn worker(kind: Kind, id: i64, message: Value, at: i64, late: bool, since: i64) -> Found {
    Found { kind, at, id, message, late, absence: Some(since) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(there: bool) -> Value {
        json!({"workerid": 3, "name": "flaky", "configured_on": [{"builderid": 1}], "connected_to": if there { json!([{"masterid": 1}]) } else { json!([]) }})
    }

    #[test]
    fn an_absence_is_announced_once_whoever_notices_it() {
        let mut absences = Absences::default();
        assert!(absences.read(&[row(false)], 100, Who::Host, 60).is_empty());
        let missing = absences.read(&[row(false)], 160, Who::Host, 60);
        assert_eq!((missing[0].kind, missing[0].absence, missing[0].late), (Kind::WorkerMissing, Some(100), true));
        assert!(absences.heard_missing(3, json!({}), 170).is_none());
        assert!(absences.read(&[row(false)], 900, Who::Host, 60).is_empty());
        let back = absences.heard_connected(3, json!({}), 901).unwrap();
        assert_eq!(back.event_id("main", 1), "main/workers/3/connected/100");
        assert!(absences.heard_connected(3, json!({}), 902).is_none());
        assert_eq!(absences.heard_missing(3, json!({}), 1000).unwrap().event_id("main", 1), "main/workers/3/missing/1000");
    }

    #[test]
    fn who_was_told_of_its_beginning_is_named_at_its_end() {
        let mut absences = Absences::default();
        absences.heard_missing(3, json!({"notify": ["ops@example.org"]}), 100).unwrap();
        let kept: Absences = serde_json::from_str(&serde_json::to_string(&absences).unwrap()).unwrap();
        for mut absences in [absences, kept] {
            let back = absences.heard_connected(3, json!({"name": "flaky"}), 200).unwrap();
            assert_eq!(back.message, json!({"name": "flaky", "notify": ["ops@example.org"]}));
        }
    }

    #[test]
    fn what_began_while_we_listened_is_the_masters_to_announce_until_we_stop_listening() {
        let mut absences = Absences::default();
        absences.read(&[row(false)], 100, Who::Master, 60);
        assert!(absences.read(&[row(false)], 5000, Who::Master, 60).is_empty());
        absences.interrupted();
        assert_eq!(absences.read(&[row(false)], 5001, Who::Host, 60).len(), 1);
    }

    #[test]
    fn who_was_away_before_the_first_start_is_neither_missing_nor_back() {
        let mut absences = Absences::default();
        absences.read(&[row(false)], 100, Who::Before, 60);
        absences.interrupted();
        assert!(absences.read(&[row(false)], 5000, Who::Host, 60).is_empty());
        assert!(absences.read(&[row(true)], 5001, Who::Host, 60).is_empty());
    }

    #[test]
    fn what_was_heard_is_not_undone_by_rows_read_before() {
        let mut absences = Absences::default();
        absences.heard_missing(3, json!({}), 200).unwrap();
        assert!(absences.read(&[row(true)], 199, Who::Master, 60).is_empty());
        assert_eq!(absences.read(&[row(true)], 201, Who::Master, 60)[0].kind, Kind::WorkerConnected);
    }
}
