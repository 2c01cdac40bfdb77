//! Groups, cursors, restarts.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Place, event, new_delivery, new_event, send, sent, settled};
use crate::store::{Cause, DUE, End, Filter, Job, Mode, NewEvent, Reminder, Settle, SqliteStore, Store as _, StoreError, UnitEnd, now_ms};

#[tokio::test]
async fn writes_that_come_together_are_one_transaction() {
    let place = Place::new();
    let store = place.open().await;
    store.journal("main", Some("0".into()), vec![new_event("main/0", &[])]).await.unwrap();
    let before = place.commits();
    let write =
        |n: usize| store.journal(if n.is_multiple_of(2) { "main" } else { "other" }, Some(n.to_string()), vec![new_event(&format!("main/{n}"), &["a"])]);
    let journalled = join_all((1..=200).map(write)).await;
    assert_eq!(place.commits(), before + 1);
    let units: Vec<i64> = journalled.into_iter().map(|events| events.unwrap()[0].units[0].id).collect();
    assert_eq!(units, (1..=200).collect::<Vec<_>>());
    assert_eq!(store.cursor("main").await.unwrap().as_deref(), Some("200"));
    assert_eq!(store.cursor("other").await.unwrap().as_deref(), Some("199"));
}

#[tokio::test]
async fn what_cannot_be_written_does_not_take_its_group_with_it() {
    let place = Place::new();
    let store = place.open().await;
    send(&store, "main/1", vec![new_delivery("one")]).await;
    let journalled = store.journal("main", None, vec![new_event("main/2", &["mail", "chat"])]).await.unwrap();
    let [first, second] = &journalled[0].units[..] else { panic!("{journalled:?}") };
    let (again, fresh) =
        tokio::join!(store.end_unit(sent(first, vec![new_delivery("two"), new_delivery("one")])), store.end_unit(sent(second, vec![new_delivery("three")])),);
    assert!(matches!(&again, Err(StoreError::Failed(why)) if why.contains("deliveries.uid") || why.contains("deliveries_uid")), "{again:?}");
    let made = fresh.unwrap().deliveries;
    let waiting: Vec<_> = store.waiting(0, 10).await.unwrap().into_iter().map(|delivery| (delivery.id, delivery.new.uid)).collect();
    assert_eq!(waiting, [(1, "one".to_owned()), (made[0].id, "three".to_owned())]);
    assert_eq!(store.units(0, 10).await.unwrap().len(), 1, "it waits still");
}

#[tokio::test]
async fn an_event_is_journalled_once() {
    let place = Place::new();
    let store = place.open().await;
    let twice = |id| vec![new_event(id, &["mail"]), new_event(id, &["mail"])];
    let (one, two) = tokio::join!(store.journal("main", Some("1".into()), twice("main/1")), store.journal("main", Some("2".into()), twice("main/1")));
    assert_eq!((one.unwrap().len(), two.unwrap().len()), (1, 0));
    assert!(store.journal("main", Some("3".into()), twice("main/1")).await.unwrap().is_empty());
    assert_eq!(store.cursor("main").await.unwrap().as_deref(), Some("3"), "the cursor moves all the same");
    assert!(store.journal("main", None, vec![]).await.unwrap().is_empty());
    assert_eq!(store.cursor("main").await.unwrap().as_deref(), Some("3"));
    assert_eq!(store.known(vec!["main/1".into(), "main/2".into()]).await.unwrap(), ["main/1"]);
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let place = Place::new();
    let store = place.open().await;
    let steps = vec![serde_json::json!({ "name": "compile" })];
    let new = NewEvent { details: vec![("builds/1/steps".to_owned(), Arc::new(steps.clone()))], ..new_event("main/1", &["mail"]) };
    let journalled = store.journal("main", Some("7".into()), vec![new]).await.unwrap();
    let unit = &journalled[0].units[0];
    let write = |end, state| UnitEnd { end, state, ..sent(unit, vec![]) };
    let state = vec![("kept".to_owned(), Some("1".to_owned())), ("gone".to_owned(), Some("1".to_owned()))];
    store.end_unit(write(End::Again { due_ms: 9, why: "busy".into(), cause: Cause::NotNow }, state)).await.unwrap();
    let made = store
        .end_unit(UnitEnd { sends: vec![new_delivery("one"), new_delivery("two")], ..write(End::Sent, vec![("gone".into(), None)]) })
        .await
        .unwrap()
        .deliveries;
    store.settle(settled(made[0].id, Settle::Delivered)).await.unwrap();
    // No close: what was answered is durable.
    drop(store);
    let store = loop {
        // The lock goes with the last of the store's tasks.
        if let Ok(store) = SqliteStore::open(&place.file(), Mode::Host).await {
            break store;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(store.cursor("main").await.unwrap().as_deref(), Some("7"));
    assert_eq!(store.event(1).await.unwrap().unwrap(), (event("main/1"), vec![("builds/1/steps".to_owned(), steps)]));
    assert_eq!(store.state("mail").await.unwrap(), [("kept".to_owned(), "1".to_owned())]);
    assert!(store.units(0, 10).await.unwrap().is_empty());
    let waiting = store.waiting(0, 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].new.uid.as_str()), (1, "two"));
    let told = store.explain("main/1", None, 10).await.unwrap();
    assert_eq!((told[0].state.as_str(), told[0].attempts, &told[0].deliveries), ("sent", 2, &vec![1, 2]));
    assert_eq!(store.deliveries(Filter { limit: 10, ..Filter::default() }).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_unit_was_put_off_for_is_counted_over_a_restart() {
    let place = Place::new();
    let store = place.open().await;
    let mut unit = store.journal("main", None, vec![new_event("main/1", &["mail"])]).await.unwrap().remove(0).units.remove(0);
    for (due_ms, cause) in [(7, Cause::NotNow), (8, Cause::Failed), (9, Cause::Waited), (10, Cause::Failed), (11, Cause::NotNow)] {
        store.end_unit(UnitEnd { end: End::Again { due_ms, why: "busy".into(), cause }, ..sent(&unit, vec![]) }).await.unwrap();
        unit.put_off(due_ms, cause);
    }
    store.close().await;
    let store = place.open().await;
    let again = store.units(0, 10).await.unwrap().remove(0);
    assert_eq!((again.attempts, again.failed, again.waited, again.due_ms), (5, 2, 1, 11));
    assert_eq!(format!("{again:?}"), format!("{unit:?}"));
}

#[tokio::test]
async fn what_waits_is_told_for_what() {
    let place = Place::new();
    let store = place.open().await;
    let first = store.journal("main", None, vec![new_event("main/1", &["mail"])]).await.unwrap().remove(0).units.remove(0);
    store.journal("main", None, vec![new_event("main/2", &["mail", "chat"])]).await.unwrap();
    let mut of_west = new_event("west/1", &["mail"]);
    of_west.units[0].order = "west/buildrequests/2".into();
    store.journal("west", None, vec![of_west]).await.unwrap();
    let end = End::Again { due_ms: now_ms() + 60_000, why: "GET https://forge/x: the answer was 500".into(), cause: Cause::NotNow };
    store.end_unit(UnitEnd { end, ..sent(&first, vec![]) }).await.unwrap();
    let of = async |event: &str, entry: &str| store.explain(event, Some(entry), 10).await.unwrap().remove(0).why;
    assert_eq!(of("main/1", "mail").await.unwrap(), "GET https://forge/x: the answer was 500");
    assert_eq!(of("main/2", "mail").await.unwrap(), "an earlier one of this entry waits, main/1: GET https://forge/x: the answer was 500");
    assert_eq!(of("main/2", "chat").await, None);
    assert_eq!(of("west/1", "mail").await, None, "another source's holds up nothing");
}

#[tokio::test]
async fn a_second_host_is_refused_and_an_operator_is_not() {
    let place = Place::new();
    let store = place.open().await;
    let refused = SqliteStore::open(&place.file(), Mode::Host).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("another reporter-host runs on"), "{refused}");
    send(&store, "main/1", vec![new_delivery("one")]).await;
    assert_eq!(place.operator().await.waiting(0, 10).await.unwrap().len(), 1);
    store.close().await;
    drop(store);
    assert_eq!(place.open().await.waiting(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = Place::new();
    place.open().await.close().await;
    place.run("PRAGMA user_version = 1000").await;
    let refused = SqliteStore::open(&place.file(), Mode::Operator).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("written by a newer reporter-host (schema 1000"), "{refused}");
}

#[tokio::test]
async fn a_unit_ends_once() {
    let place = Place::new();
    let store = place.open().await;
    let journalled = store.journal("main", None, vec![new_event("main/1", &["mail"])]).await.unwrap();
    let unit = &journalled[0].units[0];
    let (one, two) = tokio::join!(store.end_unit(sent(unit, vec![new_delivery("one")])), store.end_unit(sent(unit, vec![new_delivery("two")])));
    assert_eq!((one.unwrap().deliveries.len(), two.unwrap().deliveries.len()), (1, 0));
    assert!(store.end_unit(sent(unit, vec![new_delivery("three")])).await.unwrap().deliveries.is_empty());
    assert_eq!(store.waiting(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reminder_waits_with_its_unit_over_a_restart() {
    let place = Place::new();
    let store = place.open().await;
    let journalled = store.journal("main", None, vec![new_event("main/1", &["mail"])]).await.unwrap();
    let unit = &journalled[0].units[0];
    let reminders = vec![Reminder { tag: "digest 1".into(), due_ms: 5_000_000_000_000, soon: false }];
    let made = store.end_unit(UnitEnd { reminders, ..sent(unit, vec![]) }).await.unwrap();
    assert!(made.deliveries.is_empty() && made.units.len() == 1);
    store.close().await;
    drop(store);
    let store = place.open().await;
    let waiting = store.units(0, 10).await.unwrap();
    let [reminder] = &waiting[..] else { panic!("{waiting:?}") };
    assert!(reminder.is_reminder() && reminder.id == made.units[0].id);
    assert_eq!((reminder.event, reminder.entry.as_str(), reminder.due_ms), (unit.event, "mail", 5_000_000_000_000));
    assert!(matches!(&reminder.job, Job::Answered { tag, answer } if tag == "digest 1" && answer.ended == DUE));
    // It goes when it has been, and comes once.
    assert!(store.end_unit(sent(reminder, vec![])).await.unwrap().units.is_empty());
    assert!(store.units(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_sent_of_an_event_is_counted_with_reminders_that_come_soon() {
    let place = Place::new();
    let store = place.open().await;
    let journalled = store.journal("main", None, vec![new_event("main/1", &["mail", "other"]), new_event("main/2", &["mail"])]).await.unwrap();
    let reminder = |soon| Reminder { tag: "t".into(), due_ms: now_ms() + 1_000, soon };
    let reminders = vec![reminder(true), reminder(false), reminder(true)];
    let made = store.end_unit(UnitEnd { reminders, ..sent(&journalled[0].units[0], vec![new_delivery("one")]) }).await.unwrap();
    assert_eq!(made.units.iter().map(|unit| unit.has_own_budget()).collect::<Vec<_>>(), [false, true, false]);
    let count = async |event: usize, entry, since_ms| store.sent(journalled[event].seq, entry, since_ms).await.unwrap();
    assert_eq!(count(0, "mail", 0).await, 3);
    assert_eq!([count(0, "other", 0).await, count(1, "mail", 0).await, count(0, "mail", now_ms() + 60_000).await], [0, 0, 0]);
    // Those that have come count as well.
    store.end_unit(sent(&made.units[0], vec![])).await.unwrap();
    assert_eq!(count(0, "mail", now_ms() - 60_000).await, 3);
}
