//! `check --connect` for an HTTP endpoint.

use std::time::Duration;

use super::super::{Answer, Auth, Body, Endpoint, EndpointKind, HttpRequest, Reached};
use super::{HttpTransport, within};
use crate::secret::{PLACEHOLDER_PREFIX, Vault};

impl HttpTransport {
    /// Connects, with TLS, and asks with the endpoint's credentials for what its `probe` names; without one, for the head of its base URL, where what it is
    /// for may not live: then any status is an answer for somebody to look at. A token is asked for before that.
    ///
    /// # Errors
    /// In words, scrubbed: what fails.
    pub async fn check_connect(&self, endpoint: &Endpoint, vault: &dyn Vault, timeout: Duration) -> Result<Reached, String> {
        let EndpointKind::Http(http) = &endpoint.kind else {
            return Err(format!("endpoint {:?} is not of kind http", endpoint.name));
        };
        let method = if http.probe.is_some() { "GET" } else { "HEAD" };
        let path = http.probe.clone().unwrap_or_default();
        let question = HttpRequest { method: method.to_owned(), path: path.clone(), query: Vec::new(), headers: Vec::new(), body: Body::Empty };
        let scrubber = vault.scrubber();
        let answer = match self.prepare(&endpoint.name, http, &question, vault, timeout) {
            Ok(prepared) => within(timeout, prepared.send(0)).await,
            Err(answer) => answer,
        };
        let Answer { status, error, .. } = answer.scrubbed(&scrubber);
        if let Some(failed) = error {
            return Err(failed.message);
        }
        let with = match &http.auth {
            Auth::OAuth2 { token_url, .. } => format!(", with a token from {}", token_url.origin().ascii_serialization()),
            _ => String::new(),
        };
        let is_in_path = http.base_url.path().contains(PLACEHOLDER_PREFIX) || path.iter().any(|segment| segment.contains(PLACEHOLDER_PREFIX));
        match &http.probe {
            Some(path) => probed(&path.join("/"), status, is_in_path).map(|reached| Reached { text: format!("{}{with}", reached.text), ..reached }),
            None => {
                let remark = remark(status);
                Ok(Reached { text: format!("answers HEAD with {status}{remark}{with}"), doubt: !remark.is_empty() })
            }
        }
    }
}

/// What the answer to a probe says of the credentials.
fn probed(path: &str, status: u16, is_in_path: bool) -> Result<Reached, String> {
    let answer = format!("answers GET {path} with {status}");
    let doubt = |why: &str| Ok(Reached { text: format!("{answer}{why}"), doubt: true });
    match status {
        200..=299 => Ok(Reached::well(format!("logged in: {answer}"))),
        401 => Err(format!("{answer}: the credentials are refused; look at user, password or token")),
        404 if is_in_path => Err(format!("{answer}: it does not have this API there; look at the URL, and at the token that is a part of it")),
        404 => Err(format!("{answer}: it does not have this API there; look at the URL")),
        403 => doubt(": who it is may not ask that, or has asked too often; what the credentials may do shows when something is sent"),
        300..=399 => doubt(": it leads elsewhere, as to a page for people to log in"),
        status => doubt(remark(status)),
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
