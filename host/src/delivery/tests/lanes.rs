//! Order, and superseding.

use super::wire::{failed, status};
use super::{Rig, in_lane, keyed, new, seconds};
use crate::store::NewDelivery;
use crate::transport::FailedKind;

#[tokio::test(start_paused = true)]
async fn a_retry_holds_up_its_own_lane_only() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[status(503), status(500)]);
    rig.send(vec![in_lane("one", "a"), in_lane("two", "a"), in_lane("three", "a"), in_lane("other", "b"), new("free")]);
    rig.engine.idle().await;
    let in_a: Vec<_> = rig.wire.uids().into_iter().filter(|uid| uid != "other" && uid != "free").collect();
    assert_eq!(in_a, ["one", "one", "one", "two", "three"]);
    assert_eq!(rig.wire.times("other"), rig.wire.times("free"));
    assert_eq!(rig.wire.times("other")[0].as_secs(), 0);
    let times = rig.wire.times("one");
    assert!((4..=6).contains(&(times[1] - times[0]).as_secs()), "{times:?}");
    assert!((16..=24).contains(&(times[2] - times[1]).as_secs()), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_lets_the_next_go_on() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[status(404)]);
    rig.send(vec![in_lane("one", "a"), in_lane("two", "a")]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["one: dead: the answer was 404", "two: delivered"]);
}

#[tokio::test(start_paused = true)]
async fn the_order_is_that_of_the_outbox_also_if_it_comes_in_late() {
    let rig = Rig::new().await;
    rig.wire.takes("", seconds(1));
    // Three a minute: the fourth of the endpoint has to wait, although it is ready.
    let slow = |uid: &str, lane: &str| NewDelivery { endpoint: "slow".into(), ..in_lane(uid, lane) };
    rig.send(vec![slow("x", "x"), slow("y", "y"), slow("z", "z")]);
    let made = rig.store.insert(vec![slow("first", "a"), slow("second", "a")]);
    rig.engine.push(vec![made[1].clone()]);
    tokio::time::sleep(seconds(5)).await;
    rig.engine.push(vec![made[0].clone()]);
    rig.engine.idle().await;
    assert_eq!(rig.wire.uids(), ["x", "y", "z", "first", "second"]);
    assert!(rig.wire.times("second")[0] > rig.wire.times("first")[0]);
}

#[tokio::test(start_paused = true)]
async fn a_newer_one_replaces_what_waits() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[status(503)]);
    rig.send(vec![keyed("one")]);
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![keyed("two"), keyed("three")]);
    rig.engine.idle().await;
    let mut story = rig.store.story();
    assert_eq!(story.remove(0), "one: again: the answer was 503");
    story.sort();
    assert_eq!(story, ["one: superseded by 2", "three: delivered", "two: superseded by 3"]);
    assert_eq!(rig.wire.uids(), ["one", "three"]);
}

#[tokio::test(start_paused = true)]
async fn one_in_flight_is_not_replaced() {
    let rig = Rig::new().await;
    rig.wire.takes("one", seconds(10));
    rig.send(vec![keyed("one")]);
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![keyed("two")]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["two: delivered", "one: delivered"]);
}

#[tokio::test(start_paused = true)]
async fn after_an_unknown_outcome_the_newer_one_is_sent_and_the_older_is_not_sent_again() {
    let rig = Rig::new().await;
    let laned = |uid: &str| NewDelivery { lane: Some("a".into()), ..keyed(uid) };
    rig.wire.takes("one", seconds(10));
    rig.wire.tell("one", &[failed(FailedKind::Unknown)]);
    rig.send(vec![laned("one")]);
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![laned("two")]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["one: again: Unknown", "one: superseded by 2", "two: delivered"]);
    assert_eq!(rig.wire.uids(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn an_older_one_that_comes_in_late_is_replaced_by_what_has_ended() {
    let rig = Rig::new().await;
    let made = rig.store.insert(vec![keyed("one"), keyed("two")]);
    rig.engine.push(vec![made[1].clone()]);
    rig.engine.idle().await;
    rig.engine.push(vec![made[0].clone()]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["two: delivered", "one: superseded by 2"]);
}

#[tokio::test(start_paused = true)]
async fn what_came_of_an_older_event_is_older_also_if_the_outbox_has_it_later() {
    let rig = Rig::new().await;
    let laned = |uid: &str| NewDelivery { lane: Some("a".into()), ..keyed(uid) };
    // The second build's unit has ended first.
    rig.engine.push(rig.store.insert_of(8, vec![laned("newer")]));
    rig.engine.push(rig.store.insert_of(7, vec![laned("older")]));
    rig.engine.idle().await;
    rig.engine.push(rig.store.insert_of(7, vec![laned("much later")]));
    rig.engine.idle().await;
    let mut story = rig.store.story();
    story.sort();
    assert_eq!(story, ["much later: superseded by 1", "newer: delivered", "older: superseded by 1"]);
    assert_eq!(rig.wire.uids(), ["newer"]);
}

#[tokio::test(start_paused = true)]
async fn of_one_event_the_later_one_is_newer() {
    let rig = Rig::new().await;
    rig.wire.tell("report", &[status(503)]);
    rig.engine.push(rig.store.insert_of(7, vec![keyed("report")]));
    tokio::time::sleep(seconds(1)).await;
    rig.engine.push(rig.store.insert_of(7, vec![keyed("answered")]));
    rig.engine.idle().await;
    assert_eq!(rig.store.story()[1..], ["report: superseded by 2", "answered: delivered"].map(str::to_owned));
}

#[tokio::test(start_paused = true)]
async fn an_older_one_is_replaced_also_by_what_ended_before_the_engine_started() {
    let rig = Rig::new().await;
    rig.engine.push(rig.store.insert_of(8, vec![NewDelivery { tag: Some("t".into()), ..keyed("newer") }]));
    rig.engine.idle().await;
    rig.engine.drain().await;
    let rig = Rig::over(rig.store.clone()).await;
    // A dead letter of a call that an operator retries: its unit runs again.
    rig.engine.push(rig.store.insert_of(7, vec![NewDelivery { tag: Some("t".into()), ..keyed("older") }]));
    rig.engine.push(rig.store.insert_of(9, vec![new("another")]));
    rig.engine.idle().await;
    let mut story = rig.store.story();
    story.sort();
    assert_eq!(story, ["another: delivered", "newer: delivered", "older: superseded by 1"]);
    assert_eq!(rig.wire.uids(), ["another"]);
    assert_eq!(rig.answered.lock().unwrap().len(), 1, "and its tag is answered");
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_start_is_taken_up_in_order_and_superseded() {
    let store = std::sync::Arc::<super::Memory>::default();
    store.insert(vec![in_lane("one", "a"), keyed("old"), in_lane("two", "a"), keyed("new")]);
    let rig = Rig::over(store).await;
    rig.engine.idle().await;
    let uids = rig.wire.uids();
    assert!(!uids.contains(&"old".to_owned()), "{uids:?}");
    let place = |uid: &str| uids.iter().position(|other| other == uid).unwrap();
    assert!(place("one") < place("two"));
    assert!(rig.store.story().contains(&"old: superseded by 4".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lane_keeps_to_its_pace_and_others_do_not_wait_for_it() {
    let rig = Rig::new().await;
    let chat = |uid: &str, lane: &str| NewDelivery { endpoint: "chats".into(), ..in_lane(uid, lane) };
    rig.send((0..5).map(|n| chat(&format!("a{n}"), "a")).chain([chat("b0", "b")]).collect());
    rig.engine.idle().await;
    let second = |uid: &str| rig.wire.times(uid)[0].as_secs();
    assert_eq!([0, 1, 2, 3, 4].map(|n| second(&format!("a{n}"))), [0, 0, 10, 10, 20]);
    assert_eq!(second("b0"), 0);
}
