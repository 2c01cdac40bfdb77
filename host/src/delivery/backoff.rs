//! How long a delivery waits for its next attempt.

use std::time::Duration;

use crate::transport::Payload;

/// Exponential backoff with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first attempt.
    pub first: Duration,
    /// What it grows to.
    pub most: Duration,
    /// By what it grows.
    pub factor: u32,
}

impl Backoff {
    /// HTTP and SSH: 5 s, 20 s, 80 s, 5 min, 21 min, then every hour.
    pub const HTTP: Self = Self { first: Duration::from_secs(5), most: Duration::from_secs(3_600), factor: 4 };
    /// SMTP: 1 min, 5 min, 25 min, then every hour. Greylisting wants minutes, and RFC 5321 (4.5.4.1) half an hour
    /// after the first tries.
    pub const SMTP: Self = Self { first: Duration::from_secs(60), most: Duration::from_secs(3_600), factor: 5 };

    /// IRC: 2 s, 8 s, 32 s, 2 min, then every 5 min. A connection that is made again makes everything due at once.
    pub const IRC: Self = Self { first: Duration::from_secs(2), most: Duration::from_secs(300), factor: 4 };

    /// The least where a remote asks for a pause itself: 1 s, 2 s, 4 s … a minute.
    pub const ASKED: Self = Self { first: Duration::from_secs(1), most: Duration::from_secs(60), factor: 2 };

    /// The schedule for a kind of payload.
    pub fn of(payload: &Payload) -> Self {
        match payload {
            Payload::Http(_) | Payload::Ssh(_) => Self::HTTP,
            Payload::Smtp(_) => Self::SMTP,
            Payload::Irc(_) | Payload::Master(_) => Self::IRC,
        }
    }

    /// The pause after attempt `n` (from 1). `jitter` is from 0 to 1 and spreads it from 80 % to 120 %, so that what
    /// failed together does not come back together.
    pub fn pause(&self, n: u32, jitter: f64) -> Duration {
        let grown = self.factor.checked_pow(n.saturating_sub(1)).and_then(|by| self.first.checked_mul(by));
        grown.unwrap_or(self.most).min(self.most).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
    }
}

/// A number from 0 to 1.
pub(super) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness there is no jitter, and nothing else is lost.
    if getrandom::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_that_the_documentation_gives() {
        let seconds = |backoff: Backoff| [1, 2, 3, 4, 5, 6, 40].map(|n| backoff.pause(n, 0.5).as_secs());
        assert_eq!(seconds(Backoff::HTTP), [5, 20, 80, 320, 1_280, 3_600, 3_600]);
        assert_eq!(seconds(Backoff::SMTP), [60, 300, 1_500, 3_600, 3_600, 3_600, 3_600]);
        assert_eq!(seconds(Backoff::ASKED), [1, 2, 4, 8, 16, 32, 60]);
        assert_eq!(Backoff::HTTP.pause(1, 0.0), Duration::from_secs(4));
        assert_eq!(Backoff::HTTP.pause(1, 1.0), Duration::from_secs(6));
    }
}
