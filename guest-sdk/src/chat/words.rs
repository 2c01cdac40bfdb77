//! What is said, in words. Replace what you want by a type of your own.

use super::text::{Line, Message};
use crate::results::{CANCELLED, EXCEPTION, FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};

/// The sentences of a bot. Every method has a default; facts come in, words go out.
pub trait Words: std::fmt::Debug {
    /// Somebody said hello.
    fn hello(&self, name: &str) -> Message {
        Message::from(format!("Hello, {name}! Say help to see what I can do."))
    }

    /// Somebody may not use a command. `advice` is a sentence about what could be done, or empty.
    fn denied(&self, name: &str, command: &str, advice: &str) -> Message {
        let line = Line::text("You may not use ").name(command).and(format!(" here, {name}."));
        Message::from(if advice.is_empty() { line } else { line.and(format!(" {advice}")) })
    }

    /// There is no such command.
    fn unknown(&self, command: &str, commands: &[String]) -> Message {
        Message::from(vec![Line::text("There is no command ").name(command).and("."), Line::text(format!("Commands: {}", commands.join(", ")))])
    }

    /// Somebody shouts at the bot.
    fn shouted(&self) -> Message {
        Message::from("What do you say?")
    }

    /// How a build ended, as the end of a sentence that begins with the build.
    fn ended(&self, results: Option<u8>) -> &'static str {
        match results {
            None => "is still running",
            Some(SUCCESS) => "completed successfully",
            Some(WARNINGS) => "completed with warnings",
            Some(FAILURE) => "failed",
            Some(SKIPPED) => "was skipped",
            Some(EXCEPTION) => "stopped with an exception",
            Some(RETRY) => "is to be tried again",
            Some(CANCELLED) => "was cancelled",
            Some(_) => "ended in an unknown way",
        }
    }

    /// A build has begun. `build` names it: `Build #12 of linux`.
    fn build_started(&self, build: Line) -> Line {
        build.and(" started.")
    }

    /// A build has ended. `state` is the master's own words, and `blame` who is responsible if that is to be said.
    fn build_finished(&self, build: Line, results: Option<u8>, state: &str, blame: &[String]) -> Line {
        let mut line = build.and(" ").result(results, self.ended(results));
        line = if results == Some(SUCCESS) || state.is_empty() { line.and(".") } else { line.and(format!(": {state}")) };
        if blame.is_empty() { line } else { line.and(format!("  blamelist: {}", blame.join(", "))) }
    }

    /// There will be no build of what `who` asked for: its request ended without one.
    fn no_build(&self, who: &str, builder: &str, results: Option<u8>) -> Line {
        let line = Line::text(format!("{who}: the build of ")).name(builder);
        match results {
            // The set of a request that was skipped counts as a success.
            Some(SKIPPED | SUCCESS) => line.and(" that you asked for was merged into a later request for the same; say watch and its name to hear of that."),
            Some(CANCELLED) => line.and(" that you asked for was cancelled before it began."),
            _ => line.and(" that you asked for ended before it began."),
        }
    }

    /// A worker is missing. `last` is when it was last connected, as the master words it, or empty.
    fn worker_missing(&self, worker: &str, last: &str) -> Line {
        let line = Line::text("Worker ").name(worker).and(" is missing.");
        if last.is_empty() { line } else { line.and(format!(" It was seen last on {last}.")) }
    }

    /// A worker is back.
    fn worker_back(&self, worker: &str) -> Line {
        Line::text("Worker ").name(worker).and(" is back online.")
    }
}

/// The defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Words for Plain {}

/// How long something is ago, roughly: `2 minutes`, `a day`.
pub fn ago(seconds: u64) -> String {
    // Half goes to the even neighbour, so that steps are as wide on both sides.
    let half_even = |value: u64, by: u64| {
        let (whole, rest) = (value / by, value % by);
        whole + u64::from(rest * 2 > by || (rest * 2 == by && whole % 2 == 1))
    };
    let of = |count: u64, one: &str, many: &str| if count == 1 { one.to_owned() } else { format!("{count} {many}") };
    if seconds <= 1 {
        return "a moment".into();
    }
    if seconds < 55 {
        return format!("{} seconds", if seconds < 20 { seconds } else { half_even(seconds, 10) * 10 });
    }
    let minutes = half_even(seconds, 60);
    if minutes < 55 {
        return of(if minutes < 20 { minutes } else { half_even(minutes, 10) * 10 }, "a minute", "minutes");
    }
    let hours = half_even(minutes, 60);
    if hours < 24 {
        return of(hours, "an hour", "hours");
    }
    let days = (hours + 6) / 24;
    if days < 30 {
        return of(days, "a day", "days");
    }
    let months = (days + 10) * 2 / 61;
    if months < 12 {
        return of(months, "a month", "months");
    }
    of(half_even(days * 4, 1_461), "a year", "years")
}

/// A time in UTC: `2026-11-22 22:09`.
pub fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days since 1970 (Howard Hinnant's algorithm).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", rest / 3_600, rest % 3_600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildbots_intervals() {
        for (seconds, words) in [
            (0, "a moment"),
            (19, "19 seconds"),
            (25, "20 seconds"),
            (54, "50 seconds"),
            (55, "a minute"),
            (91, "2 minutes"),
            (1_150, "19 minutes"),
            (1_500, "20 minutes"),
            (3_299, "an hour"),
            (5_399, "2 hours"),
            (82_800, "23 hours"),
            (84_600, "a day"),
            (129_600, "a day"),
            (172_800, "2 days"),
            (2_500_000, "29 days"),
            (2_678_400, "a month"),
            (31_536_000, "a year"),
        ] {
            assert_eq!(ago(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(951_782_399), "2000-02-28 23:59");
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_795_471_740), "2026-11-23 22:09");
    }
}
