//! Who gets a mail.

use std::collections::{BTreeMap, BTreeSet};

use reporter_sdk::message::hook_context;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::slot::{Slot, ask};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address;
use crate::settings::Lookup;

/// Who gets the mails of an entry.
#[derive(Debug)]
pub struct Recipients {
    /// Whether the responsible users do.
    pub interested: bool,
    /// Who always does.
    pub extra: Vec<String>,
    /// Who does without being named.
    pub bcc: Vec<String>,
    /// How users become addresses.
    pub lookup: Option<Slot<Lookup>>,
    /// Whether a component says who is responsible.
    pub users_hook: bool,
    /// Whether a component has the last word.
    pub recipients_hook: bool,
}

/// `To`, `Cc` and `Bcc` of one mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// `To`
    pub to: Vec<String>,
    /// `Cc`
    pub cc: Vec<String>,
    /// Envelope only.
    pub bcc: Vec<String>,
}

impl Envelope {
    /// Whether nobody would get it.
    pub fn is_empty(&self) -> bool {
        self.to.is_empty() && self.cc.is_empty() && self.bcc.is_empty()
    }

    /// How many people get it.
    pub fn people(&self) -> usize {
        self.to.len() + self.cc.len() + self.bcc.len()
    }

    /// Bytes of all addresses, with what each takes beside them.
    pub fn bytes(&self) -> usize {
        self.to.iter().chain(&self.cc).chain(&self.bcc).map(|address| address.len() + 24).sum()
    }

    /// The same people in envelopes of at most so many.
    pub fn parts(self, most: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut part = Self::default();
        let to = self.to.into_iter().map(|address| (0, address));
        let cc = self.cc.into_iter().map(|address| (1, address));
        let bcc = self.bcc.into_iter().map(|address| (2, address));
        for (place, address) in to.chain(cc).chain(bcc) {
            if part.people() == most {
                parts.push(std::mem::take(&mut part));
            }
            [&mut part.to, &mut part.cc, &mut part.bcc][place].push(address);
        }
        parts.push(part);
        parts
    }

    /// For a title: `a@x, b@y and 3 more`.
    pub fn summary(&self) -> String {
        let all: Vec<String> = self.to.iter().chain(&self.cc).chain(&self.bcc).map(|one| address::bare(one)).collect();
        match &all[..] {
            [first, second, _, _, ..] => format!("{first}, {second} and {} more", all.len() - 2),
            all => all.join(", "),
        }
    }
}

/// What recipients are asked about: these builds of the event.
pub struct Subject<'a> {
    pub event: &'a Event,
    pub builds: &'a [Build],
    pub positions: &'a [usize],
    pub mode: &'a [&'a str],
    pub is_buildset: bool,
}

impl Subject<'_> {
    fn context(&self) -> Context {
        hook_context(self.event, self.positions, self.mode, self.is_buildset, &self.event.master())
    }

    fn handles(&self) -> Subjects {
        self.event.subjects(Some(self.positions))
    }
}

impl Recipients {
    /// Who gets the mail about these builds.
    ///
    /// # Errors
    ///
    /// If a component that was asked failed, or answered in another shape.
    pub fn of(&self, subject: &Subject<'_>) -> Result<Envelope, Failure> {
        let users = if self.interested { self.addresses(self.users(subject)?, subject)? } else { Vec::new() };
        let interested = unique(users.iter().filter_map(|user| deliverable(address::without_second_at(user))), &[]);
        let extra = unique(self.extra.iter().filter_map(|address| deliverable(address)), &interested);
        let mut envelope =
            if interested.is_empty() { Envelope { to: extra, ..Envelope::default() } } else { Envelope { to: interested, cc: extra, bcc: Vec::new() } };
        envelope.bcc = unique(self.bcc.iter().filter_map(|address| deliverable(address)), &[&envelope.to[..], &envelope.cc[..]].concat());
        if !self.recipients_hook {
            return Ok(envelope);
        }
        let context = subject.context().with("to", envelope.to).with("cc", envelope.cc).with("bcc", envelope.bcc);
        let answer = ask("recipients", subject.handles(), context)?.0;
        let list = |key: &str| match &answer[key] {
            Value::Null => Ok(Vec::new()),
            list => texts(list).ok_or_else(|| wrong_shape("recipients", "{\"to\": […], \"cc\": […], \"bcc\": […]}")),
        };
        let to = unique(list("to")?.iter().filter_map(|one| deliverable(one)), &[]);
        let cc = unique(list("cc")?.iter().filter_map(|one| deliverable(one)), &to);
        let bcc = unique(list("bcc")?.iter().filter_map(|one| deliverable(one)), &[&to[..], &cc[..]].concat());
        Ok(Envelope { to, cc, bcc })
    }

    fn users(&self, subject: &Subject<'_>) -> Result<Vec<String>, Failure> {
        if self.users_hook {
            let answer = ask("users", subject.handles(), subject.context())?.0;
            return texts(&answer).ok_or_else(|| wrong_shape("users", "[\"bob\", …]"));
        }
        let mut users: Vec<String> = subject.positions.iter().filter_map(|n| subject.builds.get(*n)).flat_map(Build::users).collect();
        users.sort();
        users.dedup();
        Ok(users)
    }

    fn addresses(&self, users: Vec<String>, subject: &Subject<'_>) -> Result<Vec<String>, Failure> {
        let by = |address_of: &dyn Fn(&str) -> Option<String>| users.iter().filter_map(|user| address_of(user).or_else(|| drop_user(user))).collect();
        Ok(match &self.lookup {
            None => users,
            Some(Slot::Own(Lookup::Domain(domain))) => by(&|user| Some(if user.contains('@') { user.to_owned() } else { format!("{user}@{domain}") })),
            Some(Slot::Own(Lookup::Table(table))) => by(&|user| table.get(user).cloned().or_else(|| user.contains('@').then(|| user.to_owned()))),
            Some(Slot::Component) if users.is_empty() => users,
            Some(Slot::Component) => {
                let people = users.iter().map(User::named).collect();
                let answer = ask("lookup", Subjects::Users(people), subject.context())?.0;
                let table: BTreeMap<String, Option<String>> = serde_json::from_value(answer["addresses"].clone())
                    .map_err(|_| wrong_shape("lookup", "{\"addresses\": {\"bob\": \"bob@example.org\", \"eve\": null}}"))?;
                by(&|user| table.get(user).cloned().flatten())
            }
        })
    }
}

fn drop_user(user: &str) -> Option<String> {
    log(Level::Info, &format!("{user} gets no mail: the lookup has no address"));
    None
}

/// The address as mail can have it: what no server takes must not cost the others their mail.
fn deliverable(address: &str) -> Option<String> {
    let found = if address::is_valid(address) { address::on_the_wire(address) } else { Err("that is no address".into()) };
    found.map_err(|why| log(Level::Info, &format!("{address} gets no mail: {why}"))).ok()
}

/// The first of each address that is not among `others`.
fn unique(addresses: impl Iterator<Item = String>, others: &[String]) -> Vec<String> {
    let mut seen: BTreeSet<String> = others.iter().map(|other| address::bare(other)).collect();
    addresses.filter(|address| seen.insert(address::bare(address))).collect()
}

/// The valid addresses among those whom a worker wants told.
pub fn of_worker(notify: &[String]) -> Envelope {
    Envelope { to: unique(notify.iter().filter_map(|one| deliverable(one)), &[]), ..Envelope::default() }
}

fn texts(list: &Value) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn wrong_shape(slot: &str, shape: &str) -> Failure {
    Failure::for_good(format!("the formatter for {slot} answered in another shape than {shape}"))
}
