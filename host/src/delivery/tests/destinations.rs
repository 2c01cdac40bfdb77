//! Throttles, breakers, and fairness between destinations.

use super::wire::{Meets, asked, failed, status};
use super::{Memory, Rig, in_lane, new, seconds, to};
use crate::store::{NewDelivery, Rule, RuleVerdict, now_ms};
use crate::transport::{Answer, FailedKind};

#[tokio::test(start_paused = true)]
async fn so_many_a_minute() {
    let rig = Rig::new().await;
    rig.send((0..7).map(|n| NewDelivery { endpoint: "slow".into(), ..new(&n.to_string()) }).collect());
    rig.engine.idle().await;
    let minutes: Vec<u64> = rig.wire.made().iter().map(|made| made.at.as_secs() / 60).collect();
    assert_eq!(minutes, [0, 0, 0, 1, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn so_many_an_hour_of_one_account() {
    let rig = Rig::new().await;
    let of = |entry: &str, n: usize| NewDelivery { entry: entry.into(), endpoint: "hourly".into(), ..new(&format!("{entry} {n}")) };
    // Two entries with the same token, and one with another, whose turn comes last.
    rig.send((0..3).flat_map(|n| [of("a", n), of("chat", n)]).chain((0..3).map(|n| of("b", n))).collect());
    rig.send(vec![new("another endpoint")]);
    rig.engine.idle().await;
    let hours = |whose: &[&str]| -> Vec<u64> {
        rig.wire.made().iter().filter(|made| whose.iter().any(|of| made.uid.starts_with(of))).map(|made| made.at.as_secs() / 3_600).collect()
    };
    assert_eq!((hours(&["a ", "chat "]), hours(&["b "]), hours(&["another"])), (vec![0, 0, 1, 1, 2, 2], vec![0, 0, 1], vec![0]));
    // Of each account, one at a time says why it waits.
    let told = rig.store.story().into_iter().filter(|line| line.contains("requests that it may make in an hour")).collect::<Vec<_>>();
    assert!((3..=5).contains(&told.len()), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("b 2: again: its account has made the 2 requests that it may make in an hour")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_not_asked_either() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[asked(429, 7)]);
    rig.send(vec![new("one")]);
    tokio::time::sleep(seconds(1)).await;
    let held = rig.questions.admit("example.org", now_ms()).unwrap_err();
    assert!(held.why.contains("the answer was 429") && held.pause.is_some(), "{held:?}");
    assert_eq!(rig.questions.admit("example.net", now_ms()), Ok(()));
    rig.engine.idle().await;
    assert_eq!(rig.questions.admit("example.org", now_ms()), Ok(()));
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
    tokio::time::sleep(seconds(1)).await;
    assert_eq!([rig.wire.times("quick"), rig.wire.times("laned")].map(|times| times[0].as_secs()), [1, 1]);
    tokio::time::sleep(seconds(25)).await;
    assert!(rig.store.left() > 9_000);
    assert!(rig.wire.most() <= 128);
}

#[tokio::test(start_paused = true)]
async fn those_that_never_answer_take_no_place_of_those_that_do() {
    for silent in [8, 16, 60, 300] {
        let rig = Rig::new().await;
        rig.send(vec![to("known", "quick.example")]);
        rig.engine.idle().await;
        rig.wire.takes("silent", seconds(60));
        for n in 0..silent {
            for m in 0..8 {
                let uid = format!("silent {n} {m}");
                rig.wire.tell(&uid, &vec![Meets::Silence; 100]);
                rig.send(vec![to(&uid, &format!("silent{n}.example"))]);
            }
        }
        tokio::time::sleep(seconds(1)).await;
        let begun = rig.wire.made().len();
        assert!(begun > silent.min(40), "{silent}: {begun}");
        rig.send((0..4).map(|n| to(&format!("quick {n}"), "quick.example")).collect());
        rig.send(vec![to("new", "new.example")]);
        tokio::time::sleep(seconds(1)).await;
        let at = |uid: &str| rig.wire.times(uid).first().map(std::time::Duration::as_secs);
        assert_eq!((0..4).map(|n| at(&format!("quick {n}"))).collect::<Vec<_>>(), vec![Some(1); 4], "{silent}");
        // One that nobody knows yet is one of those that have not answered.
        assert_eq!(at("new"), (silent < 64).then_some(1), "{silent}");
    }
}

/// However a remote says that it wants no pause.
#[tokio::test(start_paused = true)]
async fn no_remote_makes_a_storm_of_itself() {
    let past = |name: &str, value: &str| {
        let headers = vec![(name.to_owned(), value.to_owned())];
        Meets::Answer(Box::new(Answer { status: 429, headers, ..Answer::default() }))
    };
    let again = Meets::Answer(Box::new(Answer { status: 500, headers: vec![("retry-after".into(), "0".into())], ..Answer::default() }));
    for meets in
        [asked(429, 0), past("ratelimit-reset", "0"), past("x-ratelimit-reset", "1700000000"), past("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"), again]
    {
        let rig = Rig::new().await;
        rig.wire.tell("one", &vec![meets; 8]);
        rig.send(vec![new("one")]);
        rig.engine.idle().await;
        let times: Vec<f64> = rig.wire.times("one").iter().map(std::time::Duration::as_secs_f64).collect();
        let pauses: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).round()).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_throttles_for_no_time_does_not_spin() {
    let rig = Rig::new().await;
    let rule = Rule { from: 200, to: 299, contains: "busy".into(), verdict: RuleVerdict::Throttle(0) };
    let busy = Meets::Answer(Box::new(Answer { status: 200, body: b"busy".to_vec(), ..Answer::default() }));
    rig.wire.tell("one", &vec![busy; 3]);
    rig.send(vec![NewDelivery { rules: vec![rule], ..new("one") }]);
    rig.engine.idle().await;
    assert_eq!(rig.wire.times("one").iter().map(std::time::Duration::as_secs).collect::<Vec<_>>(), [0, 1, 3, 7]);
}

#[tokio::test(start_paused = true)]
async fn throttles_are_no_failures() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[vec![asked(429, 10); 6], vec![status(502)]].concat());
    rig.send(vec![new("one")]);
    rig.engine.idle().await;
    let times: Vec<f64> = rig.wire.times("one").iter().map(std::time::Duration::as_secs_f64).collect();
    let pause = times[7] - times[6];
    assert!((4.0..6.5).contains(&pause), "the first pause after the first failure: {pause}");
}
