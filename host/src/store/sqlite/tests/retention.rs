//! Retention: what goes, what stays, and what is remembered.

use super::{Place, SqliteStore, new_delivery, new_event, payload, send, settled};
use crate::store::{Filter, NewDelivery, Retention, Settle, Store as _};

const DAYS_30: u64 = 30 * 24 * 3_600;

async fn ids(store: &SqliteStore) -> Vec<String> {
    let mut ids: Vec<_> = store.events(None, None, 100).await.unwrap().into_iter().map(|(_, event)| event.id).collect();
    ids.sort();
    ids
}

async fn delivered(store: &SqliteStore, id: &str) -> i64 {
    let made = send(store, id, vec![new_delivery(id)]).await;
    store.settle(settled(made[0].id, Settle::Delivered)).await.unwrap();
    made[0].id
}

#[tokio::test]
async fn what_ended_long_ago_goes_with_all_that_belongs_to_it() {
    let place = Place::new();
    let store = place.open().await;
    let old = delivered(&store, "main/old").await;
    send(&store, "main/waits", vec![new_delivery("waits")]).await;
    store.journal("main", None, vec![new_event("main/unseen", &["mail"])]).await.unwrap();
    store.journal("main", None, vec![new_event("main/nobody's", &[])]).await.unwrap();
    let late = send(&store, "main/late", vec![new_delivery("late")]).await;
    place
        .run(
            "UPDATE events SET journalled_ms = journalled_ms - 3600000; UPDATE units SET ended_ms = ended_ms - 3600000; \
               UPDATE deliveries SET ended_ms = ended_ms - 3600000",
        )
        .await;
    store.settle(settled(late[0].id, Settle::Dead("expired".into()))).await.unwrap();
    delivered(&store, "main/new").await;

    assert_eq!(store.retain(&Retention { age: 1_800, size: u64::MAX }).await.unwrap(), (2, 1));
    assert_eq!(ids(&store).await, ["main/late", "main/new", "main/unseen", "main/waits"], "a dead letter of now is to be seen");
    assert!(store.delivery(old).await.unwrap().is_none());
    let rest = store.retain(&Retention { age: 0, size: 0 }).await.unwrap();
    assert_eq!((rest, ids(&store).await), ((2, 2), vec!["main/unseen".to_owned(), "main/waits".to_owned()]), "what waits stays");
}

#[tokio::test]
async fn the_oldest_goes_when_it_is_too_large() {
    let place = Place::new();
    let store = place.open().await;
    for n in 100..300 {
        let made = send(&store, &format!("main/{n}"), vec![NewDelivery { payload: payload(&"x".repeat(10_000)), ..new_delivery(&n.to_string()) }]).await;
        store.settle(settled(made[0].id, Settle::Delivered)).await.unwrap();
    }
    let (events, deliveries) = store.retain(&Retention { age: u64::MAX, size: 1_500_000 }).await.unwrap();
    assert_eq!(events, deliveries);
    let left = ids(&store).await;
    assert_eq!(left.len() as u64, 200 - events);
    assert!((50..=150).contains(&left.len()), "{} left", left.len());
    assert_eq!(left.last().unwrap(), "main/299");
    assert_eq!(left[0], format!("main/{}", 100 + events), "the oldest went");
    assert_eq!(store.retain(&Retention { age: u64::MAX, size: 1_500_000 }).await.unwrap(), (0, 0), "and no more than that");
}

#[tokio::test]
async fn a_removed_event_is_not_journalled_again() {
    let place = Place::new();
    let store = place.open().await;
    delivered(&store, "main/1").await;
    store.retain(&Retention { age: 0, size: 0 }).await.unwrap();
    assert!(ids(&store).await.is_empty());
    assert_eq!(store.known(vec!["main/1".into()]).await.unwrap(), ["main/1"]);
    assert!(store.journal("main", None, vec![new_event("main/1", &["mail"])]).await.unwrap().is_empty());

    place.run("UPDATE past SET journalled_ms = journalled_ms - 29 * 86400000").await;
    store.retain(&Retention { age: 0, size: u64::MAX }).await.unwrap();
    assert_eq!(store.known(vec!["main/1".into()]).await.unwrap(), ["main/1"]);
    place.run("UPDATE past SET journalled_ms = journalled_ms - 2 * 86400000").await;
    store.retain(&Retention { age: DAYS_30 * 2, size: u64::MAX }).await.unwrap();
    assert_eq!(store.known(vec!["main/1".into()]).await.unwrap(), ["main/1"], "as long as events are kept");
    store.retain(&Retention { age: DAYS_30, size: u64::MAX }).await.unwrap();
    assert!(store.known(vec!["main/1".into()]).await.unwrap().is_empty());
    assert_eq!(store.journal("main", None, vec![new_event("main/1", &["mail"])]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn numbers_are_not_given_twice() {
    let place = Place::new();
    let store = place.open().await;
    let before = delivered(&store, "main/1").await;
    store.retain(&Retention { age: 0, size: 0 }).await.unwrap();
    store.close().await;
    drop(store);
    let store = place.open().await;
    let journalled = store.journal("main", None, vec![new_event("main/2", &["mail"])]).await.unwrap();
    assert_eq!((journalled[0].seq, journalled[0].units[0].id), (2, 2));
    let made = store.end_unit(super::sent(&journalled[0].units[0], vec![new_delivery("two")])).await.unwrap().deliveries;
    assert_eq!(made[0].id, before + 1);
    assert!(store.deliveries(Filter { before: Some(made[0].id), limit: 10, ..Filter::default() }).await.unwrap().is_empty());
}
