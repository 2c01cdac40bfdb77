//! What operators change beside the engine.

use super::wire::status;
use super::{Rig, in_lane, new, seconds};
use crate::store::{Job, TaggedAnswer, Unit};

#[tokio::test(start_paused = true)]
async fn a_dropped_delivery_leaves_its_lane_and_its_tag_is_answered() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &vec![status(503); 9]);
    let ids = rig.send(vec![in_lane("one", "a"), in_lane("two", "a")]);
    tokio::time::sleep(seconds(2)).await;
    let answer = TaggedAnswer { status: 0, headers: vec![], body: String::new(), ended: "dead".into() };
    let job = Job::Answered { tag: "t".into(), answer };
    rig.store.dropped(
        ids[0],
        Some(Unit { id: 9, event: 1, entry: "chat".into(), order: String::new(), job, made_ms: 0, attempts: 0, failed: 0, waited: 0, due_ms: 0 }),
    );
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["one: again: the answer was 503", "two: delivered"]);
    assert_eq!(rig.answered.lock().unwrap()[0].id, 9);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_sent_again_takes_its_old_place() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[status(404)]);
    rig.wire.tell("two", &[status(503)]);
    let made = rig.store.insert(vec![in_lane("one", "a"), in_lane("two", "a"), in_lane("three", "a")]);
    rig.engine.push(made.clone());
    tokio::time::sleep(seconds(1)).await;
    rig.store.again(made[0].clone());
    rig.engine.idle().await;
    assert_eq!(rig.wire.uids(), ["one", "two", "one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_sent_again_while_it_ends_is_not_forgotten() {
    let rig = Rig::new().await;
    rig.wire.takes("one", seconds(5));
    let made = rig.store.insert(vec![new("one")]);
    rig.engine.push(made.clone());
    tokio::time::sleep(seconds(2)).await;
    rig.store.again(made[0].clone());
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(rig.wire.uids(), ["one", "one"]);
}

#[tokio::test(start_paused = true)]
async fn dropped_and_sent_again_it_is_due_now() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[status(503), status(503), status(503)]);
    let made = rig.store.insert(vec![new("one")]);
    rig.engine.push(made.clone());
    tokio::time::sleep(seconds(40)).await;
    let before = rig.wire.times("one").len();
    rig.store.dropped(made[0].id, None);
    rig.store.again(made[0].clone());
    rig.engine.idle().await;
    let times = rig.wire.times("one");
    assert_eq!(before, 3);
    assert!((40..=42).contains(&times[3].as_secs()), "and not 80 s after the third: {times:?}");
}
