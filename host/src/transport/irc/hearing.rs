//! What is said to the host, out of all that the server passes on.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::line::Came;
use super::rooms::{Rooms, fold};

/// Things that somebody may say at once, and then one in each second.
const PATIENCE: f64 = 20.0;
/// People whose talk is counted.
const PEOPLE: usize = 1_000;

/// Hears what is meant for the host, as much of it as one can bear.
pub(super) struct Hearing {
    /// Whether the server tells services accounts.
    accounts: bool,
    /// How much more somebody may say, and when they said something last.
    talk: HashMap<String, (f64, Instant)>,
}

impl Hearing {
    /// Of a server that tells services accounts, or does not.
    pub fn new(accounts: bool) -> Self {
        Self { accounts, talk: HashMap::new() }
    }

    /// The update of what somebody said, if it is said to us.
    pub fn said(&mut self, came: &Came, me: &str, rooms: &Rooms) -> Option<Value> {
        let (target, text) = (came.param(0), came.param(1));
        let (nick, user, host) = &came.from;
        let private = fold(target) == fold(me);
        let (kind, text) = match (came.command.as_str(), text.strip_prefix('\u{1}')) {
            ("PRIVMSG", Some(ctcp)) => ("action", ctcp.strip_prefix("ACTION ")?.trim_end_matches('\u{1}')),
            ("PRIVMSG", None) => ("message", text),
            (_, Some(_)) => return None,
            (_, None) => ("notice", text),
        };
        let folded = fold(me);
        let addressed = match kind {
            "action" => fold(text).contains(&folded),
            _ => private || fold(text).strip_prefix(&folded).is_some_and(|rest| rest.starts_with([':', ','])),
        };
        if !addressed || text.trim().is_empty() || user.is_empty() || !self.patience(&format!("{user}@{host}")) {
            return None;
        }
        let mut from = json!({"nick": nick, "user": user, "host": host, "prefixes": if private { "" } else { rooms.signs(target, nick) }});
        if self.accounts {
            from["account"] = came.tag("account").map_or(Value::Null, |account| json!(account));
        }
        let answer_to = if private { nick.as_str() } else { target };
        Some(json!({"kind": kind, "from": from, "target": answer_to, "private": private, "me": me, "text": text}))
    }

    /// Whether somebody with this user and host may say something more.
    fn patience(&mut self, who: &str) -> bool {
        let now = Instant::now();
        if self.talk.len() >= PEOPLE {
            self.talk.retain(|_, (_, last)| now.duration_since(*last) < Duration::from_secs(60));
        }
        let (tokens, last) = self.talk.entry(who.to_owned()).or_insert((PATIENCE, now));
        *tokens = (*tokens + now.duration_since(*last).as_secs_f64()).min(PATIENCE);
        *last = now;
        if *tokens < 1.0 {
            tracing::info!(who, "says more than is listened to");
            return false;
        }
        *tokens -= 1.0;
        true
    }
}
