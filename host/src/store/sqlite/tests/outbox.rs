//! Whatever is asked of it, in whatever order, groups and restarts: the store is as the model.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::json;

use super::model::{self, How, Model};
use super::ops::{Op, Pick, entry, id, op};
use super::{Place, SqliteStore, line, new_delivery, new_event, payload};
use crate::event::Keep as _;
use crate::store::{Cause, End, Filter, Job, NewDelivery, Retention, Settle, Settled, SplitOff, Store as _, TaggedAnswer, Unit, UnitEnd};
use crate::transport::{Body, Payload};

/// The store, and what it is to look like.
struct Both {
    place: Place,
    store: Option<Arc<SqliteStore>>,
    model: Model,
    /// As it was before the group under way: nobody knows the numbers that a group gives before it is durable.
    before: Model,
    uids: u32,
}

/// A write under way, and what is to come of it; both as text.
type Asked = (Pin<Box<dyn Future<Output = String>>>, String);

impl Both {
    fn store(&self) -> Arc<SqliteStore> {
        self.store.clone().unwrap()
    }

    fn pick(&self, pick: Pick, of: usize, waiting: Vec<i64>) -> i64 {
        match pick.waiting && !waiting.is_empty() {
            true => waiting[pick.n % waiting.len()],
            // None has the number 0.
            false => pick.n as i64 % (self.before.last[of] + 1),
        }
    }

    fn delivery(&self, pick: Pick) -> i64 {
        let waiting = self.before.deliveries.iter().filter(|(_, delivery)| delivery.state == "waiting");
        self.pick(pick, 2, waiting.map(|(id, _)| *id).collect())
    }

    /// Asks the store and the model for a write.
    fn ask(&mut self, op: &Op) -> Asked {
        let (store, model) = (self.store(), &mut self.model);
        match op {
            Op::Journal { source, cursor, events } => {
                let (source, cursor) = (format!("source {source}"), cursor.map(|cursor| cursor.to_string()));
                let events: Vec<(String, Vec<String>)> = events.iter().map(|(n, entries)| (id(*n), entries.iter().map(|n| entry(*n)).collect())).collect();
                let expected = model.journal(&source, cursor.as_deref(), &events);
                let new = events.iter().map(|(id, entries)| new_event(id, &entries.iter().map(String::as_str).collect::<Vec<_>>()));
                let new = new.collect();
                let done = async move {
                    let journalled = store.journal(&source, cursor, new).await.unwrap();
                    format!("{:?}", journalled.iter().map(|one| one.seq).collect::<Vec<_>>())
                };
                (Box::pin(done), format!("{expected:?}"))
            }
            Op::Keep { event, path, text } => {
                // A detail is kept for an event that has not ended.
                let waiting: Vec<i64> = self.before.units.values().filter(|unit| unit.state == "waiting").map(|unit| unit.event).collect();
                if let Some(event) = waiting.get(event % waiting.len().max(1)).copied() {
                    let (path, text) = (path.to_string(), text.to_string());
                    model.keep(event, &path, &text);
                    let done = async move {
                        store.keep(event, &path, &Arc::new(vec![json!(text)]));
                        // It is only queued; what comes after it is durable no sooner.
                        store.journal("nobody", None, Vec::new()).await.unwrap();
                        String::new()
                    };
                    return (Box::pin(done), String::new());
                }
                (Box::pin(async { String::new() }), String::new())
            }
            Op::End { unit, end, sends, writes } => {
                let waiting = self.before.units.iter().filter(|(_, unit)| unit.state == "waiting").map(|(id, _)| *id).collect();
                let number = self.pick(*unit, 1, waiting);
                let of = self.model.units.get(&number).cloned();
                let (event, of) = of.map_or((1, entry(0)), |unit| (unit.event, unit.entry));
                let unit = Unit {
                    id: number,
                    event,
                    entry: of.clone(),
                    order: "b".into(),
                    job: Job::Report,
                    made_ms: 0,
                    attempts: 0,
                    failed: 0,
                    waited: 0,
                    due_ms: 0,
                };
                let (state, end) = match end {
                    0..=2 => ("sent", End::Sent),
                    3 => ("skipped", End::Skipped("mode".into())),
                    4 => ("failed", End::Failed("trap".into())),
                    _ => ("waiting", End::Again { due_ms: 7, why: "later".into(), cause: Cause::NotNow }),
                };
                let (mut new, mut expected) = (Vec::new(), Vec::new());
                for (lane, supersede, tagged) in sends {
                    self.uids += 1;
                    let text = format!("uid {}", self.uids);
                    let key = |n: &Option<u8>| n.map(|n| n.to_string());
                    let (lane, supersede, tag) = (key(lane), key(supersede), tagged.then(|| text.clone()));
                    let of = of.clone();
                    new.push(NewDelivery { entry: of, lane: lane.clone(), supersede: supersede.clone(), tag: tag.clone(), ..new_delivery(&text) });
                    let entry = String::new();
                    expected.push(model::Delivery {
                        event,
                        unit: number,
                        entry,
                        lane,
                        supersede,
                        tag,
                        text,
                        part: false,
                        state: "waiting",
                        attempts: 0,
                        lines: 0,
                        why: None,
                    });
                }
                let writes: Vec<_> = writes.iter().map(|(key, value)| (key.to_string(), value.map(|value| value.to_string()))).collect();
                let expected = self.model.end(number, state, expected, &writes);
                let done = async move {
                    let made = store
                        .end_unit(UnitEnd { unit, end, sends: new, state: writes, log: Vec::new(), reminders: Vec::new(), letter: None })
                        .await
                        .unwrap()
                        .deliveries;
                    format!("{:?}", made.iter().map(|one| one.id).collect::<Vec<_>>())
                };
                (Box::pin(done), format!("{expected:?}"))
            }
            Op::Settle { delivery, how, attempt, parts } => {
                let number = self.delivery(*delivery);
                let how = match how {
                    0 | 1 => How::Delivered,
                    2 => How::Superseded(number + 1),
                    3 => How::Dead,
                    _ => How::Retry { left: (*how == 4).then(|| "what is left".to_owned()) },
                };
                let parts = if *attempt { parts.clone() } else { Vec::new() };
                let settle = match how.clone() {
                    How::Delivered => Settle::Delivered,
                    How::Superseded(by) => Settle::Superseded(by),
                    How::Dead => Settle::Dead("refused".into()),
                    How::Retry { left } => Settle::Retry { due_ms: 7, why: "busy".into(), payload: left.map(|left| payload(&left)), throttled: false },
                };
                let ended = ["delivered", "superseded", "dead", ""][match how {
                    How::Delivered => 0,
                    How::Superseded(_) => 1,
                    How::Dead => 2,
                    How::Retry { .. } => 3,
                }];
                let answer = (!ended.is_empty()).then(|| TaggedAnswer { status: 0, headers: vec![], body: String::new(), ended: ended.into() });
                let whole = self.model.deliveries.get(&number).cloned();
                let split = whole.iter().flat_map(|whole| {
                    parts.iter().map(move |delivered| SplitOff {
                        of: NewDelivery {
                            entry: whole.entry.clone(),
                            lane: whole.lane.clone(),
                            supersede: whole.supersede.clone(),
                            tag: whole.tag.clone(),
                            ..new_delivery(&whole.text)
                        },
                        event: whole.event,
                        payload: payload("part"),
                        title: "part".into(),
                        dead: (!delivered).then(|| "no".to_owned()),
                    })
                });
                let settled = Settled { delivery: number, attempt: attempt.then(|| line("x")), settle, split: split.collect(), answer };
                let expected = self.model.settle(number, &how, *attempt, &parts);
                let done = async move { format!("{:?}", store.settle(settled).await.unwrap().map(|unit| unit.id)) };
                (Box::pin(done), format!("{expected:?}"))
            }
            _ => unreachable!("not a write: {op:?}"),
        }
    }

    async fn act(&mut self, op: &Op) {
        self.before = self.model.clone();
        match op {
            Op::Together(ops) => {
                let (asked, expected): (Vec<_>, Vec<_>) = ops.iter().map(|op| self.ask(op)).unzip();
                assert_eq!(join_all(asked).await, expected);
            }
            Op::Redeliver { delivery, insist } => {
                let id = self.delivery(*delivery);
                let done = self.store().redeliver(id, *insist, i64::MAX, "op").await.unwrap();
                assert_eq!(done.map(|delivery| delivery.id).ok(), self.model.redeliver(id, *insist).then_some(id));
            }
            Op::Drop { delivery } => {
                let id = self.delivery(*delivery);
                let done = self.store().drop_delivery(id, "op").await.unwrap();
                assert_eq!(done.is_ok(), self.model.drop(id));
            }
            Op::Nudged { busy } => {
                let busy: Vec<i64> = busy.iter().map(|pick| self.delivery(*pick)).collect();
                let told = self.store().nudged(busy.clone()).await.unwrap();
                let told: Vec<_> = told.into_iter().map(|it| (it.id, it.waits.is_some(), it.answer.map(|unit| unit.id))).collect();
                assert_eq!(told, self.model.nudged(&busy));
            }
            Op::Retain { all } => {
                let retention = Retention { age: u64::MAX, size: if *all { 0 } else { u64::MAX } };
                let removed = self.store().retain(&retention).await.unwrap();
                assert_eq!(removed, if *all { self.model.retain() } else { (0, 0) });
            }
            Op::Reopen => {
                self.store().close().await;
                self.store = None;
                self.store = Some(Arc::new(self.place.open().await));
            }
            write => {
                let (asked, expected) = self.ask(write);
                assert_eq!(asked.await, expected);
            }
        }
    }

    /// What the store shows, as a model.
    async fn seen(&self) -> Model {
        let (store, told) = (self.store(), &self.model);
        // Not to be seen from outside.
        let mut seen = Model { nudges: told.nudges.clone(), last: told.last, ..Model::default() };
        for source in ["source 0", "source 1"] {
            seen.cursors.extend(store.cursor(source).await.unwrap().map(|cursor| (source.to_owned(), cursor)));
        }
        seen.known.extend(store.known((0..30).map(id).collect()).await.unwrap());
        for (seq, event) in store.events(None, None, 1_000).await.unwrap() {
            seen.events.insert(seq, event.id);
            let (_, details) = store.event(seq).await.unwrap().unwrap();
            seen.details.extend(details.into_iter().map(|(path, rows)| ((seq, path), rows[0].as_str().unwrap().to_owned())));
        }
        for n in 0..3 {
            seen.state.extend(store.state(&entry(n)).await.unwrap().into_iter().map(|(key, value)| ((entry(n), key), value)));
        }
        // Of units that have ended only their events tell; what waits is seen whole.
        seen.units.extend(told.units.iter().filter(|(_, unit)| unit.state != "waiting").map(|(id, unit)| (*id, unit.clone())));
        for unit in store.units(0, 1_000).await.unwrap() {
            let answer = match unit.job {
                Job::Report => None,
                Job::Answered { tag, answer } => Some((tag, answer.ended)),
            };
            seen.units.insert(unit.id, model::Unit { event: unit.event, entry: unit.entry, state: "waiting", tries: unit.attempts, answer });
        }
        let waiting = store.waiting(0, 1_000).await.unwrap();
        assert!(waiting.windows(2).all(|pair| pair[0].id < pair[1].id), "in order");
        for row in store.deliveries(Filter { limit: 1_000, ..Filter::default() }).await.unwrap() {
            let story = store.delivery(row.id).await.unwrap().unwrap();
            let Some(Payload::Http(request)) = story.payload else { panic!("{row:?}") };
            let Body::Text(text) = request.body else { panic!("{row:?}") };
            let waits = waiting.iter().find(|delivery| delivery.id == row.id);
            let told = &told.deliveries[&row.id];
            assert_eq!(waits.is_some(), row.state == "waiting", "{row:?}");
            let state = ["waiting", "delivered", "superseded", "dead"].into_iter().find(|state| **state == row.state).unwrap();
            let delivery = model::Delivery {
                event: seen.events.iter().find(|(_, id)| **id == row.event).map(|(seq, _)| *seq).unwrap(),
                // Only what waits shows all of its terms.
                unit: told.unit,
                supersede: waits.map_or(told.supersede.clone(), |waits| waits.new.supersede.clone()),
                tag: waits.map_or(told.tag.clone(), |waits| waits.new.tag.clone()),
                entry: row.entry,
                lane: row.lane,
                text,
                part: told.part,
                state,
                attempts: row.attempts,
                lines: story.log.len(),
                why: row.why,
            };
            seen.deliveries.insert(row.id, delivery);
        }
        let replaced = waiting.iter().filter_map(|delivery| Some((delivery.id, self.model.newer(delivery.id)?)));
        assert_eq!(store.replaced().await.unwrap(), replaced.collect::<Vec<_>>());
        seen
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_as_the_model(ops in prop::collection::vec(op(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let store = Some(Arc::new(place.open().await));
            let mut both = Both { place, store, model: Model::default(), before: Model::default(), uids: 0 };
            for op in ops {
                both.act(&op).await;
                let seen = both.seen().await;
                both.model.same(&seen, &format!("after {op:?}"));
            }
        });
    }
}
