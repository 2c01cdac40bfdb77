//! How fast a lane, or an account at a destination, may go: services count what one conversation gets, or what comes from one user, whatever else goes there.

use std::collections::{HashMap, VecDeque};

use crate::transport::LaneLimit;

/// Lanes and accounts that are remembered before those are looked for that can be forgotten.
const MANY: usize = 1_000;

/// A lane: entry, endpoint and key. An account: destination, and what tells it from others.
pub(super) type Key = (String, String, String);

/// When requests of lanes with limits began.
#[derive(Debug, Default)]
pub(super) struct LanePaces(HashMap<Key, (i64, VecDeque<i64>)>);

impl LanePaces {
    /// Whether the next of a lane may begin now; if not, when.
    pub fn admits(&self, lane: &Key, limits: &[LaneLimit], now: i64) -> Result<(), i64> {
        let Some((_, began)) = self.0.get(lane) else { return Ok(()) };
        let until = limits.iter().filter_map(|limit| {
            let most = usize::try_from(limit.most.max(1)).unwrap_or(usize::MAX);
            // The one that has to be over before another may begin.
            let first = began.len().checked_sub(most).and_then(|at| began.get(at))?;
            Some(first + span(limit)).filter(|until| *until > now)
        });
        until.max().map_or(Ok(()), Err)
    }

    /// One begins.
    pub fn begin(&mut self, lane: Key, limits: &[LaneLimit], now: i64) {
        let Some(longest) = limits.iter().map(span).max() else { return };
        if self.0.len() >= MANY {
            self.0.retain(|_, (until, _)| *until > now);
        }
        let (until, began) = self.0.entry(lane).or_default();
        *until = now + longest;
        while began.front().is_some_and(|at| at + longest <= now) {
            began.pop_front();
        }
        began.push_back(now);
    }

    /// What began last made no request.
    pub fn give_back(&mut self, lane: &Key) {
        if let Some((_, began)) = self.0.get_mut(lane) {
            began.pop_back();
        }
    }
}

/// In milliseconds.
fn span(limit: &LaneLimit) -> i64 {
    i64::from(limit.seconds) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(key: &str) -> Key {
        ("entry".into(), "api".into(), key.into())
    }

    #[test]
    fn every_limit_counts() {
        let mut paces = LanePaces::default();
        let limits = [LaneLimit { most: 2, seconds: 2 }, LaneLimit { most: 4, seconds: 60 }];
        let mut began = Vec::new();
        let mut now = 0;
        while began.len() < 7 {
            match paces.admits(&lane("a"), &limits, now) {
                Ok(()) => {
                    paces.begin(lane("a"), &limits, now);
                    began.push(now);
                }
                Err(at) => {
                    assert!(at > now);
                    now = at;
                }
            }
        }
        assert_eq!(began, [0, 0, 2_000, 2_000, 60_000, 60_000, 62_000]);
        assert_eq!(paces.admits(&lane("b"), &limits, 0), Ok(()), "another lane");
        assert_eq!(paces.admits(&lane("a"), &[], now), Ok(()), "no limits any more");
    }

    #[test]
    fn what_made_no_request_does_not_count() {
        let mut paces = LanePaces::default();
        let limits = [LaneLimit { most: 1, seconds: 3_600 }];
        paces.begin(lane("a"), &limits, 0);
        assert_eq!(paces.admits(&lane("a"), &limits, 1), Err(3_600_000));
        paces.give_back(&lane("a"));
        assert_eq!(paces.admits(&lane("a"), &limits, 1), Ok(()));
    }

    #[test]
    fn lanes_that_are_quiet_are_forgotten() {
        let mut paces = LanePaces::default();
        for n in 0..5_000 {
            paces.begin(lane(&n.to_string()), &[LaneLimit { most: 1, seconds: 1 }], n * 10);
        }
        assert!(paces.0.len() <= MANY + 1, "{}", paces.0.len());
    }
}
