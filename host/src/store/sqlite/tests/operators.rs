//! What an operator does beside a running host.

use super::{Place, SqliteStore, new_delivery, send, settled, state};
use crate::store::{End, Filter, Job, NewDelivery, Settle, Settled, Store as _, TaggedAnswer, Unit, UnitEnd, now_ms};

fn tagged(uid: &str) -> NewDelivery {
    NewDelivery { tag: Some("comment".into()), ..new_delivery(uid) }
}

fn answered(delivery: i64, settle: Settle, ended: &str) -> Settled {
    let answer = TaggedAnswer { status: 201, headers: Vec::new(), body: "7".into(), ended: ended.into() };
    Settled { answer: Some(answer), ..settled(delivery, settle) }
}

async fn answers(store: &SqliteStore) -> Vec<String> {
    let answer = |unit: Unit| match unit.job {
        Job::Answered { tag, answer } => format!("{tag}: {}", answer.ended),
        Job::Report => "report".into(),
    };
    store.units(0, 10).await.unwrap().into_iter().map(answer).collect()
}

#[tokio::test]
async fn a_dropped_delivery_is_told_once_and_its_tag_is_answered() {
    let place = Place::new();
    let store = place.open().await;
    let id = send(&store, "main/1", vec![tagged("one")]).await[0].id;
    let operator = place.operator().await;
    operator.drop_delivery(id, "ada").await.unwrap().unwrap();
    assert_eq!(state(&store, id).await, ("dead".into(), Some("dropped by ada".into())));
    let why = operator.drop_delivery(id, "ada").await.unwrap().unwrap_err();
    assert!(why.contains("does not wait"), "{why}");
    assert!(operator.nudged(vec![]).await.unwrap().is_empty(), "only the host is told");
    assert!(answers(&store).await.is_empty());

    let told = store.nudged(vec![]).await.unwrap();
    assert_eq!((told.len(), told[0].id, told[0].waits.is_none()), (1, id, true));
    assert_eq!(told[0].answer.as_ref().unwrap().entry, "mail");
    assert_eq!(answers(&store).await, ["comment: dead"]);
    assert!(store.nudged(vec![]).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_attempt_under_way_at_a_drop_is_believed() {
    let place = Place::new();
    let store = place.open().await;
    let made = send(&store, "main/1", vec![tagged("one"), tagged("two"), tagged("three")]).await;
    let [delivered, refused, busy] = [made[0].id, made[1].id, made[2].id];
    for id in [delivered, refused, busy] {
        store.drop_delivery(id, "ada").await.unwrap().unwrap();
    }
    assert!(store.nudged(vec![delivered, refused, busy]).await.unwrap().is_empty(), "not while they are busy");
    assert!(store.settle(answered(delivered, Settle::Delivered, "delivered")).await.unwrap().is_some());
    assert!(store.settle(answered(refused, Settle::Dead("404".into()), "dead")).await.unwrap().is_some());
    let later = Settle::Retry { due_ms: now_ms(), why: "503".into(), payload: None, throttled: false };
    assert!(store.settle(settled(busy, later)).await.unwrap().is_none());

    let told = store.nudged(vec![]).await.unwrap();
    assert_eq!(told.iter().map(|it| it.id).collect::<Vec<_>>(), [busy]);
    let (of_delivered, why) = state(&store, delivered).await;
    assert_eq!(of_delivered, "delivered");
    assert!(why.unwrap().contains("when it was dropped"));
    assert_eq!(state(&store, refused).await, ("dead".into(), Some("404".into())));
    assert_eq!(state(&store, busy).await, ("dead".into(), Some("dropped by ada".into())));
    assert_eq!(answers(&store).await, ["comment: delivered", "comment: dead", "comment: dead"], "each once");
}

#[tokio::test]
async fn a_dead_letter_is_sent_again() {
    let place = Place::new();
    let store = place.open().await;
    let id = send(&store, "main/1", vec![new_delivery("one")]).await[0].id;
    let why = store.redeliver(id, true, 0, "ada").await.unwrap().unwrap_err();
    assert!(why.contains("it waits for its turn already"), "{why}");
    store.settle(settled(id, Settle::Dead("401".into()))).await.unwrap();
    let expires = now_ms() + 5_000;
    let again = place.operator().await.redeliver(id, false, expires, "ada").await.unwrap().unwrap();
    assert_eq!((again.id, again.attempts, again.new.expires_ms, again.new.uid.as_str()), (id, 0, expires, "one"));
    let told = store.nudged(vec![]).await.unwrap();
    assert_eq!(told[0].waits.as_ref().unwrap().id, id);
    assert_eq!(store.delivery(id).await.unwrap().unwrap().log.len(), 1, "earlier attempts stay in the log");
    let none = store.redeliver(999, true, expires, "ada").await.unwrap().unwrap_err();
    assert_eq!(none, "there is no delivery 999");
}

#[tokio::test]
async fn what_a_newer_one_replaced_is_sent_again_only_on_insisting() {
    let place = Place::new();
    let store = place.open().await;
    let keyed = |uid: &str| NewDelivery { supersede: Some("status".into()), ..new_delivery(uid) };
    let made = send(&store, "main/1", vec![keyed("one"), keyed("two"), keyed("three")]).await;
    let [one, two, three] = [made[0].id, made[1].id, made[2].id];
    assert_eq!(store.replaced().await.unwrap(), [(one, three), (two, three)]);
    store.settle(settled(one, Settle::Superseded(three))).await.unwrap();
    store.settle(settled(two, Settle::Dead("expired".into()))).await.unwrap();
    store.settle(settled(three, Settle::Delivered)).await.unwrap();

    for (id, said) in [(one, "superseded by delivery 3"), (two, "delivery 3 is newer")] {
        let why = store.redeliver(id, false, i64::MAX, "ada").await.unwrap().unwrap_err();
        assert!(why.contains(said) && why.contains("--insist"), "{why}");
    }
    store.redeliver(one, true, i64::MAX, "ada").await.unwrap().unwrap();
    assert!(store.replaced().await.unwrap().is_empty(), "it is not replaced at once");
    let last = store.redeliver(three, false, i64::MAX, "ada").await.unwrap().unwrap();
    assert_eq!(last.new.supersede.as_deref(), Some("status"), "a newer one still replaces the newest");
}

#[tokio::test]
async fn what_is_newer_goes_by_the_event_and_not_by_the_outbox() {
    let place = Place::new();
    let store = place.open().await;
    let keyed = |uid: &str| NewDelivery { supersede: Some("status".into()), ..new_delivery(uid) };
    let events = store.journal("main", None, ["main/1", "main/2"].map(|id| super::new_event(id, &["mail"])).into()).await.unwrap();
    let [older, newer] = [0, 1].map(|n| events[n].units[0].clone());
    // The call for the first event fails for good, the second's is delivered, and the first is called again.
    let failed = UnitEnd { end: End::Failed("it trapped".into()), letter: Some("not reported".into()), ..super::sent(&older, vec![]) };
    store.end_unit(failed).await.unwrap();
    let letter = store.deliveries(Filter { limit: 1, ..Filter::default() }).await.unwrap()[0].id;
    let newest = store.end_unit(super::sent(&newer, vec![keyed("a"), keyed("b")])).await.unwrap().deliveries;
    for delivery in &newest {
        store.settle(settled(delivery.id, Settle::Delivered)).await.unwrap();
    }
    store.call_again(letter, "ada").await.unwrap().unwrap();
    let again = store.nudged(vec![]).await.unwrap()[0].answer.clone().unwrap();
    let late = store.end_unit(super::sent(&again, vec![keyed("late")])).await.unwrap().deliveries[0].id;
    let (first, last) = (newest[0].id, newest[1].id);
    assert!(late > last);
    assert_eq!(store.replaced().await.unwrap(), [(late, last)]);
    assert_eq!(store.newer(first).await.unwrap(), Some(last), "of one event the later one");
    assert_eq!(store.newer(last).await.unwrap(), None);
    assert_eq!(store.newer(late).await.unwrap(), Some(last));
    store.settle(settled(late, Settle::Superseded(last))).await.unwrap();
    assert!(store.redeliver(last, false, i64::MAX, "ada").await.unwrap().is_ok(), "nothing is newer");
    assert!(store.redeliver(late, false, i64::MAX, "ada").await.unwrap().unwrap_err().contains("--insist"));
    assert_eq!(store.redeliver(late, true, i64::MAX, "ada").await.unwrap().unwrap().new.supersede, None);
}

#[tokio::test]
async fn a_call_that_failed_for_good_is_a_dead_letter_and_can_be_made_again() {
    let place = Place::new();
    let store = place.open().await;
    let journalled = store.journal("main", None, vec![super::new_event("main/1", &["status"])]).await.unwrap();
    let unit = journalled[0].units[0].clone();
    let failed = |unit: &Unit| UnitEnd { end: End::Failed("it trapped".into()), letter: Some("not reported: build 1".into()), ..super::sent(unit, vec![]) };
    assert!(store.end_unit(failed(&unit)).await.unwrap().deliveries.is_empty(), "nothing is sent");
    let dead = |text: &str| Filter { state: Some("dead".into()), text: Some(text.into()), limit: 10, ..Filter::default() };
    for text in ["not reported", "it trapped"] {
        let rows = store.deliveries(dead(text)).await.unwrap();
        assert_eq!((rows.len(), rows[0].entry.as_str(), rows[0].event.as_str(), rows[0].endpoint.as_str()), (1, "status", "main/1", ""));
    }
    let id = store.deliveries(dead("")).await.unwrap()[0].id;
    assert!(store.delivery(id).await.unwrap().unwrap().payload.is_none());
    assert_eq!(store.sent(unit.event, "status", 0).await.unwrap(), 0);
    assert_eq!(store.explain("main/1", None, 10).await.unwrap()[0].deliveries, [id]);

    let operator = place.operator().await;
    let refused = operator.redeliver(id, true, i64::MAX, "ada").await.unwrap().unwrap_err();
    assert!(refused.contains("never came to a delivery"), "{refused}");
    operator.call_again(id, "ada").await.unwrap().unwrap();
    assert!(operator.call_again(id, "ada").await.unwrap().is_err(), "once");
    assert_eq!(state(&store, id).await, ("superseded".into(), Some("called again by ada".into())));
    let told = store.nudged(vec![]).await.unwrap();
    let again = told[0].answer.clone().unwrap();
    assert_eq!((told.len(), told[0].id, again.id, again.attempts, &again.job), (1, id, unit.id, 0, &Job::Report));
    // It fails once more.
    store.end_unit(failed(&again)).await.unwrap();
    let rows = store.deliveries(dead("")).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_ne!(rows[0].id, id);
}

#[tokio::test]
async fn throttles_are_counted_and_an_older_store_is_brought_up_to_date() {
    let place = Place::new();
    let store = place.open().await;
    let id = send(&store, "main/1", vec![new_delivery("one")]).await[0].id;
    for throttled in [true, false, true] {
        store.settle(settled(id, Settle::Retry { due_ms: 1, why: "429".into(), payload: None, throttled })).await.unwrap();
    }
    let waiting = &store.waiting(0, 1).await.unwrap()[0];
    assert_eq!((waiting.attempts, waiting.throttled), (3, 2));
    store.close().await;
    drop(store);
    // As the first version made it.
    let first = "DROP INDEX deliveries_of_key; CREATE INDEX deliveries_of_key ON deliveries (entry, endpoint, supersede, id) WHERE supersede IS NOT NULL; \
                 ALTER TABLE deliveries DROP COLUMN throttled; PRAGMA user_version = 1";
    place.run(first).await;
    let store = place.open().await;
    let waiting = &store.waiting(0, 1).await.unwrap()[0];
    assert_eq!((waiting.attempts, waiting.throttled), (3, 0));
}
