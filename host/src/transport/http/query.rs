//! Queries: GET and HEAD now, with a small cache.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::{Answer, Endpoint, EndpointKind, FailedKind, HttpRequest};
use super::{HttpTransport, within};
use crate::secret::Vault;

/// Nothing is kept for longer, whatever the service says: a secret may be rotated, a grant taken back.
const LONGEST: Duration = Duration::from_secs(3600);
/// The most answers, and the most bytes of bodies.
const MOST: usize = 512;
const MOST_BYTES: usize = 8 << 20;

impl HttpTransport {
    /// Asks now. Answers are kept per service entry for as long as their `Cache-Control` allows, and not at
    /// all without one.
    pub async fn query(&self, entry: &str, endpoint: &Endpoint, request: &HttpRequest, vault: &dyn Vault, timeout: Duration) -> Answer {
        let EndpointKind::Http(http) = &endpoint.kind else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of kind http", endpoint.name));
        };
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Answer::failed(FailedKind::Never, format!("a query is GET or HEAD, not {:?}", request.method));
        }
        // Both have no map with keys other than strings, so they serialise; without a key, nothing is cached.
        let key = serde_json::to_string(&(entry, endpoint, request)).ok();
        if let Some(answer) = key.as_ref().and_then(|key| self.cache.get(key, Instant::now())) {
            return answer;
        }
        let scrubber = vault.scrubber();
        let answer = match self.prepare(&endpoint.name, http, request, vault, timeout) {
            Ok(prepared) => within(timeout, prepared.send(scrubber.longest())).await,
            Err(answer) => answer,
        };
        let answer = answer.scrubbed(&scrubber);
        if let (Some(key), Some(fresh)) = (key, fresh_for(&answer)) {
            self.cache.put(key, answer.clone(), Instant::now() + fresh);
        }
        answer
    }
}

/// How long an answer may be given again (RFC 9111, private cache).
fn fresh_for(answer: &Answer) -> Option<Duration> {
    if !matches!(answer.status, 200..=299 | 404 | 410) {
        return None;
    }
    let mut fresh = None;
    let mut age = 0;
    for (name, value) in &answer.headers {
        match name.as_str() {
            "vary" if value.trim() == "*" => return None,
            "age" => age = value.trim().parse().unwrap_or(u64::MAX),
            "cache-control" => {
                for directive in value.split(',') {
                    let (name, argument) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
                    match name.to_ascii_lowercase().as_str() {
                        "no-store" | "no-cache" => return None,
                        "max-age" => fresh = argument.trim_matches('"').parse::<u64>().ok(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let left = Duration::from_secs(fresh?.saturating_sub(age)).min(LONGEST);
    (!left.is_zero()).then_some(left)
}

/// Answers to queries, each until it goes stale.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<String, (Instant, Answer)>>);

impl Cache {
    fn get(&self, key: &str, now: Instant) -> Option<Answer> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(until, _)| *until > now).map(|(_, answer)| answer.clone())
    }

    fn put(&self, key: String, answer: Answer, until: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|_, (until, _)| *until > now);
        let bytes: usize = kept.values().map(|(_, answer)| answer.body.len()).sum();
        if kept.len() >= MOST || bytes + answer.body.len() > MOST_BYTES {
            kept.clear();
        }
        kept.insert(key, (until, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness() {
        let fresh = |status, headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            fresh_for(&Answer { status, headers, ..Answer::default() }).map(|d| d.as_secs())
        };
        assert_eq!(fresh(200, &[]), None);
        assert_eq!(fresh(200, &[("cache-control", "private, max-age=60, s-maxage=60")]), Some(60));
        assert_eq!(fresh(200, &[("cache-control", "max-age=60"), ("age", "20")]), Some(40));
        assert_eq!(fresh(200, &[("cache-control", "max-age=60"), ("age", "nonsense")]), None);
        assert_eq!(fresh(404, &[("cache-control", "Max-Age=\"5\"")]), Some(5));
        assert_eq!(fresh(200, &[("cache-control", "max-age=99999999")]), Some(3600));
        for never in ["no-store, max-age=60", "no-cache", "max-age=0, private", "max-age=-1"] {
            assert_eq!(fresh(200, &[("cache-control", never)]), None, "{never}");
        }
        assert_eq!(fresh(503, &[("cache-control", "max-age=60")]), None);
        assert_eq!(fresh(200, &[("cache-control", "max-age=60"), ("vary", "*")]), None);
    }

    #[test]
    fn the_cache_forgets_and_is_bounded() {
        let cache = Cache::default();
        let now = Instant::now();
        let soon = now + Duration::from_secs(60);
        cache.put("a".into(), Answer { status: 200, ..Answer::default() }, soon);
        assert_eq!(cache.get("a", now).unwrap().status, 200);
        assert!(cache.get("a", soon).is_none());
        for i in 0..40 {
            cache.put(i.to_string(), Answer { body: vec![0; 256 << 10], ..Answer::default() }, soon);
        }
        let kept = cache.0.lock().unwrap().values().map(|(_, answer)| answer.body.len()).sum::<usize>();
        assert!(kept > 0 && kept <= MOST_BYTES, "{kept}");
    }
}
