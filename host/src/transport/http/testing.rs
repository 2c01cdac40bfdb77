//! What the tests of this module share.

use super::super::{Auth, Body, Endpoint, EndpointKind, HttpEndpoint, HttpRequest, Verify};
use crate::secret::{Plain, Vault, VaultError};

/// The placeholder that a [`TestVault`] knows.
pub(super) const ENTRY_SECRET: &str = "RHSECRETAAAAAAAAAAAAAAAAAAAAAAAA";

/// One secret, granted to the endpoint `api`.
pub(super) struct TestVault(pub &'static str);

impl Vault for TestVault {
    fn reveal(&self, endpoint: &str, placeholder: &str) -> Result<Option<Plain>, VaultError> {
        match (endpoint, placeholder) {
            ("api", ENTRY_SECRET) => Ok(Some(Plain::new(self.0))),
            (_, ENTRY_SECRET) => Err(VaultError::NotGranted { secret: "token".into(), endpoint: endpoint.into() }),
            _ => Ok(None),
        }
    }
    fn values(&self) -> Vec<Plain> {
        vec![Plain::new(self.0)]
    }
}

pub(super) fn endpoint(base: &str) -> HttpEndpoint {
    HttpEndpoint {
        base_url: base.parse().unwrap(),
        auth: Auth::None,
        verify: Verify::System,
        headers: Vec::new(),
        most_per_minute: None,
        most_per_hour: None,
        most_at_once: None,
        lane_limits: Vec::new(),
        updates: None,
        probe: None,
    }
}

pub(super) fn named(name: &str, http: HttpEndpoint) -> Endpoint {
    Endpoint { name: name.to_owned(), kind: EndpointKind::Http(http), level: Default::default() }
}

pub(super) fn request(method: &str, path: &[&str]) -> HttpRequest {
    HttpRequest { method: method.to_owned(), path: path.iter().map(|s| (*s).to_owned()).collect(), query: Vec::new(), headers: Vec::new(), body: Body::Empty }
}
