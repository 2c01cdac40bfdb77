//! OAuth 2 client credentials (RFC 6749, 4.4): a token is asked for when a request first needs it, and kept until
//! shortly before it ends.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::super::{Answer, FailedKind, Verify};
use super::request::{AGENT, RequestError, header};
use super::{answer, failure};
use crate::secret::{Encode, Plain, Scrubber, encode};

/// So long before its end a token is not used any more: clocks differ, and requests wait.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is kept of which nobody said when it ends.
const UNSAID: Duration = Duration::from_secs(3600);
/// After a failure nobody asks again for so long, whatever waits for a token; after each refusal in a row for twice as long as before.
const PAUSE: Duration = Duration::from_secs(2);
/// A longer pause is not believed: others may have changed what was wrong.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// More credentials than this are nobody's settings.
const MOST: usize = 1024;

/// What a token is asked for with, secrets included.
pub(super) struct Grant {
    url: Url,
    authorization: HeaderValue,
    key: [u8; 32],
    secret: Plain,
}

impl Grant {
    /// RFC 6749, 2.3.1: both are encoded as in a form before they become user and password.
    pub(super) fn new(url: &Url, id: &str, secret: &str, verify: &Verify) -> Result<Self, RequestError> {
        let login = format!("{}:{}", encode(id, Encode::Component)?, encode(secret, Encode::Component)?);
        let (_, authorization) = header("authorization", &format!("Basic {}", STANDARD.encode(login)))?;
        let key = Sha256::digest(format!("{:?}", (url.as_str(), id, secret, verify))).into();
        Ok(Self { url: url.clone(), authorization, key, secret: Plain::new(secret) })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Tells the operator, who else would hear of it when deliveries expire.
    fn complain(&self, answer: &Answer) {
        let why = answer.error.as_ref().map_or("", |failed| failed.message.as_str());
        // Servers quote what they refuse.
        let why = Scrubber::new(std::slice::from_ref(&self.secret)).text(why);
        tracing::error!(token_url = self.url.origin().ascii_serialization(), "{why}; what needs a token is tried again until it expires");
    }
}

/// An access token. It is known to the host alone.
#[derive(Clone)]
pub(super) struct Token {
    /// `Bearer …`
    pub header: HeaderValue,
    /// What takes it out of what comes back.
    pub scrubber: Arc<Scrubber>,
    /// When it came.
    pub since: Instant,
    fresh_until: Instant,
}

/// Tokens by what they were asked for with: endpoints with the same credentials share one.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<[u8; 32], Arc<tokio::sync::Mutex<Slot>>>>);

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    /// Until when nobody asks again, and why.
    failed: Option<(Instant, Answer)>,
    /// How many were refused in a row.
    refusals: u32,
}

/// Why there is no token.
enum Without {
    /// The client was not let in, or what came is no token: somebody has to mend that, while deliveries wait as they do for any other login.
    Refused(Answer),
    /// There is none for now, or never can be.
    Other(Answer),
}

impl Tokens {
    /// A token that can be used now, and is not `refused`; or what the delivery's answer is without one. Those who ask at the same
    /// time share one request.
    pub(super) async fn get(&self, client: &Client, grant: &Grant, refused: Option<&Token>) -> Result<Token, Answer> {
        let began = Instant::now();
        let slot = self.slot(grant);
        let mut slot = slot.lock().await;
        let usable = |token: &&Token| {
            let fresh = token.fresh_until > Instant::now() || token.since >= began;
            fresh && refused.is_none_or(|refused| refused.header != token.header)
        };
        if let Some(token) = slot.token.as_ref().filter(usable) {
            return Ok(token.clone());
        }
        if let Some((_, answer)) = slot.failed.as_ref().filter(|(until, _)| *until > Instant::now()) {
            return Err(answer.clone());
        }
        slot.token = None;
        match ask(client, grant).await {
            Ok(token) => {
                slot.failed = None;
                slot.refusals = 0;
                slot.token = Some(token.clone());
                Ok(token)
            }
            Err(Without::Refused(answer)) => {
                slot.failed = Some((Instant::now() + after_refusals(slot.refusals), answer.clone()));
                slot.refusals = slot.refusals.saturating_add(1);
                grant.complain(&answer);
                Err(answer)
            }
            Err(Without::Other(answer)) => {
                slot.failed = Some((Instant::now() + pause(&answer), answer.clone()));
                Err(answer)
            }
        }
    }

    fn slot(&self, grant: &Grant) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those in use stay with whoever uses them.
        if slots.len() >= MOST && !slots.contains_key(&grant.key) {
            slots.clear();
        }
        slots.entry(grant.key).or_default().clone()
    }
}

async fn ask(client: &Client, grant: &Grant) -> Result<Token, Without> {
    let refused = |why: String| Without::Refused(Answer::failed(FailedKind::NotTried, why));
    let from = grant.url.origin().ascii_serialization();
    let request = client
        .post(grant.url.clone())
        .header(AUTHORIZATION, grant.authorization.clone())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    let since = Instant::now();
    let response = request.send().await.map_err(|error| Without::Other(unanswered(&from, failure::failed(error))))?;
    let answer = answer::read(response, 0).await;
    match answer.status {
        // What the body says is a secret, however odd it is.
        200..=299 => granted(&answer.body, since).map_err(|why| refused(format!("{from} hands out no token: {why}"))),
        300..=399 => Err(refused(format!("{from} hands out no token: it answers {}, it has moved; put the new address into the settings", answer.status))),
        408 | 425 | 429 | 500 | 502..=504 | 507..=599 => {
            let why = format!("{from} hands out no token now: {}", said(&answer));
            Err(Without::Other(Answer { headers: answer.headers, ..Answer::failed(FailedKind::NotTried, why) }))
        }
        _ => Err(refused(format!("{from} refuses a token: {}; look at the key and the secret of the OAuth consumer", said(&answer)))),
    }
}

/// A request for a token that got no answer: the delivery itself was not tried.
fn unanswered(from: &str, answer: Answer) -> Answer {
    let Some(failed) = answer.error else { return answer };
    let kind = if failed.kind == FailedKind::Never { FailedKind::Never } else { FailedKind::NotTried };
    Answer::failed(kind, format!("no token from {from}: {}", failed.message))
}

/// The token took too long.
pub(super) fn late(grant: &Grant, after: Duration) -> Answer {
    let from = grant.url.origin().ascii_serialization();
    Answer::failed(FailedKind::NotTried, format!("no token from {from} within {} seconds", after.as_secs_f32()))
}

/// RFC 6749, 5.1. Some write the number of seconds as a text.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

fn granted(body: &[u8], since: Instant) -> Result<Token, Unusable> {
    let granted: Granted = serde_json::from_slice(body).map_err(|_| Unusable::Shape)?;
    if let Some(kind) = granted.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Unusable::Kind(kind));
    }
    if granted.access_token.is_empty() || !granted.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unusable::Token);
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {}", granted.access_token)).map_err(|_| Unusable::Token)?;
    header.set_sensitive(true);
    let seconds = granted.expires_in.as_u64().or_else(|| granted.expires_in.as_str().and_then(|text| text.trim().parse().ok()));
    let lasts = seconds.map_or(UNSAID, Duration::from_secs).saturating_sub(MARGIN);
    let scrubber = Arc::new(Scrubber::new(&[Plain::new(granted.access_token)]));
    // A day of it is enough to ask once a day.
    Ok(Token { header, scrubber, since, fresh_until: since + lasts.min(Duration::from_secs(86_400)) })
}

/// Why an answer has no token in it.
enum Unusable {
    Shape,
    Kind(String),
    Token,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("its answer is no JSON with an access_token; is this the URL of its tokens?"),
            Self::Kind(kind) => write!(f, "its tokens are of the type {kind:?}, and only bearer is spoken here"),
            Self::Token => f.write_str("its access_token does not fit in a header"),
        }
    }
}

/// What a refusal says: RFC 6749, 5.2, or the beginning of its body.
fn said(answer: &Answer) -> String {
    const SHOWN: usize = 300;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(body) if body["error"].is_string() => format!("{} {}", text(&body["error"]), text(&body["error_description"])),
        _ => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{} {}", answer.status, &line[..line.floor_char_boundary(SHOWN)]).trim_end().to_owned()
}

/// For how long nobody asks again after one more refusal: who asks often with the wrong secret is locked out.
fn after_refusals(before: u32) -> Duration {
    PAUSE.saturating_mul(2_u32.saturating_pow(before)).min(LONGEST_PAUSE)
}

/// For how long nobody asks again: `Retry-After` in seconds, if the answer has one.
fn pause(answer: &Answer) -> Duration {
    let asked = answer.headers.iter().find(|(name, _)| name == "retry-after").and_then(|(_, value)| value.trim().parse().ok());
    asked.map_or(PAUSE, Duration::from_secs).clamp(PAUSE, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasts(body: &str) -> Option<u64> {
        let since = Instant::now();
        granted(body.as_bytes(), since).ok().map(|token| (token.fresh_until - since).as_secs())
    }

    #[test]
    fn a_token_is_kept_until_a_minute_before_its_end() {
        for (expires, kept) in
            [("7200", 7140), ("\"7200\"", 7140), ("61", 1), ("60", 0), ("5", 0), ("null", 3540), ("-1", 3540), ("1e300", 3540), ("99999999999", 86_400)]
        {
            assert_eq!(lasts(&format!(r#"{{"access_token": "t", "token_type": "Bearer", "expires_in": {expires}}}"#)), Some(kept), "{expires}");
        }
        assert_eq!(lasts(r#"{"access_token": "t"}"#), Some(3540));
    }

    #[test]
    fn answers_without_a_token() {
        for (body, why) in [
            ("<html>", "no JSON"),
            (r#"{"error": "x"}"#, "no JSON with an access_token"),
            (r#"{"access_token": 7}"#, "no JSON with an access_token"),
            (r#"{"access_token": ""}"#, "does not fit"),
            (r#"{"access_token": "a\r\nb"}"#, "does not fit"),
            (r#"{"access_token": "a", "token_type": "mac"}"#, "only bearer"),
        ] {
            let said = granted(body.as_bytes(), Instant::now()).err().map(|why| why.to_string()).unwrap_or_default();
            assert!(said.contains(why) && !said.contains("\r"), "{body}: {said}");
        }
    }

    #[test]
    fn pauses() {
        let asked = |value: &str| pause(&Answer { headers: vec![("retry-after".into(), value.into())], ..Answer::default() }).as_secs();
        assert_eq!([asked("30"), asked("0"), asked("86400"), asked("soon")], [30, 2, 300, 2]);
        assert_eq!([0, 1, 2, 7, 8, 40, u32::MAX].map(|before| after_refusals(before).as_secs()), [2, 4, 8, 256, 300, 300, 300]);
    }
}
