//! Random lives of an outbox, in SQLite and in the reference: after each step the same states and the same order.

use proptest::prelude::*;

use super::{event, host, new, settled};
use crate::store::reference::Reference;
use crate::store::sqlite::SqliteStore;
use crate::store::{Delivery, End, Job, NewDelivery, Settle, Store, Unit, UnitEnd};

/// One step; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// A unit ends with sends: key, lane and whether it is tagged.
    Send(Vec<(u8, u8, bool)>),
    Postpone,
    Begin(usize),
    Settle(usize, u8),
    Redeliver(usize, bool),
    Drop(usize),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec((0..4_u8, 0..3_u8, any::<bool>()), 0..4).prop_map(Step::Send),
        1 => Just(Step::Postpone),
        3 => (0..20_usize).prop_map(Step::Begin),
        5 => (0..20_usize, 0..3_u8).prop_map(|(at, how)| Step::Settle(at, how)),
        2 => (0..20_usize, any::<bool>()).prop_map(|(at, insist)| Step::Redeliver(at, insist)),
        1 => (0..20_usize).prop_map(Step::Drop),
        1 => Just(Step::Crash),
    ]
}

/// What is compared: number, lane, key, attempts, due unless it is the clock's.
fn line(delivery: &Delivery) -> (i64, Option<String>, Option<String>, u32, String) {
    let new = &delivery.new;
    (delivery.id, new.lane.clone(), new.supersede.clone(), delivery.attempts, new.uid.clone())
}

fn tags(units: &[Unit]) -> Vec<(i64, String, String)> {
    let tag = |unit: &Unit| match &unit.job {
        Job::Answered { tag, answer } => Some((unit.event, tag.clone(), answer.ended.clone())),
        Job::Report => None,
    };
    let mut tags: Vec<_> = units.iter().filter_map(tag).collect();
    tags.sort();
    tags
}

async fn compare(step: &Step, store: &SqliteStore, model: &Reference) {
    let mut rows = store.deliveries(super::all()).await.unwrap();
    rows.reverse();
    let states: Vec<_> = rows.into_iter().map(|row| (row.id, row.state)).collect();
    assert_eq!(states, model.states(), "after {step:?}");
    let order: Vec<_> = store.waiting(0, 1000).await.unwrap().iter().map(line).collect();
    let expected: Vec<_> = model.waiting(0, 1000).await.unwrap().iter().map(line).collect();
    assert_eq!(order, expected, "after {step:?}");
    let (units, expected) = (store.units(0, 1000).await.unwrap(), model.units(0, 1000).await.unwrap());
    assert_eq!(tags(&units), tags(&expected), "after {step:?}");
}

async fn live(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store = host(&path).await;
    let model = Reference::default();
    for (number, step) in steps.into_iter().enumerate() {
        let ids: Vec<i64> = model.states().into_iter().map(|(id, _)| id).collect();
        let pick = |at: usize| (!ids.is_empty()).then(|| ids[at % ids.len()]);
        match &step {
            Step::Send(_) | Step::Postpone => {
                let sends = match &step {
                    Step::Send(sends) => sends.as_slice(),
                    _ => &[],
                };
                let sends: Vec<NewDelivery> = sends
                    .iter()
                    .enumerate()
                    .map(|(at, (key, lane, tagged))| NewDelivery {
                        supersede: (*key > 0).then(|| key.to_string()),
                        lane: (*lane > 0).then(|| lane.to_string()),
                        tag: tagged.then(|| format!("{number}-{at}")),
                        ..new(&format!("{number}-{at}"))
                    })
                    .collect();
                let how = match &step {
                    Step::Send(_) => End::Sent,
                    _ => End::Again { due_ms: 0, why: "later".into() },
                };
                let mut made = Vec::new();
                for store in [&store as &dyn Store, &model] {
                    let journalled = store.journal("main", None, vec![event(&format!("e{number}"), &["e"])]).await.unwrap();
                    let unit = journalled[0].units[0].clone();
                    let end = UnitEnd { unit, end: how.clone(), sends: sends.clone(), state: vec![], log: vec![] };
                    made.push(store.end_unit(end).await.unwrap().iter().map(line).collect::<Vec<_>>());
                }
                assert_eq!(made[0], made[1]);
            }
            Step::Begin(at) => {
                let waiting = model.waiting(0, 1000).await.unwrap();
                if let Some(id) = (!waiting.is_empty()).then(|| waiting[at % waiting.len()].id) {
                    store.begin(id);
                    model.begin(id);
                }
            }
            Step::Settle(at, how) => {
                let Some(id) = pick(*at) else { continue };
                let how = match how {
                    0 => Settle::Delivered,
                    1 => Settle::Dead("refused".into()),
                    _ => Settle::Retry { due_ms: 7, why: "busy".into(), payload: None },
                };
                let unit = store.settle(settled(id, how.clone())).await.unwrap();
                let expected = model.settle(settled(id, how)).await.unwrap();
                assert_eq!(tags(unit.as_slice()), tags(expected.as_slice()));
            }
            Step::Redeliver(at, insist) => {
                let Some(id) = pick(*at) else { continue };
                let put = store.redeliver(id, *insist, 9, "anna").await.unwrap().ok();
                let expected = model.redeliver(id, *insist, 9, "anna").await.unwrap().ok();
                assert_eq!(put.as_ref().map(line), expected.as_ref().map(line));
            }
            Step::Drop(at) => {
                let Some(id) = pick(*at) else { continue };
                let dropped = store.drop_delivery(id, "anna").await.unwrap().is_ok();
                assert_eq!(dropped, model.drop_delivery(id, "anna").await.unwrap().is_ok());
            }
            Step::Crash => {
                // As the disk is at this moment, in another folder: the old store is never closed.
                let copy = folder.path().join(format!("copy{number}.db"));
                for end in ["", "-wal"] {
                    let from = format!("{}{end}", store_path(&path, number, &folder).display());
                    std::fs::copy(from, format!("{}{end}", copy.display())).unwrap();
                }
                std::fs::write(folder.path().join("now"), copy.to_str().unwrap()).unwrap();
                store = host(&copy).await;
                model.crash();
            }
        }
        compare(&step, &store, &model).await;
    }
}

/// The file in use.
fn store_path(first: &std::path::Path, _number: usize, folder: &tempfile::TempDir) -> std::path::PathBuf {
    std::fs::read_to_string(folder.path().join("now")).map_or_else(|_| first.to_owned(), Into::into)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_outbox_lives_as_the_reference_says(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(live(steps));
    }
}
