//! Requests of the host's own, whose answers are wanted whole.

use std::time::Duration;

use super::super::{Answer, Endpoint, EndpointKind, FailedKind, HttpRequest};
use super::{HttpTransport, Prepared, failure, within};
use crate::secret::Vault;

impl HttpTransport {
    /// Makes a request, and waits as long as the remote may take to answer. A body of more than `most` bytes is no answer.
    pub async fn whole(&self, endpoint: &Endpoint, request: &HttpRequest, vault: &dyn Vault, timeout: Duration, most: usize) -> Answer {
        let EndpointKind::Http(http) = &endpoint.kind else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of kind http", endpoint.name));
        };
        let scrubber = vault.scrubber();
        let mut answer = match self.prepare(&endpoint.name, http, request, vault, timeout) {
            Ok(prepared) => within(timeout, prepared.read_whole(most)).await,
            Err(answer) => answer,
        };
        let body = scrubber.bytes(&std::mem::take(&mut answer.body));
        Answer { body, ..answer.scrubbed(&scrubber) }
    }
}

impl Prepared {
    async fn read_whole(self, most: usize) -> Answer {
        let mut response = match self.once().await {
            Ok(response) => response,
            Err(error) => return failure::failed(error),
        };
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let mut answer = Answer { status, headers: headers.collect(), ..Answer::default() };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.body.len() + chunk.len() > most => {
                    return Answer::failed(FailedKind::Unknown, format!("the answer has more than {most} bytes"));
                }
                Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
                Ok(None) => return answer,
                Err(error) => return failure::failed(error),
            }
        }
    }
}
