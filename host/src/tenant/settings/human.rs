//! Durations and sizes as people write them: `"24 h"`, `"1 h 30 min"`, `"2 GiB"`.

use std::time::Duration;

const DURATIONS: [(&[&str], u64); 6] = [
    (&["ms", "millisecond", "milliseconds"], 1),
    (&["s", "sec", "second", "seconds"], 1_000),
    (&["min", "m", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
    (&["week", "weeks"], 604_800_000),
];

const SIZES: [(&[&str], u64); 7] = [
    (&["B", "byte", "bytes"], 1),
    (&["kB", "KB"], 1_000),
    (&["KiB"], 1 << 10),
    (&["MB"], 1_000_000),
    (&["MiB"], 1 << 20),
    (&["GB"], 1_000_000_000),
    (&["GiB"], 1 << 30),
];

/// What is taken for a duration.
pub(super) const A_DURATION: &str = "a duration such as \"90 s\", \"24 h\" or \"30 days\", or a number of seconds";
/// What is taken for a size.
pub(super) const A_SIZE: &str = "a size such as \"64 KiB\", \"16 MiB\" or \"2 GiB\", or a number of bytes";

/// A duration: numbers with units, added up.
pub(super) fn duration(text: &str) -> Option<Duration> {
    sum(text, &DURATIONS).map(Duration::from_millis)
}

/// A size in bytes: numbers with units, added up.
pub(super) fn size(text: &str) -> Option<u64> {
    sum(text, &SIZES)
}

fn sum(text: &str, units: &[(&[&str], u64)]) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: Option<u64> = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, factor) = units.iter().find(|(names, _)| names.contains(&unit))?;
        let part = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        total = Some(total.unwrap_or(0).checked_add(part)?);
        rest = after.trim_start();
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("90 s", 90), ("24 h", 86_400), ("1 h 30 min", 5_400), ("2d", 172_800), (" 3 weeks ", 1_814_400)] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("250 ms"), Some(Duration::from_millis(250)));
        for text in ["", "5", "h", "-1 s", "1.5 h", "1 fortnight", "99999999999999999999 s", "18446744073709551615 h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("2 GiB", 2 << 30), ("500 MB", 500_000_000), ("64KiB", 65_536), ("7 bytes", 7)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "2", "2 gib", "2 GiB and a half"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
