//! `check --connect` for an HTTP endpoint.

use std::time::Duration;

use super::super::{Answer, Auth, Body, Endpoint, EndpointKind, HttpRequest};
use super::{HttpTransport, within};
use crate::secret::Vault;

impl HttpTransport {
    /// Connects, with TLS, and asks for the head of the base URL with the endpoint's credentials; for a token before that. Any status is good news: what the
    /// endpoint is for may not live at its base; it is in the answer for somebody to look at.
    ///
    /// # Errors
    /// In words, scrubbed: what fails.
    pub async fn check_connect(&self, endpoint: &Endpoint, vault: &dyn Vault, timeout: Duration) -> Result<String, String> {
        let EndpointKind::Http(http) = &endpoint.kind else {
            return Err(format!("endpoint {:?} is not of kind http", endpoint.name));
        };
        let head = HttpRequest { method: "HEAD".to_owned(), path: Vec::new(), query: Vec::new(), headers: Vec::new(), body: Body::Empty };
        let scrubber = vault.scrubber();
        let answer = match self.prepare(&endpoint.name, http, &head, vault, timeout) {
            Ok(prepared) => within(timeout, prepared.send(0)).await,
            Err(answer) => answer,
        };
        let Answer { status, error, .. } = answer.scrubbed(&scrubber);
        match error {
            Some(failed) => Err(failed.message),
            None => {
                let with = match &http.auth {
                    Auth::OAuth2 { token_url, .. } => format!(", with a token from {}", token_url.origin().ascii_serialization()),
                    _ => String::new(),
                };
                Ok(format!("{}: answers HEAD with {status}{}{with}", endpoint.destination(), remark(status)))
            }
        }
    }
}

fn remark(status: u16) -> &'static str {
    match status {
        401 => " (not authenticated; are user, password or token right?)",
        403 => " (authenticated or not, it is forbidden)",
        407 => " (a proxy stands in between and wants a login)",
        500..=599 => " (the service has a problem of its own)",
        _ => "",
    }
}
