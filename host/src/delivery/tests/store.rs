//! An outbox in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::event::{Event, Keep, Rows};
use crate::store::{
    Delivery, DeliveryRow, DeliveryStory, Filter, Follows, Job, Journalled, NewDelivery, NewEvent, Nudged, Result, Retention, Settle, Settled, Store,
    StoreError, Unit, UnitEnd, UnitRow,
};

#[derive(Default)]
struct Inner {
    last: i64,
    waiting: BTreeMap<i64, Delivery>,
    /// Whatever ever came in.
    all: BTreeMap<i64, Delivery>,
    story: Vec<String>,
    settled: Vec<Settled>,
    nudges: Vec<Nudged>,
    full: bool,
    largest_page: u32,
}

impl Inner {
    fn newer(&self, old: &Delivery) -> Option<i64> {
        let same = self.all.values().filter(|other| old.new.supersede.is_some() && other.new.supersede == old.new.supersede);
        same.map(|other| (other.event, other.id)).max().filter(|newest| *newest > (old.event, old.id)).map(|(_, id)| id)
    }
}

/// Keeps what waits, and tells what was settled in words.
#[derive(Default)]
pub struct Memory(Mutex<Inner>);

impl Memory {
    pub fn insert(&self, new: Vec<NewDelivery>) -> Vec<Delivery> {
        self.insert_of(1, new)
    }

    /// The same, made from an event of this number.
    pub fn insert_of(&self, event: i64, new: Vec<NewDelivery>) -> Vec<Delivery> {
        let mut inner = self.0.lock().unwrap();
        let mut made = Vec::new();
        for new in new {
            inner.last += 1;
            let delivery = Delivery { id: inner.last, event, attempts: 0, throttled: 0, due_ms: 0, new };
            inner.waiting.insert(delivery.id, delivery.clone());
            inner.all.insert(delivery.id, delivery.clone());
            made.push(delivery);
        }
        made
    }

    /// From now on nothing can be written, or everything again.
    pub fn full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// An operator drops a delivery.
    pub fn dropped(&self, id: i64, answer: Option<Unit>) {
        let mut inner = self.0.lock().unwrap();
        inner.waiting.remove(&id);
        inner.nudges.push(Nudged { id, waits: None, answer });
    }

    /// An operator sends one again.
    pub fn again(&self, delivery: Delivery) {
        let mut inner = self.0.lock().unwrap();
        inner.waiting.insert(delivery.id, delivery.clone());
        inner.nudges.push(Nudged { id: delivery.id, waits: Some(delivery), answer: None });
    }

    /// What was settled: `uid: how`.
    pub fn story(&self) -> Vec<String> {
        self.0.lock().unwrap().story.clone()
    }

    /// The same, whole.
    pub fn settled(&self) -> Vec<Settled> {
        self.0.lock().unwrap().settled.clone()
    }

    pub fn left(&self) -> usize {
        self.0.lock().unwrap().waiting.len()
    }

    pub fn largest_page(&self) -> u32 {
        self.0.lock().unwrap().largest_page
    }
}

impl Keep for Memory {
    fn keep(&self, _: i64, _: &str, _: &Arc<Rows>) {}
}

#[async_trait]
impl Store for Memory {
    async fn waiting(&self, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        let mut inner = self.0.lock().unwrap();
        inner.largest_page = inner.largest_page.max(limit);
        Ok(inner.waiting.range(after + 1..).take(limit as usize).map(|(_, delivery)| delivery.clone()).collect())
    }

    async fn replaced(&self) -> Result<Vec<(i64, i64)>> {
        let inner = self.0.lock().unwrap();
        Ok(inner.waiting.values().filter_map(|old| Some((old.id, inner.newer(old)?))).collect())
    }

    async fn newer(&self, id: i64) -> Result<Option<i64>> {
        let inner = self.0.lock().unwrap();
        Ok(inner.all.get(&id).and_then(|old| inner.newer(old)))
    }

    async fn settle(&self, settled: Settled) -> Result<Option<Unit>> {
        let mut inner = self.0.lock().unwrap();
        if inner.full {
            return Err(StoreError::Full("test".into()));
        }
        inner.settled.push(settled.clone());
        let Some(delivery) = inner.waiting.get_mut(&settled.delivery) else { return Ok(None) };
        let (uid, entry, tag) = (delivery.new.uid.clone(), delivery.new.entry.clone(), delivery.new.tag.clone());
        delivery.attempts += u32::from(settled.attempt.is_some());
        let how = match &settled.settle {
            Settle::Delivered => "delivered".to_owned(),
            Settle::Superseded(by) => format!("superseded by {by}"),
            Settle::Dead(why) => format!("dead: {why}"),
            Settle::Retry { due_ms, why, payload, throttled } => {
                delivery.throttled += u32::from(*throttled);
                delivery.due_ms = *due_ms;
                delivery.new.payload = payload.clone().unwrap_or_else(|| delivery.new.payload.clone());
                format!("again: {why}")
            }
        };
        let ended = !matches!(settled.settle, Settle::Retry { .. });
        if ended {
            inner.waiting.remove(&settled.delivery);
        }
        inner.story.push(format!("{uid}: {how}"));
        let (Some(tag), Some(answer), true) = (tag, settled.answer, ended) else { return Ok(None) };
        Ok(Some(Unit {
            id: 1,
            event: 1,
            entry,
            order: String::new(),
            job: Job::Answered { tag, answer },
            made_ms: 0,
            attempts: 0,
            failed: 0,
            waited: 0,
            due_ms: 0,
        }))
    }

    async fn nudged(&self, busy: Vec<i64>) -> Result<Vec<Nudged>> {
        let mut inner = self.0.lock().unwrap();
        let (later, now): (Vec<_>, Vec<_>) = std::mem::take(&mut inner.nudges).into_iter().partition(|it| busy.contains(&it.id));
        inner.nudges = later;
        Ok(now)
    }

    async fn close(&self) {}

    async fn cursor(&self, _: &str) -> Result<Option<String>> {
        unreachable!("the engine asks for no cursor")
    }
    async fn journal(&self, _: &str, _: Option<String>, _: Vec<NewEvent>) -> Result<Vec<Journalled>> {
        unreachable!("the engine journals nothing")
    }
    async fn known(&self, _: Vec<String>) -> Result<Vec<String>> {
        unreachable!("the engine asks for no events")
    }
    async fn event(&self, _: i64) -> Result<Option<(Event, Vec<(String, Rows)>)>> {
        unreachable!("the engine asks for no events")
    }
    async fn events(&self, _: Option<&str>, _: Option<i64>, _: u32) -> Result<Vec<(i64, Event)>> {
        unreachable!("the engine asks for no events")
    }
    async fn units(&self, _: i64, _: u32) -> Result<Vec<Unit>> {
        unreachable!("the engine asks for no units")
    }
    async fn state(&self, _: &str) -> Result<Vec<(String, String)>> {
        unreachable!("the engine asks for no state")
    }
    async fn sent(&self, _: i64, _: &str, _: i64) -> Result<u32> {
        unreachable!("the engine counts nothing")
    }
    async fn end_unit(&self, _: UnitEnd) -> Result<Follows> {
        unreachable!("the engine ends no units")
    }
    async fn deliveries(&self, _: Filter) -> Result<Vec<DeliveryRow>> {
        unreachable!("the engine lists nothing")
    }
    async fn delivery(&self, _: i64) -> Result<Option<DeliveryStory>> {
        unreachable!("the engine shows nothing")
    }
    async fn explain(&self, _: &str, _: Option<&str>, _: u32) -> Result<Vec<UnitRow>> {
        unreachable!("the engine explains nothing")
    }
    async fn redeliver(&self, _: i64, _: bool, _: i64, _: &str) -> Result<std::result::Result<Delivery, String>> {
        unreachable!("the engine redelivers nothing")
    }
    async fn call_again(&self, _: i64, _: &str) -> Result<std::result::Result<(), String>> {
        unreachable!("the engine calls nothing")
    }
    async fn drop_delivery(&self, _: i64, _: &str) -> Result<std::result::Result<(), String>> {
        unreachable!("the engine drops nothing")
    }
    async fn retain(&self, _: &Retention) -> Result<(u64, u64)> {
        unreachable!("the engine removes nothing")
    }
}
