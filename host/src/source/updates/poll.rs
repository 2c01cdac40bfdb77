//! Asking for updates, one long request after another.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Fetch, MOST_BYTES};
use crate::transport::{Body, HttpRequest, Poll};

/// Bytes of one answer.
const MOST: usize = 16 << 20;
/// How much longer than asked for an answer may take.
const SLACK: Duration = Duration::from_secs(15);
/// The pause between two answers without an update that come sooner than they should.
const TOO_SOON: Duration = Duration::from_secs(1);
/// Somebody else asks too, or a webhook is set: what was done before is to be done again.
const CONFLICT: u16 = 409;

pub(super) async fn run(mut fetch: Fetch, poll: &Poll) {
    let wait = Duration::from_secs(poll.wait.into());
    let mut next: Option<i64> = None;
    let (mut prepared, mut arrives, mut told) = (false, false, false);
    loop {
        if !prepared {
            if let Some(before) = &poll.before
                && !fetch.insist(before, poll.pause, str::to_owned).await
            {
                return;
            }
            prepared = true;
        }
        let mut stop = fetch.stop.clone();
        let (mark, began) = (fetch.mark(), tokio::time::Instant::now());
        let request = numbered(poll, next);
        let asked = tokio::select! {
            asked = fetch.ask(&request, wait + SLACK, MOST) => asked,
            () = super::super::ended(&mut stop) => return,
        };
        let updates = asked.and_then(|mut body| match body.pointer_mut(&poll.items).map(Value::take) {
            Some(Value::Array(updates)) => Ok(updates),
            _ => Err((0, format!("the answer has no list at {:?}", poll.items), None)),
        });
        match updates {
            Ok(updates) => {
                told = false;
                if !std::mem::replace(&mut arrives, true) {
                    let destination = fetch.wanted.endpoint.destination();
                    tracing::info!(entry = fetch.wanted.entry, destination, "what is said to the bot arrives");
                    // What waits need not wait for its own next try.
                    (fetch.whereto.wake)(&destination);
                }
                let none = updates.is_empty();
                for update in updates {
                    let Some(number) = update[poll.number.as_str()].as_i64() else {
                        tracing::warn!(entry = fetch.wanted.entry, "an update without a number {:?} is left out", poll.number);
                        continue;
                    };
                    if update.to_string().len() > MOST_BYTES {
                        tracing::warn!(entry = fetch.wanted.entry, number, "an update of more than {MOST_BYTES} bytes is left out");
                    } else if !fetch.heard(&mark, number, update).await {
                        return;
                    }
                    next = Some(next.map_or(number + 1, |next| next.max(number + 1)));
                }
                if none && began.elapsed() < TOO_SOON && super::super::pause(TOO_SOON, &mut fetch.stop).await {
                    return;
                }
            }
            Err((status, why, asked)) => {
                let pause = Duration::from_secs(poll.pause.into()).max(asked.unwrap_or_default());
                arrives = false;
                if !std::mem::replace(&mut told, true) {
                    fetch.trouble(&why, pause);
                }
                prepared = status != CONFLICT;
                if super::super::pause(pause, &mut fetch.stop).await {
                    return;
                }
            }
        }
    }
}

/// The request that tells what has arrived.
fn numbered(poll: &Poll, next: Option<i64>) -> HttpRequest {
    let mut request = poll.request.clone();
    if let (Some(next), Body::Json(text)) = (next, &mut request.body)
        && let Ok(Value::Object(mut body)) = serde_json::from_str(text)
    {
        body.insert(poll.next.clone(), json!(next));
        *text = Value::Object(body).to_string();
    }
    request
}
