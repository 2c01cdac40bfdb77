//! The hostile guests' words and those of the tests are the same: none is left out, none is misspelt.

use std::collections::BTreeSet;

use super::{conversation, formatters, harmless, host, limits, refused, secrets};

/// The words at the beginning of match arms: `"loop" | "spin" if … => …`.
fn words(source: &str) -> BTreeSet<&str> {
    let arms = source.lines().filter_map(|line| line.trim().starts_with('"').then(|| line.split_once("=>")).flatten());
    let patterns = arms.map(|(pattern, _)| pattern.split(" if ").next().unwrap_or_default());
    let alternatives = patterns.flat_map(|pattern| pattern.split('|'));
    alternatives.filter_map(|it| it.trim().strip_prefix('"')?.strip_suffix('"')).collect()
}

fn compare(guest: &BTreeSet<&str>, tested: &[&'static str]) {
    let tested: BTreeSet<&str> = tested.iter().copied().collect();
    let untested: Vec<_> = guest.difference(&tested).collect();
    assert!(untested.is_empty(), "no table of the tests has {untested:?}");
    let unknown: Vec<_> = tested.difference(guest).collect();
    assert!(unknown.is_empty(), "the guest does not know {unknown:?}");
}

#[test]
fn every_word_of_the_reporter_is_in_a_table() {
    let mut guest = BTreeSet::new();
    for (source, least) in [
        (include_str!("../guests/hostile/src/configure.rs"), 30),
        (include_str!("../guests/hostile/src/report.rs"), 40),
        (include_str!("../guests/hostile/src/wire.rs"), 60),
        (include_str!("../guests/hostile/src/shell.rs"), 15),
    ] {
        let found = words(source);
        assert!(found.len() >= least, "{} words were read: {found:?}", found.len());
        guest.extend(found);
    }
    compare(
        &guest,
        &[limits::words(), refused::words(), harmless::words(), secrets::words(), conversation::words(), host::words(), formatters::asking()].concat(),
    );
}

#[test]
fn every_word_of_the_formatter_is_in_a_table() {
    compare(&words(include_str!("../guests/hostile-formatter/src/lib.rs")), &formatters::words());
}
