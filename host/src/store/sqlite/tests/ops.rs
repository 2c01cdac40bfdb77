//! What is asked of a store, at random.

use proptest::prelude::*;

/// One of those that wait, or one of all that ever were.
#[derive(Clone, Copy, Debug)]
pub struct Pick {
    pub waiting: bool,
    pub n: usize,
}

/// A delivery's lane, supersede key and tag.
pub type Send = (Option<u8>, Option<u8>, bool);

#[derive(Clone, Debug)]
pub enum Op {
    Journal { source: u8, cursor: Option<u8>, events: Vec<(u8, Vec<u8>)> },
    Keep { event: usize, path: u8, text: u8 },
    End { unit: Pick, end: u8, sends: Vec<Send>, writes: Vec<(u8, Option<u8>)> },
    Settle { delivery: Pick, how: u8, attempt: bool, parts: Vec<bool> },
    Together(Vec<Op>),
    Redeliver { delivery: Pick, insist: bool },
    Drop { delivery: Pick },
    Nudged { busy: Option<Pick> },
    Retain { all: bool },
    Reopen,
}

fn pick() -> impl Strategy<Value = Pick> {
    (prop::bool::weighted(0.8), 0..1_000_usize).prop_map(|(waiting, n)| Pick { waiting, n })
}

fn write() -> impl Strategy<Value = Op> {
    let events = prop::collection::vec((0..30_u8, prop::collection::vec(0..3_u8, 0..3)), 0..4);
    let send = (prop::option::of(0..2_u8), prop::option::of(0..2_u8), prop::bool::weighted(0.3));
    let writes = prop::collection::vec((0..3_u8, prop::option::of(0..9_u8)), 0..3);
    prop_oneof![
        2 => (0..2_u8, prop::option::of(0..9_u8), events).prop_map(|(source, cursor, events)| Op::Journal { source, cursor, events }),
        1 => (0..30_usize, 0..2_u8, 0..9_u8).prop_map(|(event, path, text)| Op::Keep { event, path, text }),
        4 => (pick(), 0..6_u8, prop::collection::vec(send, 0..3), writes)
            .prop_map(|(unit, end, sends, writes)| Op::End { unit, end, sends, writes }),
        4 => (pick(), 0..6_u8, prop::bool::weighted(0.8), prop::collection::vec(any::<bool>(), 0..2))
            .prop_map(|(delivery, how, attempt, parts)| Op::Settle { delivery, how, attempt, parts }),
    ]
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => write(),
        3 => prop::collection::vec(write(), 2..6).prop_map(Op::Together),
        2 => (pick(), any::<bool>()).prop_map(|(delivery, insist)| Op::Redeliver { delivery, insist }),
        2 => pick().prop_map(|delivery| Op::Drop { delivery }),
        2 => prop::option::of(pick()).prop_map(|busy| Op::Nudged { busy }),
        1 => any::<bool>().prop_map(|all| Op::Retain { all }),
        1 => Just(Op::Reopen),
    ]
}

pub fn id(n: u8) -> String {
    format!("main/builds/{n}/finished")
}

pub fn entry(n: u8) -> String {
    format!("entry {n}")
}
