use super::{Fixture, end, keyed, new, payload, retry, settled, waiting};
use crate::store::sqlite::{Mode, SqliteStore};
use crate::store::{Job, NewDelivery, Settle, Settled, SplitOff, Store, TaggedAnswer};

#[tokio::test]
async fn a_newer_one_replaces_the_older_that_waits_and_says_so() {
    let f = Fixture::new().await;
    let mut feed = f.store.feed().expect("the feed");
    assert!(f.store.feed().is_none(), "there is one feed");
    let old = NewDelivery { tag: Some("t".into()), ..keyed("x", "k") };
    let old = f.sent("a", vec![old, keyed("other", "j"), new("none")]).await;
    let made = f.sent("b", vec![keyed("y", "k")]).await;
    assert_eq!(waiting(&f.store).await, [2, 3, 4]);
    let story = f.store.delivery(old[0].id).await.unwrap().unwrap();
    assert_eq!((story.row.state.as_str(), story.row.why.as_deref()), ("superseded", Some("replaced by delivery 4")));
    let first = feed.try_recv().unwrap();
    assert_eq!(first.waits.len(), 3);
    let second = feed.try_recv().unwrap();
    assert_eq!(second.waits[0].id, made[0].id);
    assert_eq!((second.ended[0].id, second.ended[0].by), (1, Some(4)));
    assert!(matches!(&second.units[0].job, Job::Answered { tag, answer } if tag == "t" && answer.ended == "superseded"));
    assert_eq!(f.store.units(0, 9).await.unwrap(), second.units);
}

#[tokio::test]
async fn one_call_that_sends_twice_with_a_key_sends_the_last() {
    let f = Fixture::new().await;
    let made = f.sent("a", vec![keyed("x", "k"), keyed("y", "k"), keyed("z", "k")]).await;
    assert_eq!(made.iter().map(|d| d.id).collect::<Vec<_>>(), [3]);
    assert_eq!(f.store.delivery(1).await.unwrap().unwrap().row.why.as_deref(), Some("replaced by delivery 2"));
}

#[tokio::test]
async fn what_is_in_flight_is_not_replaced_but_not_tried_again_either() {
    let f = Fixture::new().await;
    let mut feed = f.store.feed().unwrap();
    f.sent("a", vec![keyed("x", "k")]).await;
    f.store.begin(1);
    f.sent("b", vec![keyed("y", "k")]).await;
    assert_eq!(waiting(&f.store).await, [1, 2]);
    f.store.settle(settled(1, retry())).await.unwrap();
    assert_eq!((f.state(1).await.as_str(), waiting(&f.store).await), ("superseded", vec![2]));
    let told: Vec<_> = std::iter::from_fn(|| feed.try_recv().ok()).flat_map(|fed| fed.ended).collect();
    assert_eq!(told.iter().map(|gone| (gone.id, gone.by)).collect::<Vec<_>>(), [(1, Some(2))]);

    f.store.begin(2);
    f.sent("c", vec![keyed("z", "k")]).await;
    f.store.settle(settled(2, Settle::Delivered)).await.unwrap();
    assert_eq!((f.state(2).await.as_str(), waiting(&f.store).await), ("delivered", vec![3]));
}

#[tokio::test]
async fn an_answer_comes_back_once_as_a_unit() {
    let f = Fixture::new().await;
    f.sent("a", vec![NewDelivery { tag: Some("t".into()), ..new("x") }]).await;
    assert!(f.store.settle(settled(1, retry())).await.unwrap().is_none());
    let answer = TaggedAnswer { status: 201, headers: vec![], body: "{}".into(), ended: "delivered".into() };
    let ending = Settled { answer: Some(answer.clone()), ..settled(1, Settle::Delivered) };
    let unit = f.store.settle(ending.clone()).await.unwrap().expect("a unit");
    assert_eq!((unit.order.as_str(), &unit.job), ("1", &Job::Answered { tag: "t".into(), answer }));
    assert!(f.store.settle(ending).await.unwrap().is_none());
    let log = f.store.delivery(1).await.unwrap().unwrap().log;
    assert_eq!(log.len(), 3);
}

#[tokio::test]
async fn recipients_that_differ_get_lines_of_their_own() {
    let f = Fixture::new().await;
    f.sent("a", vec![new("x")]).await;
    let part = |to: &str, dead: Option<&str>| SplitOff {
        payload: payload(to),
        title: format!("to {to}"),
        dead: dead.map(str::to_owned),
    };
    let settle = Settle::Retry { due_ms: 9, why: "450 for c@".into(), payload: Some(payload("c@")) };
    let split = vec![part("a@", None), part("b@", Some("550 no such user"))];
    f.store.settle(Settled { split, ..settled(1, settle) }).await.unwrap();
    let rows: Vec<_> = f.store.deliveries(super::all()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.state.as_str()).collect::<Vec<_>>(), ["dead", "delivered", "waiting"]);
    let left = f.store.waiting(0, 5).await.unwrap().remove(0);
    assert_eq!((left.new.payload, left.due_ms, left.attempts), (payload("c@"), 9, 1));
    let dead = f.store.redeliver(3, false, 77, "anna").await.unwrap().unwrap();
    assert_eq!((dead.new.payload, dead.new.expires_ms), (payload("b@"), 77));
    assert_ne!(dead.new.uid, "x", "a number of its own");
}

#[tokio::test]
async fn redelivering_what_was_replaced_has_to_be_insisted_on() {
    let f = Fixture::new().await;
    f.sent("a", vec![keyed("x", "k")]).await;
    f.store.settle(settled(1, Settle::Dead("refused".into()))).await.unwrap();
    f.sent("b", vec![keyed("y", "k")]).await;
    f.store.settle(settled(2, Settle::Delivered)).await.unwrap();
    let refused = f.store.redeliver(1, false, 9, "anna").await.unwrap().unwrap_err();
    assert!(refused.contains("delivery 2 replaced delivery 1"), "{refused}");
    f.store.redeliver(1, true, 9, "anna").await.unwrap().unwrap();
    assert_eq!(waiting(&f.store).await, [1]);
    assert!(f.store.redeliver(1, true, 9, "anna").await.unwrap().unwrap_err().contains("waits already"));
    assert!(f.store.redeliver(8, true, 9, "anna").await.unwrap().is_err());
    f.store.redeliver(2, false, 9, "anna").await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_dropped_stays_dead_unless_it_arrived() {
    let f = Fixture::new().await;
    f.sent("a", vec![new("x"), new("y")]).await;
    for id in [1, 2] {
        f.store.begin(id);
        f.store.drop_delivery(id, "anna").await.unwrap().unwrap();
    }
    f.store.settle(settled(1, retry())).await.unwrap();
    f.store.settle(settled(2, Settle::Delivered)).await.unwrap();
    assert_eq!((f.state(1).await.as_str(), f.state(2).await.as_str()), ("dead", "delivered"));
    let refused = f.store.drop_delivery(2, "anna").await.unwrap().unwrap_err();
    assert!(refused.contains("it is delivered"), "{refused}");
}

#[tokio::test]
async fn a_call_that_cannot_work_does_not_take_its_group_with_it() {
    let f = Fixture::new().await;
    f.sent("a", vec![new("x")]).await;
    let (one, two) = (f.unit("b").await, f.unit("c").await);
    let (bad, good) = tokio::join!(f.store.end_unit(end(one, vec![new("x")])), f.store.end_unit(end(two, vec![new("y")])));
    assert!(bad.unwrap_err().to_string().contains("UNIQUE"));
    assert_eq!(good.unwrap().len(), 1);
}

#[tokio::test]
async fn many_at_once_are_all_there() {
    let f = Fixture::new().await;
    let store = std::sync::Arc::new(f.store);
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let journalled = store.journal("main", None, vec![super::event(&format!("a{n}"), &["e"])]).await.unwrap();
                let unit = journalled[0].units[0].clone();
                let made = store.end_unit(end(unit, vec![new(&format!("u{n}"))])).await.unwrap();
                store.begin(made[0].id);
                store.settle(settled(made[0].id, Settle::Delivered)).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let rows = store.deliveries(super::all()).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.state == "delivered").count(), 200);
    assert!(store.units(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_works_beside_the_host() {
    let f = Fixture::new().await;
    let path = f.folder.path().join("store.db");
    let mut feed = f.store.feed().unwrap();
    f.sent("a", vec![NewDelivery { tag: Some("t".into()), ..new("x") }, new("y")]).await;
    f.store.settle(settled(2, Settle::Dead("refused".into()))).await.unwrap();
    feed.try_recv().unwrap();

    let second = SqliteStore::open(&path, Mode::Host).await.err().unwrap().to_string();
    assert!(second.contains("another reporter-host runs"), "{second}");

    let operator = SqliteStore::open(&path, Mode::Operator).await.unwrap();
    operator.drop_delivery(1, "anna").await.unwrap().unwrap();
    operator.redeliver(2, false, i64::MAX, "anna").await.unwrap().unwrap();
    assert_eq!(waiting(&operator).await, [2]);
    operator.close().await;
    let fed = feed.recv().await.unwrap();
    assert_eq!((fed.waits[0].id, fed.ended[0].id, fed.units.len()), (2, 1, 1));
    assert_eq!(fed.units, f.store.units(0, 5).await.unwrap());

    let gone = SqliteStore::open(&f.folder.path().join("none.db"), Mode::Operator).await.err().unwrap().to_string();
    assert!(gone.contains("does not exist"), "{gone}");
}
