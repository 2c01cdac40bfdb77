//! What a group comes to, table by table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::rows::text;
use super::standing::Standing;
use super::{Next, Write};
use crate::event::Event;
use crate::store::{
    AttemptLine, Cause, DUE, Delivery, End, Follows, Job, Journalled, NewDelivery, NewEvent, Result, SOON, Settle, Settled, TaggedAnswer, Unit, UnitEnd, now_ms,
};
use crate::transport::{Body, HttpRequest, Payload};

/// Rows to be written.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub now: i64,
    pub cursors: HashMap<&'a str, &'a str>,
    pub events: Vec<(i64, Arc<Event>)>,
    pub details: Vec<(i64, &'a str, String)>,
    pub new_units: Vec<Unit>,
    pub units: BTreeMap<i64, UnitChange<'a>>,
    pub state: HashMap<(&'a str, &'a str), Option<&'a str>>,
    pub new_deliveries: Vec<Row>,
    pub deliveries: BTreeMap<i64, Change<'a>>,
    pub attempts: Vec<(i64, &'a AttemptLine)>,
    /// Deliveries of which operators' changes need not be told any more.
    pub told: Vec<i64>,
}

/// What becomes of a unit.
#[derive(Default)]
pub(super) struct UnitChange<'a> {
    pub state: &'static str,
    pub why: Option<&'a str>,
    pub log: Option<String>,
    pub due_ms: Option<i64>,
    pub ended: bool,
    pub attempts: u32,
    pub failed: u32,
    pub waited: u32,
}

/// A new delivery's row.
pub(super) struct Row {
    pub id: i64,
    pub event: i64,
    pub unit: i64,
    pub new: NewDelivery,
    /// Whether it has a content: the dead letter of a call has none.
    pub content: bool,
    pub state: &'static str,
    pub why: Option<String>,
    pub ended_ms: Option<i64>,
    pub part_of: Option<i64>,
}

/// What becomes of a delivery.
#[derive(Default)]
pub(super) struct Change<'a> {
    pub state: &'static str,
    pub why: Option<String>,
    pub due_ms: Option<i64>,
    pub ended: bool,
    pub payload: Option<&'a Payload>,
    pub attempts: u32,
    pub throttled: u32,
}

/// What one write made.
pub(super) enum Made {
    Nothing,
    Journalled(Vec<Journalled>),
    Follows(Follows),
    Unit(Option<Unit>),
}

/// Plans a group: write after write, as if each were by itself.
pub(super) fn plan<'a>(group: &'a [Write], mut standing: Standing, next: &mut Next) -> Result<(Plan<'a>, Vec<Made>)> {
    let mut plan = Plan { now: now_ms(), ..Plan::default() };
    let mut made = Vec::with_capacity(group.len());
    for write in group {
        made.push(match write {
            Write::Keep { event, path, rows } => {
                plan.details.push((*event, path, text(rows.as_ref())?));
                Made::Nothing
            }
            Write::Journal { source, cursor, events, .. } => {
                if let Some(cursor) = cursor {
                    plan.cursors.insert(source, cursor);
                }
                Made::Journalled(plan.journal(events, &mut standing, next)?)
            }
            Write::EndUnit { end, .. } => Made::Follows(plan.end_unit(end, &mut standing, next)?),
            Write::Settle { settled, .. } => Made::Unit(plan.settle(settled, &mut standing, next)),
            Write::Alone(_) => Made::Nothing,
        });
    }
    Ok((plan, made))
}

impl<'a> Plan<'a> {
    fn journal(&mut self, events: &'a [NewEvent], standing: &mut Standing, next: &mut Next) -> Result<Vec<Journalled>> {
        let mut journalled = Vec::new();
        for new in events.iter().filter(|new| standing.known.insert(new.event.id.clone())) {
            let seq = take(&mut next.event);
            let event = new.event.clone();
            for (path, rows) in &new.details {
                self.details.push((seq, path, text(rows.as_ref())?));
            }
            let units = new.units.iter().map(|unit| Unit {
                id: take(&mut next.unit),
                event: seq,
                entry: unit.entry.clone(),
                order: unit.order.clone(),
                job: Job::Report,
                made_ms: self.now,
                attempts: 0,
                failed: 0,
                waited: 0,
                due_ms: self.now,
            });
            let units: Vec<Unit> = units.collect();
            self.new_units.extend(units.iter().cloned());
            self.events.push((seq, event.clone()));
            journalled.push(Journalled { seq, event, details: new.details.clone(), units });
        }
        Ok(journalled)
    }

    fn end_unit(&mut self, ended: &'a UnitEnd, standing: &mut Standing, next: &mut Next) -> Result<Follows> {
        let unit = &ended.unit;
        if !standing.units.contains(&unit.id) {
            return Ok(Follows::default());
        }
        let (state, why, again) = match &ended.end {
            End::Sent => ("sent", None, None),
            End::Skipped(why) => ("skipped", Some(why.as_str()), None),
            End::Failed(why) => ("failed", Some(why.as_str()), None),
            End::Again { due_ms, why, cause } => ("waiting", Some(why.as_str()), Some((*due_ms, *cause))),
        };
        let is = |cause| u32::from(again.is_some_and(|(_, of)| of == cause));
        if state != "waiting" {
            standing.units.remove(&unit.id);
        }
        let change = self.units.entry(unit.id).or_default();
        *change = UnitChange {
            state,
            why,
            log: if ended.log.is_empty() { None } else { Some(text(&ended.log)?) },
            due_ms: again.map(|(due_ms, _)| due_ms),
            ended: state != "waiting",
            attempts: change.attempts + 1,
            failed: change.failed + is(Cause::Failed),
            waited: change.waited + is(Cause::Waited),
        };
        for (key, value) in &ended.state {
            self.state.insert((&unit.entry, key), value.as_deref());
        }
        let mut deliveries = Vec::with_capacity(ended.sends.len());
        for new in &ended.sends {
            let (id, event) = (take(&mut next.delivery), unit.event);
            let row = Row { id, event, unit: unit.id, new: new.clone(), content: true, state: "waiting", why: None, ended_ms: None, part_of: None };
            self.new_deliveries.push(row);
            deliveries.push(Delivery { id, event, attempts: 0, throttled: 0, due_ms: self.now, new: new.clone() });
        }
        if let Some(title) = &ended.letter {
            self.new_deliveries.push(self.letter(take(&mut next.delivery), unit, title, why));
        }
        let units: Vec<Unit> = ended
            .reminders
            .iter()
            .map(|reminder| {
                let id = take(&mut next.unit);
                let answer = TaggedAnswer { status: 0, headers: Vec::new(), body: String::new(), ended: DUE.to_owned() };
                let job = Job::Answered { tag: reminder.tag.clone(), answer };
                let (entry, order) = (unit.entry.clone(), format!("{}{id}", if reminder.soon { SOON } else { "/reminder/" }));
                let (made_ms, due_ms) = (self.now, reminder.due_ms);
                Unit { id, event: unit.event, entry, order, job, made_ms, attempts: 0, failed: 0, waited: 0, due_ms }
            })
            .collect();
        self.new_units.extend(units.iter().cloned());
        Ok(Follows { deliveries, units })
    }

    /// What an operator finds where a call failed for good and nothing was sent in its place.
    fn letter(&self, id: i64, unit: &Unit, title: &str, why: Option<&str>) -> Row {
        let new = NewDelivery {
            uid: format!("/call/{id}"),
            entry: unit.entry.clone(),
            endpoint: String::new(),
            destination: String::new(),
            lane: None,
            supersede: None,
            tag: None,
            title: title.to_owned(),
            expires_ms: self.now,
            payload: Arc::new(Payload::Http(HttpRequest { method: String::new(), path: vec![], query: vec![], headers: vec![], body: Body::Empty })),
            rules: Vec::new(),
        };
        let why = why.map(str::to_owned);
        Row { id, event: unit.event, unit: unit.id, new, content: false, state: "dead", why, ended_ms: Some(self.now), part_of: None }
    }

    fn settle(&mut self, settled: &'a Settled, standing: &mut Standing, next: &mut Next) -> Option<Unit> {
        let id = settled.delivery;
        let standing = standing.deliveries.get_mut(&id)?;
        self.attempts.extend(settled.attempt.iter().map(|line| (id, line)));
        for split in &settled.split {
            let new = NewDelivery { payload: split.payload.clone(), title: split.title.clone(), ..split.of.clone() };
            self.new_deliveries.push(Row {
                id: take(&mut next.delivery),
                event: split.event,
                unit: standing.unit,
                new,
                content: true,
                state: if split.dead.is_some() { "dead" } else { "delivered" },
                why: split.dead.clone(),
                ended_ms: Some(self.now),
                part_of: Some(standing.whole),
            });
        }
        let ends = !matches!(settled.settle, Settle::Retry { .. });
        let despite_drop = standing.dead && standing.untold && ends && settled.attempt.is_some();
        if !standing.waits && !despite_drop {
            return None;
        }
        let change = self.deliveries.entry(id).or_default();
        change.attempts += u32::from(settled.attempt.is_some());
        change.ended = ends;
        (change.state, change.why) = match &settled.settle {
            Settle::Delivered if despite_drop => ("delivered", Some("an attempt under way delivered it when it was dropped".to_owned())),
            Settle::Delivered => ("delivered", None),
            Settle::Superseded(by) => ("superseded", Some(format!("superseded by delivery {by}"))),
            Settle::Dead(why) => ("dead", Some(why.clone())),
            Settle::Retry { due_ms, why, payload, throttled } => {
                change.throttled += u32::from(*throttled);
                change.due_ms = Some(*due_ms);
                change.payload = payload.as_deref().or(change.payload);
                ("waiting", Some(why.clone()))
            }
        };
        if !ends {
            return None;
        }
        if standing.untold {
            // Whoever brought it to its end knows.
            self.told.push(id);
        }
        (standing.waits, standing.dead, standing.untold) = (false, change.state == "dead", false);
        let unit = Unit {
            id: 0,
            event: standing.event,
            entry: standing.entry.clone(),
            order: format!("/answered/{id}"),
            job: Job::Answered { tag: standing.tag.clone()?, answer: settled.answer.clone()? },
            made_ms: self.now,
            attempts: 0,
            failed: 0,
            waited: 0,
            due_ms: self.now,
        };
        let unit = Unit { id: take(&mut next.unit), ..unit };
        self.new_units.push(unit.clone());
        Some(unit)
    }
}

pub(super) fn take(next: &mut i64) -> i64 {
    *next += 1;
    *next - 1
}
