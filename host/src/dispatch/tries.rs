//! Whether and when a call that failed is made again.

use std::time::Duration;

use crate::contract::Later;
use crate::sandbox::RunError;
use crate::store::{Cause, End, Unit};

/// Tries of a call that failed but may go better later.
const TRIES: u32 = 10;
/// Tries of a call that ran out of time waiting.
const TRIES_WAITING: u32 = 3;
/// The first pause and the longest, in milliseconds.
const PAUSE: (i64, i64) = (1_000, 300_000);

/// What a failed call of this unit leads to. What cannot be had for now is tried for as long as the report is of use
/// (`of_use`, from when the unit was made).
pub(super) fn after(unit: &Unit, error: RunError, of_use: Duration, now_ms: i64) -> End {
    let of_use = i64::try_from(of_use.as_millis()).unwrap_or(i64::MAX);
    match &error {
        RunError::NotNow(why) if now_ms.saturating_sub(unit.made_ms) < of_use => put_off(unit, why.clone(), now_ms),
        RunError::Later(Later { why, pause }) if now_ms.saturating_sub(unit.made_ms) < of_use => {
            let pause = pause.map_or(0, |pause| i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
            // When it is of no use any more, it is known that it was not told.
            let asked = now_ms.saturating_add(pause).min(unit.made_ms.saturating_add(of_use));
            match put_off(unit, why.clone(), now_ms) {
                End::Again { due_ms, why, cause } => End::Again { due_ms: due_ms.max(asked), why, cause },
                end => end,
            }
        }
        RunError::NotNow(why) | RunError::Later(Later { why, .. }) => {
            End::Failed(format!("{why}; it was tried for as long as the report is of use (`expires_after`)"))
        }
        RunError::Failed { message, again: true } if unit.failed + 1 < TRIES => again(unit.failed, message.clone(), Cause::Failed, now_ms),
        RunError::Limit("wait_ms") if unit.waited + 1 < TRIES_WAITING => again(unit.waited, error.to_string(), Cause::Waited, now_ms),
        _ => End::Failed(error.to_string()),
    }
}

/// Tries a unit again because of what cannot be had for now.
pub(super) fn put_off(unit: &Unit, why: String, now_ms: i64) -> End {
    let others = unit.failed + unit.waited;
    again(unit.attempts.saturating_sub(others), why, Cause::NotNow, now_ms)
}

/// After 1 s, 2 s, 4 s … 5 min: `tries` is how often it was for this cause already.
fn again(tries: u32, why: String, cause: Cause, now_ms: i64) -> End {
    let pause = (PAUSE.0 << tries.min(9)).min(PAUSE.1);
    End::Again { due_ms: now_ms.saturating_add(pause), why, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Job;

    const OF_USE: Duration = Duration::from_secs(3_600);

    fn unit() -> Unit {
        let (entry, order) = ("mail".to_owned(), String::new());
        Unit { id: 1, event: 1, entry, order, job: Job::Report, made_ms: 1_000, attempts: 0, failed: 0, waited: 0, due_ms: 1_000 }
    }

    fn not_now() -> RunError {
        RunError::NotNow("the master is away".into())
    }

    fn failed() -> RunError {
        RunError::Failed { message: "busy".into(), again: true }
    }

    /// Tries a unit with this error when it is due, as often as it is to be tried again at most so often.
    fn tried(unit: &mut Unit, error: &RunError, most: u32) -> (u32, Option<String>) {
        for n in 0..most {
            match after(unit, error.clone(), OF_USE, unit.due_ms) {
                End::Again { due_ms, cause, .. } => unit.put_off(due_ms, cause),
                End::Failed(why) => return (n + 1, Some(why)),
                other => panic!("{other:?}"),
            }
        }
        (most, None)
    }

    #[test]
    fn each_cause_has_tries_of_its_own() {
        let mut unit = unit();
        assert_eq!(tried(&mut unit, &not_now(), 15), (15, None));
        assert_eq!(tried(&mut unit, &failed(), 5), (5, None));
        assert_eq!(tried(&mut unit, &RunError::Limit("wait_ms"), 2), (2, None));
        assert_eq!((unit.attempts, unit.failed, unit.waited), (22, 5, 2));
        assert_eq!(tried(&mut unit.clone(), &failed(), 20), (5, Some("busy".into())), "the tenth try is the last");
        assert_eq!(tried(&mut unit, &RunError::Limit("wait_ms"), 20), (1, Some(RunError::Limit("wait_ms").to_string())), "the third is");
        assert_eq!(tried(&mut self::unit(), &RunError::Limit("compute_ms"), 20).0, 1);
        assert_eq!(tried(&mut self::unit(), &RunError::Failed { message: "no".into(), again: false }, 20).0, 1);
    }

    #[test]
    fn what_cannot_be_had_is_tried_for_as_long_as_it_is_of_use() {
        let mut unit = unit();
        let (tries, why) = tried(&mut unit, &not_now(), 1_000);
        // 1 s, 2 s … 256 s are 511 s; then every 300 s until the hour is over.
        assert_eq!(tries, 9 + 11 + 1);
        assert_eq!(why.unwrap(), "the master is away; it was tried for as long as the report is of use (`expires_after`)");
        assert!(unit.due_ms - unit.made_ms >= 3_600_000);
        assert!(matches!(after(&self::unit(), not_now(), Duration::MAX, i64::MAX), End::Again { due_ms: i64::MAX, .. }));
    }

    #[test]
    fn a_remote_that_asks_for_a_pause_gets_it() {
        let later = |seconds: Option<u64>| RunError::Later(Later { why: "the answer was 429".into(), pause: seconds.map(Duration::from_secs) });
        let due = |seconds, now| match after(&unit(), later(seconds), OF_USE, now) {
            End::Again { due_ms, cause: Cause::NotNow, .. } => due_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!((due(Some(60), 5_000), due(Some(0), 5_000), due(None, 5_000)), (65_000, 6_000, 6_000));
        assert_eq!(due(Some(86_400), 5_000), 3_601_000, "not longer than it is of use");
        let End::Failed(why) = after(&unit(), later(Some(60)), OF_USE, 3_601_000) else { panic!("tried again") };
        assert_eq!(why, "the answer was 429; it was tried for as long as the report is of use (`expires_after`)");
    }

    #[test]
    fn pauses_grow_by_cause() {
        let mut unit = unit();
        tried(&mut unit, &not_now(), 12);
        let due = |error, unit: &Unit| match after(unit, error, OF_USE, 0) {
            End::Again { due_ms, .. } => due_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!((due(not_now(), &unit), due(failed(), &unit)), (300_000, 1_000));
    }
}
