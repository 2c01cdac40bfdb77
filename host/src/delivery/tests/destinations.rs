//! Throttles, breakers, and fairness between destinations.

use super::wire::{asked, failed};
use super::{Memory, Rig, in_lane, new, seconds, to};
use crate::store::NewDelivery;
use crate::transport::FailedKind;

#[tokio::test(start_paused = true)]
async fn so_many_a_minute() {
    let rig = Rig::new().await;
    rig.send((0..7).map(|n| NewDelivery { endpoint: "slow".into(), ..new(&n.to_string()) }).collect());
    rig.engine.idle().await;
    let minutes: Vec<u64> = rig.wire.made().iter().map(|made| made.at.as_secs() / 60).collect();
    assert_eq!(minutes, [0, 0, 0, 1, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn so_many_at_a_time() {
    let rig = Rig::new().await;
    rig.wire.takes("", seconds(1));
    rig.send((0..5).map(|n| NewDelivery { endpoint: "single".into(), ..new(&n.to_string()) }).collect());
    rig.engine.idle().await;
    assert_eq!(rig.wire.most(), 1);
    rig.send((0..50).map(|n| new(&format!("many {n}"))).collect());
    rig.engine.idle().await;
    assert_eq!(rig.wire.most(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_asks_for_a_pause_gets_it_from_all() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[asked(429, 7)]);
    rig.send(vec![new("one")]);
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![new("two"), to("elsewhere", "example.net")]);
    rig.engine.idle().await;
    assert_eq!(rig.wire.times("elsewhere")[0].as_secs(), 1);
    assert_eq!(rig.wire.times("two")[0].as_secs(), 7);
    assert_eq!(rig.wire.times("one")[1].as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_for_the_delivery_alone_unless_all_are_meant() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[asked(500, 40)]);
    rig.send(vec![new("one")]);
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![new("two")]);
    rig.engine.idle().await;
    assert_eq!(rig.wire.times("two")[0].as_secs(), 1);
    assert_eq!(rig.wire.times("one")[1].as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_dead_remote_is_asked_one_at_a_time() {
    let rig = Rig::new().await;
    let uids: Vec<String> = (0..20).map(|n| format!("down {n}")).collect();
    rig.wire.takes("down", seconds(1));
    for uid in &uids {
        rig.wire.tell(uid, &vec![failed(FailedKind::NotSent); 3]);
    }
    rig.send(uids.iter().map(|uid| to(uid, "down.example")).collect());
    tokio::time::sleep(seconds(2)).await;
    rig.send(vec![to("up", "up.example")]);
    rig.engine.idle().await;
    assert_eq!(rig.wire.times("up")[0].as_secs(), 2);
    let down: Vec<f64> = rig.wire.made().iter().filter(|made| made.uid != "up").map(|made| made.at.as_secs_f64()).collect();
    assert!(down[..8].iter().all(|at| *at < 1.0), "eight at once: {down:?}");
    // It opens for 5 s, 10 s, 20 s … after each failure, and one goes to see.
    let mut opens = 5.0;
    for pair in down[7..12].windows(2) {
        let pause = pair[1] - pair[0];
        assert!(pause >= opens && pause < opens + 2.5, "{pause} after {opens}: {down:?}");
        opens *= 2.0;
    }
    assert_eq!(rig.store.left(), 0, "in the end all arrive");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_closes_the_destination_to_nobody_else() {
    let rig = Rig::new().await;
    for n in 0..6 {
        rig.wire.tell(&format!("mine {n}"), &[failed(FailedKind::NotTried)]);
        rig.send(vec![new(&format!("mine {n}"))]);
    }
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![NewDelivery { entry: "theirs".into(), ..new("theirs") }]);
    rig.engine.idle().await;
    assert_eq!(rig.wire.times("theirs")[0].as_secs(), 1);
    assert_eq!(rig.store.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_starves_nobody_and_is_not_read_whole() {
    let store = std::sync::Arc::<Memory>::default();
    store.insert((0..10_000).map(|n| to(&format!("slow {n}"), &format!("slow{}.example", n % 40))).collect());
    let rig = Rig::over(store).await;
    assert!(rig.store.largest_page() <= 100, "{} at a time", rig.store.largest_page());
    rig.wire.takes("slow", seconds(20));
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![to("quick", "quick.example"), in_lane("laned", "a")]);
    tokio::time::sleep(seconds(25)).await;
    // The next places that get free, after 20 s, are theirs.
    assert_eq!([rig.wire.times("quick"), rig.wire.times("laned")].map(|times| times.len()), [1, 1]);
    assert!(rig.store.left() > 9_000);
    assert!(rig.wire.most() <= 64);
}
