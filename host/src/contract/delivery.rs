//! `delivery`: the terms of a delivery, and its place in the outbox.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::Resource;

use super::call::{Call, Ended, EntryView, Phase};
use super::reporter::reporter_host::reporter::delivery::{Host, HostTerms, Rule, Verdict};
use crate::store::{self, NewDelivery, RuleVerdict, now_ms};
use crate::transport::{Endpoint, Payload};

/// The terms of one delivery.
#[derive(Default)]
pub struct Terms {
    lane: Option<String>,
    supersede: Option<String>,
    expire_after: Option<u32>,
    title: String,
    tag: Option<String>,
    rules: Vec<store::Rule>,
}

/// Rules that one delivery may have.
const RULES: usize = 32;
/// Bytes of a key, a tag, a title or the text of a rule.
const WORDS: usize = 1_000;

impl Call {
    /// Puts a payload among what this call has sent. `bytes` is what it counts for.
    pub(super) fn queue(
        &mut self,
        entry: &Arc<EntryView>,
        endpoint: &Endpoint,
        payload: Payload,
        bytes: usize,
        terms: Resource<Terms>,
    ) -> wasmtime::Result<()> {
        self.budget.send(bytes)?;
        let terms = self.table.delete(terms)?;
        let usual = i64::try_from(entry.expires_after.as_millis()).unwrap_or(i64::MAX);
        let asked = terms.expire_after.map_or(i64::MAX, |seconds| i64::from(seconds) * 1_000);
        self.sends.push(NewDelivery {
            uid: uid(&self.unit, &entry.name, self.sends.len()),
            entry: entry.name.clone(),
            endpoint: endpoint.name.clone(),
            destination: endpoint.destination(),
            lane: terms.lane,
            supersede: terms.supersede,
            tag: terms.tag,
            title: terms.title,
            expires_ms: now_ms().saturating_add(usual.min(asked)),
            payload: Arc::new(payload),
            rules: terms.rules,
        });
        Ok(())
    }

    /// Sets the lane, if the component has not.
    pub(super) fn default_lane(&mut self, terms: &Resource<Terms>, lane: String) -> wasmtime::Result<()> {
        self.terms(terms)?.lane.get_or_insert(lane);
        Ok(())
    }

    /// Leaves of the terms what a control call can have: it is tried once, and nothing replaces it.
    pub(super) fn plain_terms(&mut self, terms: &Resource<Terms>) -> wasmtime::Result<()> {
        let terms = self.terms(terms)?;
        *terms = Terms { title: std::mem::take(&mut terms.title), tag: terms.tag.take(), ..Terms::default() };
        Ok(())
    }

    fn terms(&mut self, terms: &Resource<Terms>) -> wasmtime::Result<&mut Terms> {
        Ok(self.table.get_mut(terms)?)
    }
}

/// The stable id of the `n`th delivery that a unit of work makes: the same if the unit is done again.
pub(crate) fn uid(unit: &str, entry: &str, n: usize) -> String {
    let digest = Sha256::digest(format!("{unit}\n{entry}\n{n}"));
    hex::encode(&digest[..16])
}

/// A line for operators.
fn line(text: &str) -> String {
    text[..text.floor_char_boundary(WORDS)].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A key as it is. A long one is told apart from others by all of it, not by its beginning.
fn key(text: String) -> String {
    if text.len() <= WORDS {
        return text;
    }
    format!("{}…{}", &text[..text.floor_char_boundary(WORDS - 100)], hex::encode(Sha256::digest(&text)))
}

/// A text that would mean something else if it were cut.
pub(super) fn whole(what: &str, text: String) -> Result<String, Ended> {
    if text.len() <= WORDS {
        return Ok(text);
    }
    Err(Ended::Misuse(format!("it gave {what} of {} bytes; {WORDS} are the most", text.len())))
}

impl Host for Call {
    fn left(&mut self) -> wasmtime::Result<(u32, u64)> {
        self.only(&[Phase::Report], "delivery.left")?;
        Ok((self.budget.sends, self.budget.send_bytes))
    }
}

impl HostTerms for Call {
    fn new(&mut self) -> wasmtime::Result<Resource<Terms>> {
        self.only(&[Phase::Report], "delivery.terms")?;
        self.lend(Terms::default())
    }

    fn lane(&mut self, terms: Resource<Terms>, text: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.lane = Some(key(text));
        Ok(())
    }

    fn supersede(&mut self, terms: Resource<Terms>, text: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.supersede = Some(key(text));
        Ok(())
    }

    fn expire_after(&mut self, terms: Resource<Terms>, seconds: u32) -> wasmtime::Result<()> {
        self.terms(&terms)?.expire_after = Some(seconds);
        Ok(())
    }

    fn title(&mut self, terms: Resource<Terms>, text: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.title = line(&text);
        Ok(())
    }

    fn tag(&mut self, terms: Resource<Terms>, tag: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.tag = Some(whole("a delivery a tag", tag)?);
        Ok(())
    }

    fn rule(&mut self, terms: Resource<Terms>, rule: Rule) -> wasmtime::Result<()> {
        let rules = &mut self.terms(&terms)?.rules;
        if rules.len() >= RULES {
            return Err(Ended::Misuse(format!("it gave a delivery more than {RULES} rules")).into());
        }
        if rule.from_status > rule.to_status {
            let (from, to) = (rule.from_status, rule.to_status);
            return Err(Ended::Misuse(format!("it gave a rule from status {from} to {to}, which matches nothing; the lower comes first")).into());
        }
        rules.push(store::Rule {
            from: rule.from_status,
            to: rule.to_status,
            contains: whole("a delivery a rule with a text", rule.body_contains)?,
            verdict: match rule.verdict {
                Verdict::Done => RuleVerdict::Done,
                Verdict::Retry => RuleVerdict::Retry,
                Verdict::Dead => RuleVerdict::Dead,
                Verdict::Throttle(seconds) => RuleVerdict::Throttle(seconds),
            },
        });
        Ok(())
    }

    fn drop(&mut self, terms: Resource<Terms>) -> wasmtime::Result<()> {
        self.table.delete(terms)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_differ_if_their_ends_differ() {
        let long = |end: &str| key(format!("{}{end}", "é".repeat(2_000)));
        assert_eq!(key("a\nb".into()), "a\nb");
        assert_eq!(long("1"), long("1"));
        assert_ne!(long("1"), long("2"));
        assert!(long("1").len() <= WORDS);
    }

    #[test]
    fn a_title_is_one_line() {
        assert_eq!(line("two\nlines \u{1b}[31mred"), "two lines  [31mred");
        assert_eq!(line(&"é".repeat(2_000)).len(), WORDS);
    }
}
