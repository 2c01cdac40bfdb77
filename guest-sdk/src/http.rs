//! HTTP to endpoints of kind `http`.

use serde_json::Value;

use crate::bindings::reporter::reporter_host::reporter::http as wit;
use crate::delivery::Terms;

pub use crate::delivery::Answer;
pub use wit::Body;

/// A request. The host adds authentication, `User-Agent`, `Content-Length`, and, on a delivery, `Idempotency-Key` with the delivery's stable id.
#[derive(Clone, Debug)]
pub struct Request {
    /// The endpoint's name in the plan.
    pub endpoint: String,
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Path segments below the endpoint's base URL, not encoded.
    pub path: Vec<String>,
    /// Query pairs, not encoded, in order.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// Headers that the host writes itself; a request with one of them is refused (docs/endpoints.md).
const OF_THE_HOST: [&str; 17] = [
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

/// Whether a header is the host's to write: for `configure`, to say so where the operator wrote it.
pub fn is_of_the_host(header: &str) -> bool {
    OF_THE_HOST.iter().any(|name| name.eq_ignore_ascii_case(header))
}

impl Request {
    /// A request without headers and body: `Request::new("api", "POST", ["repos", owner, repo])`.
    pub fn new<S: Into<String>>(endpoint: &str, method: &str, path: impl IntoIterator<Item = S>) -> Self {
        Self {
            endpoint: endpoint.into(),
            method: method.into(),
            path: path.into_iter().map(Into::into).collect(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Empty,
        }
    }

    /// Sets a JSON body.
    pub fn json(self, value: &Value) -> Self {
        self.body(Body::Json(crate::json_text(value)))
    }

    /// Sets the body.
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a query pair.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    #[cfg(target_arch = "wasm32")]
    fn into_host(self) -> wit::Request {
        let Self { endpoint, method, path, query, headers, body } = self;
        wit::Request { endpoint, method, path, query, headers, body }
    }
}

/// Queues the request.
pub fn send(request: Request, terms: Terms) {
    #[cfg(target_arch = "wasm32")]
    wit::send(&request.into_host(), terms.into_host());
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record(crate::testing::Delivery::Http(request, terms));
}

/// Asks now; `GET` or `HEAD` only. *Fetches.*
pub fn query(request: Request) -> Answer {
    #[cfg(target_arch = "wasm32")]
    return wit::query(&request.into_host());
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::answer_query(&request)
}
