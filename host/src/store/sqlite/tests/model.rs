//! The outbox in plain words: what a store is to look like after what was asked of it.

use std::collections::{BTreeMap, BTreeSet};

/// A unit of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    pub event: i64,
    pub entry: String,
    pub state: &'static str,
    pub tries: u32,
    /// Tag, and how its delivery ended.
    pub answer: Option<(String, String)>,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub event: i64,
    pub unit: i64,
    pub entry: String,
    pub lane: Option<String>,
    pub supersede: Option<String>,
    pub tag: Option<String>,
    pub text: String,
    /// Whether it is what became of some recipients of another.
    pub part: bool,
    pub state: &'static str,
    pub attempts: u32,
    pub lines: usize,
    pub why: Option<String>,
}

/// How an attempt, or the lack of one, ended.
#[derive(Clone, Debug)]
pub enum How {
    Delivered,
    Superseded(i64),
    Dead,
    Retry { left: Option<String> },
}

/// Everything that is visible of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub cursors: BTreeMap<String, String>,
    pub events: BTreeMap<i64, String>,
    pub known: BTreeSet<String>,
    pub details: BTreeMap<(i64, String), String>,
    pub units: BTreeMap<i64, Unit>,
    pub state: BTreeMap<(String, String), String>,
    pub deliveries: BTreeMap<i64, Delivery>,
    pub nudges: BTreeSet<i64>,
    /// The last numbers given to an event, a unit and a delivery.
    pub last: [i64; 3],
}

impl Model {
    /// Compares part by part, so that what differs can be found.
    pub fn same(&self, seen: &Self, after: &str) {
        assert_eq!(seen.cursors, self.cursors, "{after}");
        assert_eq!((&seen.events, &seen.known), (&self.events, &self.known), "{after}");
        assert_eq!(seen.details, self.details, "{after}");
        assert_eq!(seen.state, self.state, "{after}");
        for (id, delivery) in &self.deliveries {
            assert_eq!(seen.deliveries.get(id), Some(delivery), "delivery {id} {after}");
        }
        for (id, unit) in &self.units {
            assert_eq!(seen.units.get(id), Some(unit), "unit {id} {after}");
        }
        assert_eq!(seen, self, "{after}");
    }

    fn number(&mut self, of: usize) -> i64 {
        self.last[of] += 1;
        self.last[of]
    }

    pub fn journal(&mut self, source: &str, cursor: Option<&str>, events: &[(String, Vec<String>)]) -> Vec<i64> {
        if let Some(cursor) = cursor {
            self.cursors.insert(source.into(), cursor.into());
        }
        let mut journalled = Vec::new();
        for (id, entries) in events {
            if self.known.insert(id.clone()) {
                let seq = self.number(0);
                self.events.insert(seq, id.clone());
                journalled.push(seq);
                for entry in entries {
                    let unit = Unit { event: seq, entry: entry.clone(), state: "waiting", tries: 0, answer: None };
                    let number = self.number(1);
                    self.units.insert(number, unit);
                }
            }
        }
        journalled
    }

    pub fn keep(&mut self, event: i64, path: &str, text: &str) {
        self.details.entry((event, path.into())).or_insert_with(|| text.into());
    }

    pub fn end(&mut self, id: i64, state: &'static str, sends: Vec<Delivery>, writes: &[(String, Option<String>)]) -> Vec<i64> {
        let Some(unit) = self.units.get_mut(&id).filter(|unit| unit.state == "waiting") else { return Vec::new() };
        unit.state = state;
        unit.tries += 1;
        let (event, entry) = (unit.event, unit.entry.clone());
        for (key, value) in writes {
            let key = (entry.clone(), key.clone());
            match value {
                Some(value) => drop(self.state.insert(key, value.clone())),
                None => drop(self.state.remove(&key)),
            }
        }
        let mut made = Vec::new();
        for send in sends {
            let number = self.number(2);
            self.deliveries.insert(number, Delivery { event, unit: id, entry: entry.clone(), ..send });
            made.push(number);
        }
        made
    }

    /// Answers with the unit made for a tag. `parts` are the outcomes of recipients that are set apart.
    pub fn settle(&mut self, id: i64, how: &How, attempt: bool, parts: &[bool]) -> Option<i64> {
        let whole = self.deliveries.get(&id)?.clone();
        for delivered in parts {
            let (state, why) = if *delivered { ("delivered", None) } else { ("dead", Some("no".to_owned())) };
            let number = self.number(2);
            self.deliveries.insert(number, Delivery { state, why, attempts: 0, lines: 0, text: "part".into(), part: true, ..whole.clone() });
        }
        let dropped = whole.state == "dead" && self.nudges.contains(&id);
        let ends = !matches!(how, How::Retry { .. });
        let delivery = self.deliveries.get_mut(&id)?;
        delivery.lines += usize::from(attempt);
        if whole.state != "waiting" && !(dropped && ends && attempt) {
            return None;
        }
        delivery.attempts += u32::from(attempt);
        (delivery.state, delivery.why) = match how {
            How::Delivered if dropped => ("delivered", Some("an attempt under way delivered it when it was dropped".into())),
            How::Delivered => ("delivered", None),
            How::Superseded(by) => ("superseded", Some(format!("superseded by delivery {by}"))),
            How::Dead => ("dead", Some("refused".into())),
            How::Retry { left } => {
                delivery.text = left.clone().unwrap_or(whole.text);
                ("waiting", Some("busy".into()))
            }
        };
        if !ends {
            return None;
        }
        self.nudges.remove(&id);
        let ended = delivery.state.to_owned();
        self.answer(id, ended)
    }

    fn answer(&mut self, id: i64, ended: String) -> Option<i64> {
        let delivery = &self.deliveries[&id];
        let (event, entry, tag) = (delivery.event, delivery.entry.clone(), delivery.tag.clone()?);
        let number = self.number(1);
        self.units.insert(number, Unit { event, entry, state: "waiting", tries: 0, answer: Some((tag, ended)) });
        Some(number)
    }

    /// The newest delivery that says the same place something newer.
    pub fn newer(&self, id: i64) -> Option<i64> {
        let old = self.deliveries.get(&id)?;
        let key = old.supersede.as_ref()?;
        let same = |other: &Delivery| !other.part && other.entry == old.entry && other.supersede.as_ref() == Some(key);
        let all = self.deliveries.iter().filter(|(_, other)| same(other)).map(|(id, other)| (other.event, *id));
        all.max().filter(|newest| *newest > (old.event, id)).map(|(_, id)| id)
    }

    pub fn redeliver(&mut self, id: i64, insist: bool) -> bool {
        let newer = self.newer(id);
        let Some(delivery) = self.deliveries.get_mut(&id) else { return false };
        if delivery.state == "waiting" || (!insist && (delivery.state == "superseded" || newer.is_some())) {
            return false;
        }
        delivery.state = "waiting";
        delivery.attempts = 0;
        delivery.why = Some("sent again by op".into());
        if newer.is_some() {
            delivery.supersede = None;
        }
        self.nudges.insert(id);
        true
    }

    pub fn drop(&mut self, id: i64) -> bool {
        let Some(delivery) = self.deliveries.get_mut(&id).filter(|delivery| delivery.state == "waiting") else { return false };
        delivery.state = "dead";
        delivery.why = Some("dropped by op".into());
        self.nudges.insert(id);
        true
    }

    /// What the host is told: number, whether it waits, the unit for its tag.
    pub fn nudged(&mut self, busy: &[i64]) -> Vec<(i64, bool, Option<i64>)> {
        let told: Vec<i64> = self.nudges.iter().copied().filter(|id| !busy.contains(id)).collect();
        told.into_iter()
            .map(|id| {
                self.nudges.remove(&id);
                match self.deliveries.get(&id).map(|delivery| delivery.state) {
                    Some("waiting") => (id, true, None),
                    Some("dead") => (id, false, self.answer(id, "dead".into())),
                    _ => (id, false, None),
                }
            })
            .collect()
    }

    /// Removes everything that has ended. Answers with the number of events and deliveries.
    pub fn retain(&mut self) -> (u64, u64) {
        let waits: BTreeSet<i64> = self
            .units
            .values()
            .filter(|unit| unit.state == "waiting")
            .map(|unit| unit.event)
            .chain(self.deliveries.values().filter(|delivery| delivery.state == "waiting").map(|delivery| delivery.event))
            .collect();
        let before = (self.events.len(), self.deliveries.len());
        self.events.retain(|seq, _| waits.contains(seq));
        self.units.retain(|_, unit| waits.contains(&unit.event));
        self.deliveries.retain(|_, delivery| waits.contains(&delivery.event));
        self.details.retain(|(seq, _), _| waits.contains(seq));
        ((before.0 - self.events.len()) as u64, (before.1 - self.deliveries.len()) as u64)
    }
}
