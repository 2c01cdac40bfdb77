//! Stopping, and a store that takes nothing.

use std::sync::Arc;

use super::super::lanes::Lanes;
use super::ends::mail;
use super::wire::status;
use super::{Rig, in_lane, new, seconds};
use crate::store::{Delivery, NewDelivery};
use crate::transport::{Body, HttpRequest, Payload};

#[tokio::test(start_paused = true)]
async fn a_drain_lets_what_is_under_way_end_and_begins_nothing() {
    let rig = Rig::new().await;
    rig.wire.takes("", seconds(10));
    rig.send(vec![in_lane("one", "a"), in_lane("two", "a"), new("three")]);
    tokio::time::sleep(seconds(1)).await;
    rig.engine.drain().await;
    let mut story = rig.store.story();
    story.sort();
    assert_eq!(story, ["one: delivered", "three: delivered"]);
    assert_eq!(rig.store.left(), 1);
    let rig = Rig::over(rig.store.clone()).await;
    rig.engine.idle().await;
    assert_eq!(rig.wire.uids(), ["two"]);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_cannot_be_stored_holds_its_lane_until_it_can() {
    let rig = Rig::new().await;
    rig.store.full(true);
    rig.send(vec![in_lane("one", "a"), in_lane("two", "a")]);
    tokio::time::sleep(seconds(300)).await;
    assert_eq!(rig.wire.uids(), ["one"], "sent once, and what came of it is kept");
    rig.store.full(false);
    rig.engine.idle().await;
    assert_eq!(rig.wire.uids(), ["one", "two"]);
    assert_eq!(*rig.heard.0.lock().unwrap(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn with_a_full_disk_no_more_is_sent_than_can_be_remembered() {
    let rig = Rig::new().await;
    rig.store.full(true);
    rig.send((0..500).map(|n| super::to(&n.to_string(), &n.to_string())).collect());
    tokio::time::sleep(seconds(300)).await;
    assert_eq!(rig.wire.uids().len(), 128);
    rig.store.full(false);
    rig.engine.idle().await;
    assert_eq!(rig.wire.uids().len(), 500, "none twice");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_also_with_a_full_disk() {
    let rig = Rig::new().await;
    rig.store.full(true);
    rig.send(vec![new("one")]);
    tokio::time::sleep(seconds(5)).await;
    rig.engine.drain().await;
    assert!(rig.store.story().is_empty());
    rig.store.full(false);
    let rig = Rig::over(rig.store.clone()).await;
    rig.engine.idle().await;
    assert_eq!(rig.wire.uids(), ["one"], "at least once: it is sent again");
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_slow_mail() {
    let rig = Rig::new().await;
    rig.wire.takes("slow", seconds(15 * 60));
    rig.send(vec![mail("slow", &["a@x"]), mail("slow too", &["a@x"])]);
    tokio::time::sleep(seconds(1)).await;
    let before = tokio::time::Instant::now();
    rig.engine.drain().await;
    assert!(before.elapsed() <= seconds(61), "{:?}", before.elapsed());
    assert_eq!(rig.store.left(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_works_no_more() {
    let Rig { store, wire, heard, engine, .. } = Rig::new().await;
    wire.tell("one", &[status(503)]);
    engine.push(store.insert(vec![new("one")]));
    tokio::time::sleep(seconds(1)).await;
    let watched = Arc::downgrade(&heard);
    drop((engine, heard));
    tokio::time::sleep(seconds(60)).await;
    assert!(watched.upgrade().is_none());
    assert_eq!(wire.uids(), ["one"]);
}

#[test]
fn contents_are_held_up_to_so_many_bytes() {
    const MIB: usize = 1 << 20;
    let body = Body::Text("x".repeat(MIB));
    let payload = Arc::new(Payload::Http(HttpRequest { method: "POST".into(), path: vec![], query: vec![], headers: vec![], body }));
    let mut lanes = Lanes::default();
    let large = |id: i64| Delivery { id, event: 1, attempts: 0, throttled: 0, due_ms: 0, new: NewDelivery { payload: payload.clone(), ..new("x") } };
    (1..=100).for_each(|id| drop(lanes.push(large(id))));
    assert!((30 * MIB..=32 * MIB).contains(&lanes.held()), "{}", lanes.held());
    assert_eq!(lanes.len(), 100, "the others are read when their turn comes");
    let held = (1..=100).filter(|id| lanes.begin(*id).is_some()).count();
    assert_eq!(held, 31);
    assert_eq!(lanes.held(), 0);
}
