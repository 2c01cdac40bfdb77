//! Pairs what was recorded with what we sent, and counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::case::{Case, Recorded};
use crate::compare::{Difference, differences};
use crate::deviations::{DEVIATIONS, Pair};
use crate::wire::Sent;

/// What one of our entries sent.
pub struct Ours {
    /// The reporter that it stands for.
    pub reporter: String,
    /// The event, without the source's name: `builds/5/finished`.
    pub event: String,
    /// What arrived.
    pub sent: Sent,
}

/// What is counted of a reporter.
#[derive(Default)]
struct Count {
    compared: usize,
    equal: usize,
    deviating: BTreeMap<&'static str, usize>,
    failing: Vec<String>,
}

/// What is counted of all of them.
pub struct Tally {
    counts: BTreeMap<String, Count>,
    not_covered: BTreeSet<String>,
    show: usize,
}

impl Tally {
    /// For these reporters.
    pub fn new(covered: BTreeSet<String>) -> Self {
        let counts = covered.into_iter().map(|name| (name, Count::default())).collect();
        let show = std::env::var("CONFORMANCE_SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
        Self { counts, not_covered: BTreeSet::new(), show }
    }

    /// A call that failed, or a delivery that did.
    pub fn problem(&mut self, reporter: &str, problem: &str) {
        self.counts.entry(reporter.to_owned()).or_default().failing.push(problem.to_owned());
    }

    /// Compares a case.
    pub fn judge(&mut self, case: &Case, ours: Vec<Ours>) {
        let mut groups: BTreeMap<(String, String), (Vec<&Recorded>, Vec<&Ours>)> = BTreeMap::new();
        for recorded in &case.sent {
            if self.counts.contains_key(&recorded.reporter) {
                groups.entry((recorded.reporter.clone(), recorded.event.clone().unwrap_or_default())).or_default().0.push(recorded);
            } else {
                self.not_covered.insert(recorded.reporter.clone());
            }
        }
        let attributed = case.sent.iter().any(|recorded| recorded.event.is_some());
        for ours in ours.iter().filter(|ours| case.kept(&ours.reporter)) {
            let event = if attributed { ours.event.clone() } else { String::new() };
            groups.entry((ours.reporter.clone(), event)).or_default().1.push(ours);
        }
        for ((reporter, event), (recorded, ours)) in groups {
            let count = self.counts.entry(reporter.clone()).or_default();
            for (recorded, ours) in pairs(recorded, ours) {
                let found = match (recorded, ours) {
                    (Some(recorded), Some(ours)) => differences(&recorded.sent, &ours.sent),
                    (recorded, ours) => vec![Difference {
                        at: String::new(),
                        recorded: recorded.map(|recorded| recorded.sent.value().clone()),
                        ours: ours.map(|ours| ours.sent.value().clone()),
                    }],
                };
                let event = ours.map_or(event.as_str(), |ours| ours.event.as_str());
                let pair = Pair { case, reporter: &reporter, event, recorded: recorded.map(|it| it.sent.value()), ours: ours.map(|it| it.sent.value()) };
                count.add(&pair, &found, recorded.map_or("", |recorded| recorded.file.as_str()));
            }
        }
    }

    /// The deviations that were met.
    pub fn used(&self) -> BTreeSet<&'static str> {
        self.counts.values().flat_map(|count| count.deviating.keys().copied()).collect()
    }

    /// A line for each reporter, what fails, and who is not covered.
    pub fn print(&self, version: &str) {
        println!("\n{version}");
        println!("{:<22}{:>9}{:>7}{:>9}{:>8}   deviations", "reporter", "compared", "equal", "deviate", "fail");
        for (reporter, count) in &self.counts {
            let names: Vec<String> = count.deviating.iter().map(|(name, times)| format!("{name} ({times})")).collect();
            let deviate = count.compared - count.equal - count.failing.len().min(count.compared - count.equal);
            println!("{reporter:<22}{:>9}{:>7}{deviate:>9}{:>8}   {}", count.compared, count.equal, count.failing.len(), names.join(", "));
        }
        for (reporter, count) in &self.counts {
            for failing in count.failing.iter().take(self.show) {
                println!("\n{reporter}: {failing}");
            }
        }
        let used = self.used();
        println!("\ndeviations");
        for deviation in DEVIATIONS.iter().filter(|deviation| used.contains(deviation.name)) {
            println!("  {}: {}", deviation.name, deviation.reason);
        }
        if !self.not_covered.is_empty() {
            println!("\nrecorded, and not covered yet: {}", self.not_covered.iter().cloned().collect::<Vec<_>>().join(", "));
        }
    }

    /// How many comparisons went well.
    pub fn passed(&self) -> usize {
        self.counts.values().map(|count| count.compared - count.failing.len().min(count.compared)).sum()
    }

    /// How many did not.
    pub fn failed(&self) -> usize {
        self.counts.values().map(|count| count.failing.len()).sum()
    }
}

impl Count {
    fn add(&mut self, pair: &Pair<'_>, found: &[Difference], file: &str) {
        self.compared += 1;
        if found.is_empty() {
            self.equal += 1;
            return;
        }
        let mut names = BTreeSet::new();
        let mut unnamed = Vec::new();
        for difference in found {
            match DEVIATIONS.iter().find(|deviation| (deviation.covers)(pair, difference)) {
                Some(deviation) => {
                    names.insert(deviation.name);
                }
                None => unnamed.push(difference),
            }
        }
        if unnamed.is_empty() {
            for name in names {
                *self.deviating.entry(name).or_default() += 1;
            }
            return;
        }
        let mut text = format!("{} {} {file}", pair.case.name, pair.event);
        for difference in unnamed.iter().take(8) {
            text.push_str(&format!(
                "\n  {}\n    recorded: {}\n    ours:     {}",
                if difference.at.is_empty() { "(the whole)" } else { &difference.at },
                short(difference.recorded.as_ref()),
                short(difference.ours.as_ref())
            ));
        }
        self.failing.push(text);
    }
}

fn short(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".into() };
    let text = value.to_string();
    match text.char_indices().nth(1_500) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The two that differ least, then of the others the two that do, and so on; and what is left over on both sides.
fn pairs<'a>(mut recorded: Vec<&'a Recorded>, mut ours: Vec<&'a Ours>) -> Vec<(Option<&'a Recorded>, Option<&'a Ours>)> {
    let mut pairs = Vec::new();
    while !recorded.is_empty() && !ours.is_empty() {
        let all = (0..recorded.len()).flat_map(|theirs| (0..ours.len()).map(move |own| (theirs, own)));
        let nearest = all.min_by_key(|(theirs, own)| differences(&recorded[*theirs].sent, &ours[*own].sent).len());
        let Some((theirs, own)) = nearest else { break };
        pairs.push((Some(recorded.remove(theirs)), Some(ours.remove(own))));
    }
    pairs.extend(recorded.into_iter().map(|recorded| (Some(recorded), None)));
    pairs.extend(ours.into_iter().map(|ours| (None, Some(ours))));
    pairs
}
