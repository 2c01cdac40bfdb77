//! `http`: requests to the plan's endpoints.

use wasmtime::component::Resource;

use super::budget::PART;
use super::call::{Call, Ended, Phase};
use super::delivery::Terms;
use super::reporter::reporter_host::reporter::delivery::Answer as Answered;
use super::reporter::reporter_host::reporter::http::{Body, Host, Request};
use crate::transport::http::check_request;
use crate::transport::{self, Endpoint, EndpointKind, HttpRequest, Payload};

/// Methods of a query.
const ASKS: [&str; 2] = ["GET", "HEAD"];

impl Host for Call {
    fn send(&mut self, request: Request, terms: Resource<Terms>) -> wasmtime::Result<()> {
        self.only(&[Phase::Report], "http.send")?;
        let (entry, endpoint) = self.endpoint(&request.endpoint)?;
        let bytes = size(&request);
        let request = checked(request, &endpoint)?;
        self.queue(&entry, &endpoint, Payload::Http(request), bytes, terms)
    }

    async fn query(&mut self, request: Request) -> wasmtime::Result<Answered> {
        self.only(&[Phase::Report], "http.query")?;
        self.budget.query()?;
        let (entry, endpoint) = self.endpoint(&request.endpoint)?;
        if !ASKS.contains(&request.method.as_str()) {
            return Err(Ended::Misuse(format!("it asked with the method {:?}; a query is one of {}", request.method, ASKS.join(", "))).into());
        }
        let request = checked(request, &endpoint)?;
        let answer = self.wait(entry.ask.ask(&entry.name, &endpoint, &request, entry.vault.as_ref())).await.map_err(Ended::Later)?;
        if let Some(failed) = &answer.error {
            return Err(match failed.kind {
                transport::FailedKind::Never => Ended::Misuse(failed.message.clone()),
                _ => Ended::NotNow(format!("{}: {}", endpoint.destination(), failed.message)),
            }
            .into());
        }
        self.budget.read(answer.body.len())?;
        Ok(Answered { status: answer.status, headers: answer.headers, body: answer.body, ended: "answered".into() })
    }
}

/// What a request counts for: its bytes, and what the host needs to hold each of its parts.
fn size(request: &Request) -> usize {
    let pairs = |pairs: &[(String, String)]| pairs.iter().map(|(a, b)| a.len() + b.len() + 2 * PART).sum::<usize>();
    let body = match &request.body {
        Body::Empty => 0,
        Body::Json(text) | Body::Text(text) => text.len(),
        Body::Form(form) => pairs(form),
        Body::Bytes(bytes) => bytes.len(),
    };
    body + request.path.iter().map(|segment| segment.len() + PART).sum::<usize>() + pairs(&request.query) + pairs(&request.headers)
}

/// The request as it will stand in the outbox, if it can go out at all.
fn checked(request: Request, endpoint: &Endpoint) -> Result<HttpRequest, Ended> {
    if !matches!(endpoint.kind, EndpointKind::Http(_)) {
        return Err(Ended::Misuse(format!("it sent HTTP to endpoint {:?}, which is of another kind", endpoint.name)));
    }
    let body = match request.body {
        Body::Empty => transport::Body::Empty,
        Body::Json(text) => transport::Body::Json(text),
        Body::Form(form) => transport::Body::Form(form),
        Body::Text(text) => transport::Body::Text(text),
        Body::Bytes(bytes) => transport::Body::Bytes(bytes),
    };
    let request = HttpRequest { method: request.method, path: request.path, query: request.query, headers: request.headers, body };
    match check_request(&request) {
        Ok(()) => Ok(request),
        Err(wrong) => Err(Ended::Misuse(format!("its request cannot go out: {wrong}"))),
    }
}
