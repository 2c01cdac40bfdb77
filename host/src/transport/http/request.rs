//! From a request as a component wrote it to one that can go out.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use url::Url;

use super::super::{Auth, Body, FailedKind, HttpEndpoint, HttpRequest};
use crate::secret::{Encode, SubstituteError, Vault, substitute};

/// Who asks.
pub(super) const AGENT: &str = concat!("reporter-host/", env!("CARGO_PKG_VERSION"));
/// What a request wants to say about itself is the host's to say.
const HOST_OWNED: &[&str] = &[
    "host",
    "content-length",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

/// The most headers of a request and the most bytes of their names and values: servers take less.
const MOST_HEADERS: (usize, usize) = (100, 64 << 10);
/// The most bytes of path and query, not encoded: encoded they must fit into 64 KiB.
const MOST_TARGET: usize = 16 << 10;

/// The methods of the contract.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Why a request can never go out as it stands.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// Not one of the contract's methods.
    #[error("method {0:?}: use GET, HEAD, POST, PUT, PATCH or DELETE")]
    Method(String),
    /// An empty segment, `.` or `..`.
    #[error("the path {0:?} leaves the endpoint: a segment may not be empty, \".\" or \"..\"")]
    Path(Vec<String>),
    /// The endpoint's base.
    #[error("base_url {0}: write http:// or https://, a host and a path; user names, queries and fragments have no place there (credentials: auth)")]
    Base(Url),
    /// Where tokens come from.
    #[error(
        "token_url {0}: write http:// or https://, a host and a path; user names and fragments have no place there (credentials: client_id, client_secret)"
    )]
    TokenUrl(Url),
    /// A header that the host writes.
    #[error("header {0:?} is written by the host; leave it out")]
    HostOwned(String),
    /// A header's name or value that HTTP does not allow.
    #[error("header {0:?} has a name or a value that HTTP does not allow (line breaks, control characters)")]
    Header(String),
    /// More headers than servers take.
    #[error("{headers} headers with {bytes} bytes: {most} headers with {most_bytes} bytes are the most; put it into the body", most = MOST_HEADERS.0, most_bytes = MOST_HEADERS.1)]
    Headers {
        /// How many.
        headers: usize,
        /// Bytes of their names and values.
        bytes: usize,
    },
    /// A path and a query that no server takes.
    #[error("path and query of {0} bytes: {MOST_TARGET} are the most; put it into the body")]
    Target(usize),
    /// A JSON body that is not JSON.
    #[error("the json body does not parse: {0}")]
    Json(String),
    /// A secret that cannot go where it stands.
    #[error(transparent)]
    Secret(#[from] SubstituteError),
}

impl RequestError {
    /// What becomes of the delivery.
    pub fn kind(&self) -> FailedKind {
        match self {
            Self::Secret(error) => error.into(),
            _ => FailedKind::Never,
        }
    }
}

/// Everything that is wrong with an endpoint whatever its secrets are: for when a plan names it, and again at each attempt.
///
/// # Errors
/// The first thing wrong.
pub fn check_endpoint(endpoint: &HttpEndpoint) -> Result<(), RequestError> {
    base(endpoint)?;
    headers(&endpoint.headers)?;
    if let Some(path) = endpoint.probe.as_ref().filter(|path| path.iter().any(|segment| leaves(segment))) {
        return Err(RequestError::Path(path.clone()));
    }
    match &endpoint.auth {
        Auth::Header { name, value } => header(name, value).map(drop),
        Auth::OAuth2 { token_url, .. } if !is_plain(token_url) => Err(RequestError::TokenUrl(token_url.clone())),
        _ => Ok(()),
    }
}

/// Everything that is wrong with a request whatever its secrets are: for when it is sent, to trap, and again at
/// each attempt.
///
/// # Errors
/// The first thing wrong.
pub fn check_request(request: &HttpRequest) -> Result<(), RequestError> {
    method(request)?;
    let target = request.path.iter().map(String::len).sum::<usize>() + bytes(&request.query);
    if target > MOST_TARGET {
        return Err(RequestError::Target(target));
    }
    if request.path.iter().any(|segment| leaves(segment)) {
        return Err(RequestError::Path(request.path.clone()));
    }
    headers(&request.headers)?;
    match &request.body {
        Body::Json(text) => serde_json::from_str::<serde::de::IgnoredAny>(text).map(drop).map_err(|e| RequestError::Json(e.to_string())),
        _ => Ok(()),
    }
}

/// A request ready to go, but for authentication.
#[derive(Clone)]
pub(super) struct Ready {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Puts the request together, secrets included.
pub(super) fn ready(name: &str, endpoint: &HttpEndpoint, request: &HttpRequest, vault: &dyn Vault) -> Result<Ready, RequestError> {
    check_endpoint(endpoint)?;
    check_request(request)?;
    let secret = |text: &str, place| substitute(text, name, vault, place);
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let (content_type, body) = match &request.body {
        Body::Empty => (None, Vec::new()),
        Body::Json(text) => (Some("application/json"), text.clone().into_bytes()),
        Body::Form(pairs) => (Some("application/x-www-form-urlencoded"), pairs_of(pairs, &secret)?.into_bytes()),
        Body::Text(text) => (Some("text/plain; charset=utf-8"), text.clone().into_bytes()),
        Body::Bytes(bytes) => (Some("application/octet-stream"), bytes.clone()),
    };
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    // Those of one level may repeat a name; the request's replace the endpoint's, and both the host's defaults.
    for level in [&endpoint.headers, &request.headers] {
        let mut of_level = HeaderMap::new();
        for (name, value) in level {
            let (name, value) = header(name, &secret(value, Encode::Header)?)?;
            of_level.append(name, value);
        }
        headers.extend(of_level);
    }
    Ok(Ready { method: method(request)?, url: url(endpoint, request, &secret)?, headers, body })
}

fn headers(pairs: &[(String, String)]) -> Result<(), RequestError> {
    let bytes = bytes(pairs);
    if pairs.len() > MOST_HEADERS.0 || bytes > MOST_HEADERS.1 {
        return Err(RequestError::Headers { headers: pairs.len(), bytes });
    }
    pairs.iter().try_for_each(|(name, value)| header(name, value).map(drop))
}

fn bytes(pairs: &[(String, String)]) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// A name and a value that HTTP allows, and that are the component's to give.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), RequestError> {
    let lower = name.to_ascii_lowercase();
    if HOST_OWNED.contains(&lower.as_str()) {
        return Err(RequestError::HostOwned(lower));
    }
    let wrong = |_| RequestError::Header(name.to_owned());
    let header = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| RequestError::Header(name.to_owned()))?;
    let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(wrong)?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// The base URL, if it is one that requests can go below.
pub(super) fn base(endpoint: &HttpEndpoint) -> Result<&Url, RequestError> {
    let url = &endpoint.base_url;
    if is_plain(url) && url.query().is_none() { Ok(url) } else { Err(RequestError::Base(url.clone())) }
}

/// Whether a URL is of HTTP and has nothing that is not sent.
fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.host().is_some() && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

fn method(request: &HttpRequest) -> Result<Method, RequestError> {
    let known = METHODS.iter().find(|method| method.as_str() == request.method);
    known.cloned().ok_or_else(|| RequestError::Method(request.method.clone()))
}

fn leaves(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

type Secret<'a> = dyn Fn(&str, Encode) -> Result<String, SubstituteError> + 'a;

fn url(endpoint: &HttpEndpoint, request: &HttpRequest, secret: &Secret<'_>) -> Result<Url, RequestError> {
    let mut url = base(endpoint)?.clone();
    // A placeholder has nothing to encode, so one in the base's path is still what it was.
    let mut path = String::new();
    for (i, segment) in url.path().split('/').enumerate() {
        if i > 0 {
            path.push('/');
        }
        if segment.contains(crate::secret::PLACEHOLDER_PREFIX) {
            path.push_str(&filled(segment, request, secret)?);
        } else {
            path.push_str(segment);
        }
    }
    for segment in &request.path {
        if !path.ends_with('/') {
            path.push('/');
        }
        path.push_str(&filled(segment, request, secret)?);
    }
    url.set_path(&path);
    if !request.query.is_empty() {
        url.set_query(Some(&pairs_of(&request.query, secret)?));
    }
    Ok(url)
}

/// A segment with its secrets, which may be dots as well.
fn filled(segment: &str, request: &HttpRequest, secret: &Secret<'_>) -> Result<String, RequestError> {
    let filled = secret(segment, Encode::Segment)?;
    if leaves(&filled) { Err(RequestError::Path(request.path.clone())) } else { Ok(filled) }
}

fn pairs_of(pairs: &[(String, String)], secret: &Secret<'_>) -> Result<String, SubstituteError> {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&crate::secret::encode(name, Encode::Component)?);
        out.push('=');
        out.push_str(&secret(value, Encode::Component)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{ENTRY_SECRET, TestVault, endpoint, request};
    use super::*;

    fn url_of(base: &str, path: &[&str], query: &[(&str, &str)]) -> Result<String, RequestError> {
        let mut asked = request("GET", path);
        asked.query = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        ready("api", &endpoint(base), &asked, &TestVault("p/q r")).map(|ready| ready.url.to_string())
    }

    #[test]
    fn urls() {
        for (base, path, query, expected) in [
            ("https://h", &[][..], &[][..], "https://h/"),
            ("https://h/api/", &["a", "b"], &[], "https://h/api/a/b"),
            ("https://h/api", &["a b", "x/y", "50%", "ü", "..."], &[], "https://h/api/a%20b/x%2Fy/50%25/%C3%BC/..."),
            ("https://h/api", &["%2e%2e", "\\..", "a\tb"], &[], "https://h/api/%252e%252e/%5C../a%09b"),
            ("https://h", &["repos", "o", "r"], &[("q", "a b&c"), ("q", "ü")], "https://h/repos/o/r?q=a+b%26c&q=%C3%BC"),
            ("https://h", &[concat!("bot", "RHSECRETAAAAAAAAAAAAAAAAAAAAAAAA")], &[("k", ENTRY_SECRET)], "https://h/botp%2Fq%20r?k=p%2Fq+r"),
            ("https://h/hooks/RHSECRETAAAAAAAAAAAAAAAAAAAAAAAA", &[], &[], "https://h/hooks/p%2Fq%20r"),
        ] {
            assert_eq!(url_of(base, path, query).unwrap(), expected);
        }
    }

    #[test]
    fn paths_that_leave_the_endpoint_are_refused() {
        for path in [&[".."][..], &["a", "."], &[""], &["a", "", "b"]] {
            assert!(matches!(url_of("https://h/api", path, &[]), Err(RequestError::Path(_))), "{path:?}");
        }
        let dots = ready("api", &endpoint("https://h/api"), &request("GET", &[ENTRY_SECRET]), &TestVault(".."));
        assert!(matches!(dots, Err(RequestError::Path(_))));
    }

    #[test]
    fn bases_methods_headers_and_bodies_are_checked() {
        for base in ["ftp://h", "https://u:p@h", "https://u@h", "https://h/?q", "https://h/#f", "data:x"] {
            assert!(matches!(url_of(base, &[], &[]), Err(RequestError::Base(_))), "{base}");
        }
        let check = |change: &dyn Fn(&mut HttpRequest)| {
            let mut asked = request("POST", &["a"]);
            change(&mut asked);
            check_request(&asked).map_err(|e| e.to_string())
        };
        assert!(check(&|_| ()).is_ok());
        for method in ["post", "CONNECT", "GET / HTTP/1.1\r\n", ""] {
            assert!(check(&|r| r.method = method.to_owned()).is_err(), "{method}");
        }
        for (name, value) in [("x", "a\r\nb: c"), ("x\n", "a"), ("x y", "a"), ("", "a"), ("Host", "a"), ("transfer-Encoding", "chunked"), ("x", "\0")] {
            assert!(check(&|r| r.headers.push((name.to_owned(), value.to_owned()))).is_err(), "{name}: {value}");
        }
        assert!(check(&|r| r.headers.push(("X-Größe".to_owned(), "a".to_owned()))).is_err());
        assert!(check(&|r| r.headers.push(("X-Name".to_owned(), "Größe\tx".to_owned()))).is_ok());
        assert!(check(&|r| r.body = Body::Json("{\"a\":".to_owned())).unwrap_err().contains("does not parse"));
        assert!(check(&|r| r.headers = vec![("x".into(), "a".into()); 101]).unwrap_err().contains("101 headers"));
        assert!(check(&|r| r.headers.push(("x".into(), "a".repeat(64 << 10)))).unwrap_err().contains("65537 bytes"));
        assert!(check(&|r| r.path.push("a".repeat(16 << 10))).unwrap_err().contains("path and query"));
    }

    #[test]
    fn endpoints_are_checked_before_anything_is_sent_there() {
        let check = |change: &dyn Fn(&mut HttpEndpoint)| {
            let mut at = endpoint("https://h");
            change(&mut at);
            check_endpoint(&at).map_err(|e| e.to_string())
        };
        assert!(check(&|_| ()).is_ok());
        assert!(check(&|e| e.headers.push(("Host".into(), "a".into()))).unwrap_err().contains("written by the host"));
        assert!(check(&|e| e.auth = Auth::Header { name: "Idempotency-Key".into(), value: "a".into() }).is_err());
        assert!(check(&|e| e.auth = Auth::Header { name: "Private-Token".into(), value: ENTRY_SECRET.into() }).is_ok());
        assert!(check(&|e| e.probe = Some(vec!["user".into()])).is_ok());
        assert!(check(&|e| e.probe = Some(vec!["..".into(), "user".into()])).unwrap_err().contains("leaves the endpoint"));
        let oauth2 = |url: &str| Auth::OAuth2 { token_url: url.parse().unwrap(), client_id: "i".into(), client_secret: "s".into() };
        assert!(check(&|e| e.auth = oauth2("https://id.example/token?realm=ci")).is_ok());
        for url in ["https://u@id.example/token", "ftp://id.example/token", "https://id.example/token#x"] {
            assert!(check(&|e| e.auth = oauth2(url)).unwrap_err().contains("token_url"), "{url}");
        }
    }

    #[test]
    fn the_longest_target_still_goes_out() {
        let mut asked = request("GET", &[&"é".repeat(4_000)]);
        asked.query = vec![("q".into(), "%".repeat(8_000))];
        let url = ready("api", &endpoint("https://h"), &asked, &TestVault("")).unwrap().url;
        assert!(url.as_str().parse::<axum::http::Uri>().is_ok(), "{} bytes", url.as_str().len());
    }

    #[test]
    fn the_requests_headers_replace_the_endpoints_and_the_defaults() {
        let mut at = endpoint("https://h");
        at.headers = vec![("Accept".into(), "a/b".into()), ("X-Two".into(), "1".into()), ("x-two".into(), "2".into())];
        let mut asked = request("POST", &[]);
        asked.body = Body::Json("{}".into());
        asked.headers = vec![("accept".into(), "c/d".into()), ("Content-Type".into(), "application/vnd.x+json".into())];
        let ready = ready("api", &at, &asked, &TestVault("")).unwrap();
        let all = |name: &str| ready.headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(all("accept"), ["c/d"]);
        assert_eq!(all("content-type"), ["application/vnd.x+json"]);
        assert_eq!(all("x-two"), ["1", "2"]);
        assert!(all("user-agent")[0].starts_with("reporter-host/"));
    }

    proptest! {
        #[test]
        fn no_request_leaves_its_base(segments in prop::collection::vec("\\PC{0,8}|[./%\\\\\r\n\t?#]{0,4}", 0..4), key in "\\PC{0,8}") {
            let mut asked = request("GET", &segments.iter().map(String::as_str).collect::<Vec<_>>());
            asked.query = vec![(key.clone(), key)];
            if let Ok(ready) = ready("api", &endpoint("https://h.example/api/v3"), &asked, &TestVault("..")) {
                prop_assert_eq!(ready.url.origin().ascii_serialization(), "https://h.example");
                let below: Vec<_> = ready.url.path_segments().unwrap().collect();
                prop_assert_eq!(&below[..2], &["api", "v3"]);
                prop_assert_eq!(below.len(), 2 + segments.len());
                prop_assert!(ready.url.fragment().is_none());
            }
        }
    }
}
