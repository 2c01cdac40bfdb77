//! `delivery`: the terms of a delivery, and its place in the outbox.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::Resource;

use super::call::{Call, EntryView, Phase};
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
/// Bytes of a key, a tag or a title.
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

    fn terms(&mut self, terms: &Resource<Terms>) -> wasmtime::Result<&mut Terms> {
        Ok(self.table.get_mut(terms)?)
    }
}

/// The stable id of the `n`th delivery that a unit of work makes: the same if the unit is done again.
pub(crate) fn uid(unit: &str, entry: &str, n: usize) -> String {
    let digest = Sha256::digest(format!("{unit}\n{entry}\n{n}"));
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn words(text: &str) -> String {
    text[..text.floor_char_boundary(WORDS)].replace(['\r', '\n'], " ")
}

impl Host for Call {}

impl HostTerms for Call {
    fn new(&mut self) -> wasmtime::Result<Resource<Terms>> {
        self.only(&[Phase::Report], "delivery.terms")?;
        self.lend(Terms::default())
    }

    fn lane(&mut self, terms: Resource<Terms>, key: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.lane = Some(words(&key));
        Ok(())
    }

    fn supersede(&mut self, terms: Resource<Terms>, key: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.supersede = Some(words(&key));
        Ok(())
    }

    fn expire_after(&mut self, terms: Resource<Terms>, seconds: u32) -> wasmtime::Result<()> {
        self.terms(&terms)?.expire_after = Some(seconds);
        Ok(())
    }

    fn title(&mut self, terms: Resource<Terms>, text: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.title = words(&text);
        Ok(())
    }

    fn tag(&mut self, terms: Resource<Terms>, tag: String) -> wasmtime::Result<()> {
        self.terms(&terms)?.tag = Some(words(&tag));
        Ok(())
    }

    fn rule(&mut self, terms: Resource<Terms>, rule: Rule) -> wasmtime::Result<()> {
        let rules = &mut self.terms(&terms)?.rules;
        if rules.len() >= RULES {
            return Err(super::call::Ended::Misuse(format!("it gave a delivery more than {RULES} rules")).into());
        }
        rules.push(store::Rule {
            from: rule.from_status,
            to: rule.to_status,
            contains: words(&rule.body_contains),
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
