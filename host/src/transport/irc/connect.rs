//! From an endpoint to a stream: addresses checked, TLS verified.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::http::failure::{chain, tls_advice};
use super::super::policy::{Policy, Resolver};
use super::super::trust::trusting;
use super::super::{IrcEndpoint, install_crypto};

/// How long one address may take to answer, and the TLS handshake.
const CONNECT: Duration = Duration::from_secs(15);

/// A connection, encrypted or not.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// Connects, and encrypts as the endpoint says.
///
/// # Errors
/// In words, with what to do.
pub(super) async fn connect(endpoint: &IrcEndpoint, policy: &Arc<Policy>) -> Result<Box<dyn Wire>, String> {
    install_crypto();
    let addresses = Resolver::new(policy.clone()).addresses(&endpoint.host, endpoint.port).await.map_err(|error| error.to_string())?;
    let tls = if endpoint.tls { Some(TlsConnector::from(Arc::new(config(endpoint)?))) } else { None };
    let mut last = format!("{} has no address", endpoint.host);
    for address in addresses {
        let tcp = match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => {
                last = format!("{address}: {error}");
                continue;
            }
            Err(_) => {
                last = format!("{address}: no connection within {} seconds", CONNECT.as_secs());
                continue;
            }
        };
        tcp.set_nodelay(true).ok();
        let Some(tls) = &tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(endpoint.host.trim_matches(['[', ']']).to_owned()).map_err(|_| format!("{:?} is no host name", endpoint.host))?;
        match tokio::time::timeout(CONNECT, tls.connect(name, tcp)).await {
            Ok(Ok(stream)) => return Ok(Box::new(stream)),
            Ok(Err(error)) => last = format!("TLS: {}", words(&error)),
            Err(_) => last = "TLS: the server does not finish the handshake; is this its port for encrypted connections (often 6697)?".into(),
        }
    }
    Err(last)
}

fn words(error: &io::Error) -> String {
    tls_advice(error).unwrap_or_else(|| chain(error))
}

fn config(endpoint: &IrcEndpoint) -> Result<ClientConfig, String> {
    let builder = trusting(&endpoint.verify)?;
    let (Some(certificate), Some(key)) = (&endpoint.certificate, &endpoint.key) else { return Ok(builder.with_no_client_auth()) };
    let bad = |what: &str, path: &std::path::Path, cause: String| format!("{what} = {path:?}: {cause}; name a PEM file");
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(|error| bad("clientCertificate", certificate, error.to_string()))?.collect();
    let chain = chain.map_err(|error| bad("clientCertificate", certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad("clientKey", key, error.to_string()))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| format!("the client certificate and its key do not go together: {error}"))
}
