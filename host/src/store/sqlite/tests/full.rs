//! A full disk: nothing is lost, and everything goes on when there is room again.

use std::sync::Arc;

use serde_json::json;

use super::{Place, new_delivery, new_event, payload, send, sent, settled};
use crate::event::{Keep as _, Rows};
use crate::store::{NewDelivery, NewEvent, Retention, Settle, Store as _, StoreError};

fn large() -> String {
    "x".repeat(200_000)
}

fn large_event(id: &str) -> NewEvent {
    NewEvent { details: vec![("builds/1/steps".into(), Arc::new(vec![json!(large())]))], ..new_event(id, &["mail"]) }
}

#[tokio::test]
async fn nothing_is_lost_and_it_goes_on_when_there_is_room() {
    let place = Place::new();
    let store = place.open().await;
    let journalled = store.journal("main", Some("1".into()), vec![new_event("main/1", &["mail"])]).await.unwrap();
    let unit = &journalled[0].units[0];
    store.writer.pages(1).await.unwrap();

    let rows: Arc<Rows> = Arc::new(vec![json!(large())]);
    store.keep(1, "builds/1/properties", &rows);
    let refused = store.journal("main", Some("2".into()), vec![large_event("main/2")]).await;
    assert!(matches!(&refused, Err(StoreError::Full(_))), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("the state folder is full"));
    let end = sent(unit, vec![NewDelivery { payload: payload(&large()), ..new_delivery("one") }]);
    assert!(matches!(store.end_unit(end.clone()).await, Err(StoreError::Full(_))));
    // Small enough by itself; but what it was made from is not durable yet.
    assert!(matches!(store.end_unit(sent(unit, vec![])).await, Err(StoreError::Full(_))));
    assert_eq!(store.cursor("main").await.unwrap().as_deref(), Some("1"), "an event and its cursor go together");
    assert!(store.known(vec!["main/2".into()]).await.unwrap().is_empty());
    assert!(store.waiting(0, 10).await.unwrap().is_empty());
    assert_eq!(store.units(0, 10).await.unwrap().len(), 1);

    store.writer.pages(1_000_000).await.unwrap();
    assert_eq!(store.journal("main", Some("2".into()), vec![large_event("main/2")]).await.unwrap().len(), 1);
    assert_eq!(store.end_unit(end).await.unwrap().deliveries.len(), 1);
    let (_, details) = store.event(1).await.unwrap().unwrap();
    assert_eq!(details, [("builds/1/properties".to_owned(), rows.as_ref().clone())], "kept in the end");
    assert_eq!(store.cursor("main").await.unwrap().as_deref(), Some("2"));
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!((store.waiting(0, 10).await.unwrap().len(), store.units(0, 10).await.unwrap().len()), (1, 1));
}

#[tokio::test]
async fn what_still_fits_is_written() {
    let place = Place::new();
    let store = place.open().await;
    let made = send(&store, "main/1", vec![new_delivery("one")]).await;
    store.writer.pages(1).await.unwrap();
    let (large, small) =
        tokio::join!(store.journal("main", Some("2".into()), vec![large_event("main/2")]), store.settle(settled(made[0].id, Settle::Delivered)),);
    assert!(matches!(large, Err(StoreError::Full(_))));
    small.unwrap();
    assert_eq!(super::state(&store, made[0].id).await.0, "delivered");
}

#[tokio::test]
async fn retention_makes_room() {
    let place = Place::new();
    let store = place.open().await;
    for n in 0..20 {
        let made = send(&store, &format!("main/{n}"), vec![NewDelivery { payload: payload(&large()), ..new_delivery(&n.to_string()) }]).await;
        store.settle(settled(made[0].id, Settle::Delivered)).await.unwrap();
    }
    store.writer.pages(1).await.unwrap();
    assert!(matches!(store.journal("main", None, vec![large_event("main/20")]).await, Err(StoreError::Full(_))));
    assert_eq!(store.retain(&Retention { age: u64::MAX, size: 1_000_000 }).await.unwrap(), (20, 20));
    assert_eq!(store.journal("main", None, vec![large_event("main/20")]).await.unwrap().len(), 1);
}
