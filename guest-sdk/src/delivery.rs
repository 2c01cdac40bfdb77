//! The terms of a delivery.

use crate::bindings::reporter::reporter_host::reporter::delivery as wit;

pub use wit::{Answer, Rule, Verdict};

/// How many deliveries this call may still queue, and how many bytes of them.
pub fn left() -> (u32, u64) {
    #[cfg(target_arch = "wasm32")]
    return wit::left();
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::left()
}

/// The terms of one delivery; everything is optional.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Deliveries of one lane go out one after another.
    pub lane: Option<String>,
    /// Replaces waiting older deliveries with the same key.
    pub supersede: Option<String>,
    /// Seconds after which it is of no use any more.
    pub expire_after: Option<u32>,
    /// One line for the delivery log.
    pub title: Option<String>,
    /// Asks for the answer, in a call of `answered` with this tag.
    pub tag: Option<String>,
    /// Reads certain answers differently; the first that matches decides.
    pub rules: Vec<Rule>,
}

impl Terms {
    /// Terms with this title: `failure of build 12 on linux to octo/repo@4f1c9d2`.
    pub fn titled(title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..Self::default() }
    }

    /// Sets the lane.
    pub fn lane(mut self, key: impl Into<String>) -> Self {
        self.lane = Some(key.into());
        self
    }

    /// Sets the key by which it supersedes.
    pub fn supersede(mut self, key: impl Into<String>) -> Self {
        self.supersede = Some(key.into());
        self
    }

    /// Sets the expiry in seconds.
    pub fn expire_after(mut self, seconds: u32) -> Self {
        self.expire_after = Some(seconds);
        self
    }

    /// Asks for the answer.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Adds a rule: answers with these statuses (and this part in the body, if not empty) mean `verdict`.
    pub fn rule(mut self, statuses: std::ops::RangeInclusive<u16>, body_contains: &str, verdict: Verdict) -> Self {
        self.rules.push(Rule { from_status: *statuses.start(), to_status: *statuses.end(), body_contains: body_contains.into(), verdict });
        self
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_host(self) -> wit::Terms {
        let terms = wit::Terms::new();
        if let Some(lane) = &self.lane {
            terms.lane(lane);
        }
        if let Some(key) = &self.supersede {
            terms.supersede(key);
        }
        if let Some(seconds) = self.expire_after {
            terms.expire_after(seconds);
        }
        if let Some(title) = &self.title {
            terms.title(title);
        }
        if let Some(tag) = &self.tag {
            terms.tag(tag);
        }
        for rule in &self.rules {
            terms.rule(rule);
        }
        terms
    }
}
