use super::{Fixture, all, end, event, host, keyed, new, settled, waiting};
use crate::event::Keep;
use crate::store::sqlite::writer::Write;
use crate::store::{NewDelivery, Settle, Store, StoreError};

#[tokio::test]
async fn a_full_disk_refuses_whole_groups_and_loses_nothing() {
    let f = Fixture::new().await;
    let unit = f.unit("a").await;
    let seq = unit.event;
    f.store.write(Write::Raw("PRAGMA max_page_count = 1")).await.unwrap();
    f.store.keep(seq, "steps", &std::sync::Arc::new(vec![serde_json::json!("x".repeat(100_000))]));
    let big = || NewDelivery { payload: super::payload(&"x".repeat(1_000_000)), ..new("x") };
    let full = f.store.end_unit(end(unit.clone(), vec![big()])).await.unwrap_err();
    assert!(matches!(full, StoreError::Full(_)), "{full}");
    assert!(f.store.deliveries(all()).await.unwrap().is_empty());
    assert_eq!(f.store.units(0, 5).await.unwrap().len(), 1, "the unit still waits");
    f.store.write(Write::Raw("PRAGMA max_page_count = 1000000")).await.unwrap();
    assert_eq!(f.store.end_unit(end(unit, vec![big()])).await.unwrap().len(), 1);
    assert_eq!(f.store.event(seq).await.unwrap().unwrap().1.len(), 2, "what was to be kept is kept");
}

#[tokio::test]
async fn a_copy_of_the_files_taken_at_any_moment_is_a_whole_store() {
    let f = Fixture::new().await;
    f.sent("a", vec![keyed("x", "k"), new("y"), new("z")]).await;
    f.store.begin(1);
    f.store.begin(2);
    f.sent("b", vec![keyed("w", "k")]).await;
    f.store.settle(settled(3, Settle::Delivered)).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.db-wal"] {
        std::fs::copy(f.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let again = host(&copy.path().join("store.db")).await;
    assert_eq!(waiting(&again).await, [2, 4], "the attempt at 1 is unknown, and 4 replaces it");
    assert_eq!(again.delivery(1).await.unwrap().unwrap().row.state, "superseded");
    assert!(again.journal("main", None, vec![event("a", &["e"])]).await.unwrap().is_empty());
}

#[tokio::test]
async fn closing_lets_the_next_host_in() {
    let f = Fixture::new().await;
    f.sent("a", vec![new("x")]).await;
    f.store.close().await;
    assert!(f.store.journal("main", None, vec![]).await.unwrap_err().to_string().contains("closed"));
    let path = f.folder.path().join("store.db");
    assert_eq!(waiting(&host(&path).await).await, [1]);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let f = Fixture::new().await;
    f.store.write(Write::Raw("PRAGMA user_version = 99")).await.unwrap();
    f.store.close().await;
    let path = f.folder.path().join("store.db");
    let refused = super::SqliteStore::open(&path, super::Mode::Host).await.err().unwrap().to_string();
    assert!(refused.contains("newer reporter-host"), "{refused}");
}
