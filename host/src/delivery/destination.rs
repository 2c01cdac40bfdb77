//! Destinations: what throttles and circuit breakers are counted by.

use std::collections::{BTreeSet, VecDeque};

/// Attempts at a time at one destination, unless its endpoint says less.
const AT_ONCE: usize = 8;
/// Connections that fail in a row before the breaker opens.
const FAILURES: u32 = 5;
/// How long the breaker stays open at first, in milliseconds.
const OPEN_MS: i64 = 5_000;
/// How long it stays open at most, in milliseconds.
const OPEN_MOST_MS: i64 = 300_000;
/// Holds whose ends are no further apart are the same to an operator, in milliseconds.
const SAME_MS: i64 = 1_000;
/// The span of `most_per_minute`, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// One destination.
#[derive(Debug, Default)]
pub(super) struct Destination {
    /// Heads of lanes that are ready for it: when they became due, and which.
    pub ready: BTreeSet<(i64, i64)>,
    /// Attempts under way.
    pub in_flight: usize,
    paused_until: i64,
    /// Until when the operator was told that it is held, while it is.
    held_until: Option<i64>,
    failures: u32,
    sent: VecDeque<i64>,
}

/// What an operator is to be told about a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nothing goes there before this time.
    Until(i64),
    /// Deliveries go there again.
    Over,
}

/// What an endpoint's settings say about its destination.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub most_at_once: Option<u32>,
    pub most_per_minute: Option<u32>,
}

impl Destination {
    /// Whether an attempt may begin now; if not, when it is worth looking again (none: when one ends).
    pub fn admits(&mut self, pace: Pace, now: i64) -> Result<(), Option<i64>> {
        if now < self.paused_until {
            return Err(Some(self.paused_until));
        }
        let asked = pace.most_at_once.map_or(AT_ONCE, |most| usize::try_from(most).unwrap_or(AT_ONCE).clamp(1, AT_ONCE));
        // A breaker that was open lets one through, to see.
        let at_once = if self.failures >= FAILURES { 1 } else { asked };
        if self.in_flight >= at_once {
            return Err(None);
        }
        if let Some(most) = pace.most_per_minute {
            while self.sent.front().is_some_and(|at| at + MINUTE_MS <= now) {
                self.sent.pop_front();
            }
            if let Some(first) = self.sent.front()
                && self.sent.len() >= usize::try_from(most.max(1)).unwrap_or(usize::MAX)
            {
                return Err(Some(first + MINUTE_MS));
            }
        }
        Ok(())
    }

    /// An attempt begins.
    pub fn begin(&mut self, pace: Pace, now: i64) {
        self.in_flight += 1;
        if pace.most_per_minute.is_some() {
            self.sent.push_back(now);
        }
    }

    /// What began as an attempt made none, which says nothing about the remote.
    pub fn not_begun(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.sent.pop_back();
    }

    /// An attempt ended; `reached` tells whether anybody answered.
    fn end(&mut self, reached: bool, now: i64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if reached {
            self.failures = 0;
            return;
        }
        // Those that were under way when it opened say nothing new.
        if self.failures >= FAILURES && now < self.paused_until {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            let open = OPEN_MS << (self.failures - FAILURES).min(10);
            self.pause(now + open.min(OPEN_MOST_MS));
        }
    }

    /// An attempt ended, and the remote may have asked for a pause. Answers with what is new for an operator.
    pub fn ended(&mut self, reached: bool, pause_until: Option<i64>, now: i64) -> Option<Hold> {
        self.end(reached, now);
        if let Some(until) = pause_until {
            self.pause(until);
        }
        if self.paused_until > now {
            // Attempts under way bring the same news, a moment apart.
            let news = self.held_until.is_none_or(|told| self.paused_until > told + SAME_MS);
            return news.then(|| {
                self.held_until = Some(self.paused_until);
                Hold::Until(self.paused_until)
            });
        }
        (reached && self.held_until.take().is_some()).then_some(Hold::Over)
    }

    /// It can be reached again, as somebody knows who has a connection to it.
    pub fn reset(&mut self) {
        (self.failures, self.paused_until) = (0, 0);
    }

    /// Whether an operator still believes that it is held.
    pub fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Nothing goes there before.
    fn pause(&mut self, until: i64) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Whether it can be forgotten.
    pub fn is_idle(&self, now: i64) -> bool {
        self.ready.is_empty() && self.in_flight == 0 && self.failures == 0 && self.paused_until <= now && self.sent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_breaker_opens_and_lets_one_through() {
        let mut it = Destination::default();
        let pace = Pace::default();
        for now in 0..5 {
            assert_eq!(it.admits(pace, now), Ok(()));
            it.begin(pace, now);
            it.end(false, now);
        }
        assert_eq!(it.admits(pace, 100), Err(Some(4 + OPEN_MS)));
        assert_eq!(it.admits(pace, 4 + OPEN_MS), Ok(()));
        it.begin(pace, 4 + OPEN_MS);
        assert_eq!(it.admits(pace, 4 + OPEN_MS), Err(None), "one at a time");
        it.end(true, 4 + OPEN_MS);
        it.begin(pace, 4 + OPEN_MS);
        assert_eq!(it.admits(pace, 4 + OPEN_MS), Ok(()), "closed again");
    }

    #[test]
    fn failures_while_it_is_open_do_not_open_it_longer() {
        let mut it = Destination::default();
        let pace = Pace::default();
        (0..8).for_each(|_| it.begin(pace, 0));
        (0..8).for_each(|_| it.end(false, 10));
        assert_eq!(it.admits(pace, 20), Err(Some(10 + OPEN_MS)));
        it.begin(pace, 10 + OPEN_MS);
        it.end(false, 10 + OPEN_MS);
        assert_eq!(it.admits(pace, 10 + OPEN_MS), Err(Some(10 + OPEN_MS + 2 * OPEN_MS)), "twice as long each time");
    }

    #[test]
    fn so_many_a_minute_and_at_once() {
        let mut it = Destination::default();
        let pace = Pace { most_at_once: Some(2), most_per_minute: Some(3) };
        for now in [0, 10] {
            it.begin(pace, now);
        }
        assert_eq!(it.admits(pace, 20), Err(None));
        it.end(true, 20);
        it.begin(pace, 20);
        it.end(true, 21);
        assert_eq!(it.admits(pace, 30), Err(Some(MINUTE_MS)));
        assert_eq!(it.admits(pace, MINUTE_MS), Ok(()));
    }

    #[test]
    fn an_operator_is_told_once_for_each_hold() {
        let mut it = Destination::default();
        let begin = |it: &mut Destination, many: usize| (0..many).for_each(|_| it.begin(Pace::default(), 0));
        // Three under way are throttled, a fourth is taken: all the same hold.
        begin(&mut it, 5);
        assert_eq!(it.ended(true, Some(10_000), 100), Some(Hold::Until(10_000)));
        assert_eq!(it.ended(true, Some(10_400), 500), None);
        assert_eq!(it.ended(true, None, 600), None);
        assert_eq!(it.ended(true, Some(60_000), 700), Some(Hold::Until(60_000)), "much longer");
        assert!(it.is_held());
        assert_eq!(it.ended(true, None, 60_000), Some(Hold::Over));
        assert!(!it.is_held());

        // The breaker: told when it opens, each time that it opens for longer, and when somebody answers.
        begin(&mut it, 5);
        assert_eq!((0..5).map(|_| it.ended(false, None, 70_000)).collect::<Vec<_>>(), [None, None, None, None, Some(Hold::Until(70_000 + OPEN_MS))]);
        begin(&mut it, 1);
        assert_eq!(it.ended(false, None, 80_000), Some(Hold::Until(80_000 + 2 * OPEN_MS)));
        begin(&mut it, 1);
        assert_eq!(it.ended(true, None, 95_000), Some(Hold::Over));
        begin(&mut it, 1);
        assert_eq!(it.ended(true, None, 95_100), None);
    }

    #[test]
    fn a_pause_is_never_shortened() {
        let mut it = Destination::default();
        it.pause(500);
        it.pause(100);
        assert_eq!(it.admits(Pace::default(), 499), Err(Some(500)));
    }
}
