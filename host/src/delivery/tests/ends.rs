//! How deliveries end: expiry, answers, recipients, and what goes wrong around them.

use std::sync::Arc;

use super::wire::{Meets, asked, failed, recipients, status};
use super::{Rig, in_lane, new, seconds};
use crate::store::{Job, NewDelivery, Settle, now_ms};
use crate::transport::{FailedKind, Mail, Part, Payload};

#[tokio::test(start_paused = true)]
async fn what_is_of_no_use_any_more_expires() {
    let rig = Rig::new().await;
    // Tries after 5 and 25 s; the next would be after 105.
    let soon = now_ms() + 60_000;
    rig.wire.tell("one", &vec![status(503); 10]);
    rig.send(vec![NewDelivery { expires_ms: soon, ..in_lane("one", "a") }, NewDelivery { expires_ms: soon - 50_000, ..in_lane("two", "a") }]);
    rig.engine.idle().await;
    let (of_one, of_two): (Vec<_>, Vec<_>) = rig.store.story().into_iter().partition(|line| line.starts_with("one"));
    assert_eq!(of_two, ["two: dead: expired: it was not delivered while it was of use"]);
    let (last, before) = of_one.split_last().unwrap();
    assert_eq!(last, "one: dead: expired before another try could be made: the answer was 503");
    assert_eq!(before, ["one: again: the answer was 503"; 3], "and one shortly before the end");
    assert!((50..56).contains(&rig.wire.times("one")[3].as_secs()), "{:?}", rig.wire.times("one"));
    assert!(rig.wire.times("two").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_last_try_is_not_before_the_remote_wants_one() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[asked(500, 3_600)]);
    rig.send(vec![NewDelivery { expires_ms: now_ms() + 60_000, ..new("one") }]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["one: dead: expired before another try could be made: the answer was 500"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_try_may_be_the_one_that_delivers() {
    let rig = Rig::new().await;
    // As a receipt that somebody acknowledges late: the usual pauses come to an hour.
    rig.wire.tell("one", &vec![status(500); 6]);
    rig.send(vec![NewDelivery { expires_ms: now_ms() + 4_200_000, ..new("one") }]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story().last().unwrap(), "one: delivered");
    assert!((4_190..4_200).contains(&rig.wire.times("one")[6].as_secs()), "{:?}", rig.wire.times("one"));
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_is_tried_again() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[Meets::Panic]);
    rig.send(vec![new("one"), new("two")]);
    rig.engine.idle().await;
    let story = rig.store.story();
    assert!(story.iter().any(|line| line.starts_with("one: again: the attempt broke off")), "{story:?}");
    assert_eq!(story.last().unwrap(), "one: delivered");
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_does_not_end_is_given_up() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[Meets::Silence]);
    rig.send(vec![new("one")]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["one: again: the attempt took too long", "one: delivered"]);
    assert!(rig.wire.times("one")[1] > seconds(60));
}

#[tokio::test(start_paused = true)]
async fn mail_that_a_server_takes_slowly_is_sent_once_and_holds_up_nobody_else() {
    let rig = Rig::new().await;
    rig.wire.takes("slow", seconds(15 * 60));
    let slow = |n: usize| NewDelivery { destination: "relay".into(), ..mail(&format!("slow {n}"), &["a@x"]) };
    rig.send((0..20).map(slow).collect());
    tokio::time::sleep(seconds(1)).await;
    rig.send((0..200).map(|n| new(&n.to_string())).collect());
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(rig.store.left(), 20, "the others are through");
    rig.engine.idle().await;
    assert_eq!(rig.wire.uids().iter().filter(|uid| uid.starts_with("slow")).count(), 20, "none twice");
}

#[tokio::test(start_paused = true)]
async fn what_can_never_work_is_a_dead_letter_at_once() {
    let rig = Rig::new().await;
    rig.wire.tell("two", &[failed(FailedKind::Never)]);
    rig.send(vec![NewDelivery { entry: "gone".into(), ..new("one") }]);
    rig.send(vec![new("two")]);
    rig.engine.idle().await;
    let mut story = rig.store.story();
    story.sort();
    assert_eq!(story, ["one: dead: the settings have no entry \"gone\" with an endpoint \"main\" any more", "two: dead: Never"]);
    assert_eq!(rig.wire.uids(), ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_gets_its_answer_however_it_ends() {
    let rig = Rig::new().await;
    let tagged = |uid: &str| NewDelivery { tag: Some(format!("tag of {uid}")), supersede: Some(uid[..1].into()), ..in_lane(uid, uid) };
    rig.wire.tell("b1", &[status(404)]);
    rig.wire.tell("c1", &[status(503)]);
    rig.send(vec![tagged("a1"), tagged("b1"), tagged("c1"), new("without")]);
    tokio::time::sleep(seconds(1)).await;
    rig.send(vec![tagged("c2")]);
    rig.engine.idle().await;
    let answer = |job: &Job| match job {
        Job::Answered { tag, answer } => format!("{tag}: {} {}", answer.ended, answer.status),
        Job::Report => unreachable!("an answer"),
    };
    let mut answers: Vec<_> = rig.answered.lock().unwrap().iter().map(|unit| answer(&unit.job)).collect();
    answers.sort();
    assert_eq!(answers, ["tag of a1: delivered 200", "tag of b1: dead 404", "tag of c1: superseded 0", "tag of c2: delivered 200"]);
}

pub(super) fn mail(uid: &str, to: &[&str]) -> NewDelivery {
    let mail = Mail {
        sender: "ci@example.org".into(),
        to: to.iter().map(|address| (*address).to_owned()).collect(),
        cc: vec![],
        bcc: vec![],
        subject: uid.into(),
        headers: vec![],
        body: vec![Part { content_type: "text/plain".into(), text: uid.into() }],
        attachments: vec![],
        date: 1,
        only: None,
        dump: false,
    };
    NewDelivery { endpoint: "mail".into(), payload: Arc::new(Payload::Smtp(mail)), ..new(uid) }
}

fn only(payload: &Payload) -> Option<Vec<String>> {
    match payload {
        Payload::Smtp(mail) => mail.only.clone(),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn recipients_end_each_for_itself() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[recipients(&[("a@x", 250), ("b@x", 550), ("c@x", 451), ("d@x", 450)]), recipients(&[("c@x", 250), ("d@x", 250)])]);
    rig.send(vec![mail("one", &["a@x", "b@x", "c@x", "d@x"])]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story(), ["one: again: c@x: 451 said; d@x: 450 said", "one: delivered"]);
    let settled = rig.store.settled();
    let parts: Vec<_> = settled[0].split.iter().map(|part| (part.title.as_str(), only(&part.payload), part.dead.as_deref())).collect();
    let list = |address: &str| Some(vec![address.to_owned()]);
    assert_eq!(parts, [("one (to b@x)", list("b@x"), Some("b@x: 550 said")), ("one (to a@x)", list("a@x"), None)]);
    let tried: Vec<_> = rig.wire.made().iter().map(|made| only(&made.payload)).collect();
    assert_eq!(tried, [None, Some(vec!["c@x".to_owned(), "d@x".to_owned()])], "nobody gets it twice");
    assert!((48..=72).contains(&rig.wire.times("one")[1].as_secs()), "greylisting wants a minute");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_many_recipients_is_short() {
    let rig = Rig::new().await;
    let all: Vec<String> = (0..500).map(|n| format!("somebody{n}@x")).collect();
    let status = |n: usize| if n < 200 { 250 } else { 450 };
    let answer: Vec<(&str, u16)> = all.iter().enumerate().map(|(n, address)| (address.as_str(), status(n))).collect();
    rig.wire.tell("one", &[recipients(&answer), recipients(&answer[..200])]);
    rig.send(vec![mail("one", &all.iter().map(String::as_str).collect::<Vec<_>>())]);
    rig.engine.idle().await;
    assert_eq!(rig.store.story()[0], "one: again: somebody200@x, somebody201@x, somebody202@x and 297 more: 450 said");
    let titles: Vec<_> = rig.store.settled()[0].split.iter().map(|part| part.title.clone()).collect();
    assert_eq!(titles, ["one (to somebody0@x, somebody1@x, somebody2@x and 197 more)"]);
}

#[tokio::test(start_paused = true)]
async fn recipients_that_are_refused_do_not_hold_up_the_others() {
    let rig = Rig::new().await;
    rig.wire.tell("one", &[recipients(&[("a@x", 250), ("b@x", 550)])]);
    rig.wire.tell("two", &[recipients(&[("a@x", 550), ("b@x", 553)])]);
    rig.send(vec![mail("one", &["a@x", "b@x"]), mail("two", &["a@x", "b@x"])]);
    rig.engine.idle().await;
    let settled = rig.store.settled();
    let of = |id: i64| settled.iter().find(|one| one.delivery == id).unwrap();
    assert!(matches!(of(1).settle, Settle::Delivered));
    assert_eq!(of(1).split.len(), 1);
    assert!(matches!(&of(2).settle, Settle::Dead(_)), "all refused: one dead letter");
    assert!(of(2).split.is_empty());
}
