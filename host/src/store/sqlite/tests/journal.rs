use std::sync::Arc;

use super::{Fixture, all, end, event, new, retry, settled};
use crate::event::Keep;
use crate::store::{End, Filter, Job, Retention, Settle, Store, UnitEnd};

#[tokio::test]
async fn an_event_is_journalled_once_with_its_cursor() {
    let f = Fixture::new().await;
    let first = f.store.journal("main", Some("7".into()), vec![event("a", &["e", "f"]), event("b", &[])]).await.unwrap();
    assert_eq!(first.iter().map(|j| (j.seq, j.units.len())).collect::<Vec<_>>(), [(1, 2), (2, 0)]);
    let second = f.store.journal("main", Some("8".into()), vec![event("b", &["e"]), event("c", &["e"]), event("c", &["e"])]).await;
    assert_eq!(second.unwrap().iter().map(|j| j.event.id.clone()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(f.store.cursor("main").await.unwrap().as_deref(), Some("8"));
    f.store.journal("main", None, vec![]).await.unwrap();
    assert_eq!(f.store.cursor("main").await.unwrap().as_deref(), Some("8"));
    assert_eq!(f.store.cursor("other").await.unwrap(), None);
    assert_eq!(f.store.known(vec!["a".into(), "x".into()]).await.unwrap(), ["a"]);
    assert_eq!(f.store.units(0, 10).await.unwrap().len(), 3);
    assert_eq!(f.store.events(Some("c"), None, 5).await.unwrap()[0].0, 3);
    assert!(f.store.events(Some("%"), None, 5).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_kept_before_a_commit_is_there_after_it() {
    let f = Fixture::new().await;
    let unit = f.unit("a").await;
    let seq = unit.event;
    f.store.keep(seq, "steps", &Arc::new(vec![serde_json::json!("first")]));
    f.store.keep(seq, "steps", &Arc::new(vec![serde_json::json!("second")]));
    f.store.end_unit(end(unit, vec![])).await.unwrap();
    let (event, details) = f.store.event(seq).await.unwrap().unwrap();
    assert_eq!(event.id, "a");
    assert_eq!(details.len(), 2);
    assert_eq!(details[1], ("steps".to_owned(), vec![serde_json::json!("first")]));
}

#[tokio::test]
async fn a_unit_that_is_postponed_waits_and_writes_nothing() {
    let f = Fixture::new().await;
    let unit = f.unit("a").await;
    let again = UnitEnd { end: End::Again { due_ms: 99, why: "master away".into() }, ..end(unit, vec![new("x")]) };
    assert!(f.store.end_unit(again).await.unwrap().is_empty());
    let unit = f.store.units(0, 10).await.unwrap().remove(0);
    assert_eq!((unit.attempts, unit.due_ms, &unit.job), (1, 99, &Job::Report));
    let state = vec![("k".to_owned(), Some("v".to_owned())), ("l".to_owned(), Some("w".to_owned()))];
    let made = f.store.end_unit(UnitEnd { state, ..end(unit.clone(), vec![new("x"), new("y")]) }).await.unwrap();
    assert_eq!(made.iter().map(|d| d.id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(f.store.state("e").await.unwrap().len(), 2);
    assert!(f.store.end_unit(end(unit, vec![new("z")])).await.unwrap().is_empty(), "it has ended");
    let explained = f.store.explain("a", Some("e"), 5).await.unwrap();
    assert_eq!((explained[0].state.as_str(), explained[0].attempts), ("sent", 2));
    assert_eq!(explained[0].deliveries, [1, 2]);
    assert_eq!(explained[0].log, [("info".to_owned(), "line".to_owned())]);
}

#[tokio::test]
async fn state_is_deleted_with_the_unit_that_says_so() {
    let f = Fixture::new().await;
    let write = |value: Option<&str>| vec![("k".to_owned(), value.map(str::to_owned))];
    f.store.end_unit(UnitEnd { state: write(Some("1")), ..end(f.unit("a").await, vec![]) }).await.unwrap();
    f.store.end_unit(UnitEnd { state: write(None), ..end(f.unit("b").await, vec![]) }).await.unwrap();
    assert!(f.store.state("e").await.unwrap().is_empty());
}

#[tokio::test]
async fn retention_removes_what_has_ended_and_nothing_else() {
    let f = Fixture::new().await;
    let ended = f.sent("a", vec![new("x")]).await.remove(0);
    let waits = f.sent("b", vec![new("y")]).await.remove(0);
    f.unit("c").await;
    f.store.settle(settled(ended.id, Settle::Delivered)).await.unwrap();
    f.store.settle(settled(waits.id, retry())).await.unwrap();
    let keep = Retention { age: 3600, size: u64::MAX };
    assert_eq!(f.store.retain(&keep).await.unwrap(), (0, 0));
    // `ended before now`: let the clock's millisecond pass.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(f.store.retain(&Retention { age: 3600, size: 0 }).await.unwrap(), (1, 1));
    let left: Vec<i64> = f.store.deliveries(all()).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(left, [waits.id]);
    assert_eq!(f.store.waiting(0, 5).await.unwrap()[0].new.payload, waits.new.payload);
    assert!(f.store.event(ended.event).await.unwrap().is_none());
    assert_eq!(f.store.units(0, 5).await.unwrap().len(), 1);
    let again = f.store.journal("main", None, vec![event("a", &["e"])]).await.unwrap();
    assert!(again.is_empty(), "its id is remembered");
    let later = f.sent("d", vec![new("z")]).await.remove(0);
    assert!(later.id > waits.id, "numbers are not used again");
}

#[tokio::test]
async fn retention_by_size_gives_room_back() {
    let f = Fixture::new().await;
    let big = |uid: String| crate::store::NewDelivery { payload: super::payload(&"x".repeat(10_000)), ..new(&uid) };
    for n in 0..40 {
        let made = f.sent(&format!("e{n}"), (0..5).map(|m| big(format!("{n}-{m}"))).collect()).await;
        for delivery in made {
            f.store.settle(settled(delivery.id, Settle::Delivered)).await.unwrap();
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let before = f.store.used().await.unwrap();
    assert!(before > 2_000_000, "{before}");
    f.store.retain(&Retention { age: 3600, size: 1 << 20 }).await.unwrap();
    assert!(f.store.used().await.unwrap() < 1 << 20);
}

#[tokio::test]
async fn deliveries_are_found_by_each_filter() {
    let f = Fixture::new().await;
    let one = f.sent("main/builds/1/finished", vec![new("x_1")]).await.remove(0);
    f.sent("main/builds/2/finished", vec![new("y")]).await;
    f.store.settle(settled(one.id, Settle::Dead("HTTP 410: gone".into()))).await.unwrap();
    let found = async |filter: Filter| -> Vec<i64> {
        f.store.deliveries(filter).await.unwrap().iter().map(|row| row.id).collect()
    };
    assert_eq!(found(all()).await, [2, 1]);
    assert_eq!(found(Filter { state: Some("dead".into()), ..all() }).await, [1]);
    assert_eq!(found(Filter { state: Some("nonsense".into()), ..all() }).await, [0; 0]);
    assert_eq!(found(Filter { event: Some("builds/2".into()), ..all() }).await, [2]);
    assert_eq!(found(Filter { text: Some("410".into()), ..all() }).await, [1]);
    assert_eq!(found(Filter { text: Some("x_1".into()), ..all() }).await, [1]);
    assert_eq!(found(Filter { text: Some("x%1".into()), ..all() }).await, [0; 0]);
    assert_eq!(found(Filter { entry: Some("other".into()), ..all() }).await, [0; 0]);
    assert_eq!(found(Filter { before: Some(2), ..all() }).await, [1]);
    assert_eq!(found(Filter { limit: 1, ..Filter::default() }).await, [2]);
}
