//! From a host name to addresses that the policy permits.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Denied, Policy};

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such name, or the name server does not answer.
    #[error("{host} cannot be resolved: {cause}")]
    Unknown {
        /// The name.
        host: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// None of its addresses is permitted.
    #[error("{host}: {denied}")]
    Denied {
        /// The name.
        host: String,
        /// The first of them.
        denied: Denied,
    },
}

/// Resolves names for one policy.
#[derive(Clone, Debug)]
pub struct Resolver(Arc<Policy>);

impl Resolver {
    /// Resolves under this policy.
    pub fn new(policy: Arc<Policy>) -> Self {
        Self(policy)
    }

    /// The permitted addresses of a host, which may be an address itself (`[::1]` too).
    ///
    /// # Errors
    /// The name does not resolve, or to nothing permitted.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((bare, port)).await.map_err(|cause| ResolveError::Unknown { host: host.to_owned(), cause })?.collect(),
        };
        let mut refused = None;
        let mut permitted = Vec::with_capacity(found.len());
        for address in found {
            match self.0.check(address.ip()) {
                Ok(()) => permitted.push(address),
                Err(denied) => {
                    refused.get_or_insert(denied);
                }
            }
        }
        match refused {
            Some(denied) if permitted.is_empty() => Err(ResolveError::Denied { host: host.to_owned(), denied }),
            None if permitted.is_empty() => {
                Err(ResolveError::Unknown { host: host.to_owned(), cause: std::io::Error::new(std::io::ErrorKind::NotFound, "it has no address") })
            }
            _ => Ok(permitted),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_literals_are_both_checked() {
        let strict = Resolver::new(Arc::new(Policy::strict()));
        for host in ["localhost", "127.0.0.1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(matches!(strict.addresses(host, 25).await, Err(ResolveError::Denied { .. })), "{host}");
        }
        let operator = Resolver::new(Arc::new(Policy::operator()));
        assert_eq!(operator.addresses("[::1]", 25).await.unwrap(), ["[::1]:25".parse().unwrap()]);
        assert!(!operator.addresses("localhost", 25).await.unwrap().is_empty());
    }
}
