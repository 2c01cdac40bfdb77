//! From an endpoint to a session that is ready for mail.
//!
//! | `tls` | in the clear first | STARTTLS | credentials |
//! |---|---|---|---|
//! | `none` | yes | never | also in the clear: the operator wrote so |
//! | `opportunistic` | yes | if offered and its certificate verifies; otherwise in the clear, on a new connection | encrypted, or to a loopback address |
//! | `starttls` | yes | or nothing | encrypted |
//! | `implicit` | no | | encrypted |

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, response::Code};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::http::failure::{chain, tls_advice};
use super::super::policy::{Policy, ResolveError, Resolver};
use super::super::trust::trusting;
use super::super::{Answer, FailedKind, SmtpEndpoint, Tls, Verify, install_crypto};
use super::stream::{Encrypted, LineStream};
use super::warned::Warned;
use crate::secret::{Encode, Vault, substitute};

/// How long one address may take to answer the connection request.
const CONNECT: Duration = Duration::from_secs(10);

/// User and password for AUTH, revealed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub user: String,
    pub password: String,
}

/// The endpoint's credentials; none if it has none.
pub(super) fn login(name: &str, endpoint: &SmtpEndpoint, vault: &dyn Vault) -> Result<Option<Login>, Answer> {
    let secret = |text: &Option<String>| {
        substitute(text.as_deref().unwrap_or_default(), name, vault, Encode::Credential).map_err(|e| Answer::failed((&e).into(), e.to_string()))
    };
    match (&endpoint.user, &endpoint.password) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Answer::failed(FailedKind::Never, "the SMTP endpoint has a password without a user; give both or neither")),
        (Some(_), _) => Ok(Some(Login { user: secret(&endpoint.user)?, password: secret(&endpoint.password)? })),
    }
}

/// Connects, encrypts and authenticates as the endpoint says.
pub(super) async fn connect(endpoint: &SmtpEndpoint, login: Option<&Login>, policy: &Arc<Policy>, warned: &Warned) -> Result<AsyncSmtpConnection, Answer> {
    install_crypto();
    let resolver = Resolver::new(Arc::clone(policy));
    let addresses = resolver.addresses(&endpoint.host, endpoint.port).await.map_err(|e| {
        let kind = match e {
            ResolveError::Unknown { .. } => FailedKind::NotSent,
            ResolveError::Denied { .. } => FailedKind::Never,
        };
        Answer::failed(kind, e.to_string())
    })?;
    let (mut session, peer) = match endpoint.tls {
        Tls::Implicit => implicit(endpoint, &addresses).await?,
        Tls::None => plain(endpoint, &addresses).await?,
        Tls::Starttls => {
            let (mut session, peer) = plain(endpoint, &addresses).await?;
            if !session.can_starttls() {
                bye(session).await;
                return Err(Answer::failed(
                    FailedKind::NotSent,
                    format!(
                        "{}:{} does not offer STARTTLS, which useTls (an endpoint: tls = \"starttls\") demands; if it is meant to be reached in the clear, leave out useTls (an endpoint: write tls = \"none\")",
                        endpoint.host, endpoint.port
                    ),
                ));
            }
            starttls(&mut session, endpoint, peer).await?;
            (session, peer)
        }
        Tls::Opportunistic => {
            let (mut session, peer) = plain(endpoint, &addresses).await?;
            if session.can_starttls()
                && let Err(answer) = starttls(&mut session, endpoint, peer).await
            {
                let why = answer.error.map_or_else(|| String::from_utf8_lossy(&answer.body).into_owned(), |e| e.message);
                if warned.failed(endpoint) {
                    tracing::warn!(
                        host = endpoint.host,
                        port = endpoint.port,
                        why,
                        "STARTTLS failed; going on in the clear, as tls = \"opportunistic\" says, for as long as it does"
                    );
                }
                plain(endpoint, &[peer]).await?
            } else {
                if session.is_encrypted() {
                    warned.worked(endpoint);
                }
                (session, peer)
            }
        }
    };
    if let Some(login) = login {
        authenticate(&mut session, endpoint, login, peer.ip()).await?;
    }
    Ok(session)
}

/// Says goodbye, if the server listens for it.
pub(super) async fn bye(mut session: AsyncSmtpConnection) {
    let _ = tokio::time::timeout(Duration::from_secs(2), session.quit()).await;
}

async fn plain(endpoint: &SmtpEndpoint, addresses: &[SocketAddr]) -> Result<(AsyncSmtpConnection, SocketAddr), Answer> {
    let mut last = None;
    for &address in addresses {
        match tcp(address).await {
            Ok(tcp) => {
                let hello = hello(tcp.local_addr().ok().map(|local| local.ip()));
                let session = AsyncSmtpConnection::connect_with_transport(Box::new(LineStream::new(tcp)), &hello).await;
                return session.map(|session| (session, address)).map_err(|e| answer(&e, "greeting"));
            }
            Err(why) => last = Some(why),
        }
    }
    Err(Answer::failed(FailedKind::NotSent, format!("{} cannot be reached: {}", endpoint.host, last.unwrap_or_default())))
}

/// The connection goes to the address that was checked; the certificate is still for the name.
async fn implicit(endpoint: &SmtpEndpoint, addresses: &[SocketAddr]) -> Result<(AsyncSmtpConnection, SocketAddr), Answer> {
    let wrong = |cause: String| Answer::failed(FailedKind::NotTried, cause);
    let connector = TlsConnector::from(Arc::new(trusting(&endpoint.verify).map_err(wrong)?.with_no_client_auth()));
    let name = endpoint.host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|_| wrong(format!("{:?} is no host name", endpoint.host)))?;
    let mut last = format!("{} has no address", endpoint.host);
    for &address in addresses {
        let tcp = match tcp(address).await {
            Ok(tcp) => tcp,
            Err(why) => {
                last = format!("{} cannot be reached: {why}", endpoint.host);
                continue;
            }
        };
        let hello = hello(tcp.local_addr().ok().map(|local| local.ip()));
        match tokio::time::timeout(CONNECT, connector.connect(name.clone(), LineStream::new(tcp))).await {
            Ok(Ok(tls)) => {
                let session = AsyncSmtpConnection::connect_with_transport(Box::new(Encrypted(tls)), &hello).await;
                return session.map(|session| (session, address)).map_err(|e| answer(&e, "greeting"));
            }
            Ok(Err(e)) => last = format!("TLS: {}", tls_advice(&e).unwrap_or_else(|| chain(&e))),
            Err(_) => last = format!("TLS: the server did not finish the handshake within {} seconds", CONNECT.as_secs()),
        }
    }
    Err(Answer::failed(FailedKind::NotSent, last))
}

async fn tcp(address: SocketAddr) -> Result<TcpStream, String> {
    match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(tcp)) => Ok(tcp),
        Ok(Err(e)) => Err(format!("{address}: {e}")),
        Err(_) => Err(format!("{address}: no connection within {} seconds", CONNECT.as_secs())),
    }
}

/// Whether it is encrypted; of what was encrypted from the first byte the library does not know.
pub(super) fn is_encrypted(session: &AsyncSmtpConnection, tls: Tls) -> bool {
    tls == Tls::Implicit || session.is_encrypted()
}

async fn starttls(session: &mut AsyncSmtpConnection, endpoint: &SmtpEndpoint, peer: SocketAddr) -> Result<(), Answer> {
    let tls = parameters(endpoint)?;
    session.starttls(tls, &hello(local_of(peer))).await.map_err(|e| answer(&e, "STARTTLS"))
}

fn parameters(endpoint: &SmtpEndpoint) -> Result<TlsParameters, Answer> {
    let wrong = |cause: String| Answer::failed(FailedKind::NotTried, cause);
    let name = endpoint.host.trim_matches(['[', ']']).to_owned();
    let builder = match &endpoint.verify {
        Verify::System | Verify::Switch(true) => TlsParameters::builder(name),
        Verify::Switch(false) => TlsParameters::builder(name).certificate_store(CertificateStore::None).dangerous_accept_invalid_certs(true),
        Verify::File(path) => {
            let bad = |cause: String| wrong(format!("verify = {path:?}: {cause}; name a PEM file with the authority's certificate"));
            let pem = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|e| bad(e.to_string()))?;
            TlsParameters::builder(name).certificate_store(CertificateStore::None).add_root_certificate(certificate)
        }
    };
    builder.build().map_err(|e| wrong(chain(&e)))
}

/// See the table above.
fn may_log_in(encrypted: bool, tls: Tls, peer: IpAddr) -> bool {
    encrypted || tls == Tls::None || (tls == Tls::Opportunistic && peer.to_canonical().is_loopback())
}

async fn authenticate(session: &mut AsyncSmtpConnection, endpoint: &SmtpEndpoint, login: &Login, peer: IpAddr) -> Result<(), Answer> {
    if !may_log_in(is_encrypted(session, endpoint.tls), endpoint.tls, peer) {
        return Err(Answer::failed(
            FailedKind::NotSent,
            "user and password are not sent over a connection in the clear; the server has to offer STARTTLS with a certificate that verifies (or, where the network is trusted, an endpoint says tls = \"none\")",
        ));
    }
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if session.server_info().get_auth_mechanism(&mechanisms).is_none() {
        return Err(Answer::failed(
            FailedKind::NotSent,
            "the server offers neither AUTH PLAIN nor AUTH LOGIN on this connection; leave out user and password, or use the port for submission (587 with useTls, 465 with useSmtps; an endpoint: tls = \"starttls\", tls = \"implicit\")",
        ));
    }
    let credentials = Credentials::new(login.user.clone(), login.password.clone());
    session.auth(&mechanisms, &credentials).await.map(drop).map_err(|e| answer(&e, "AUTH"))
}

/// What a reply or a broken connection means before any mail was sent.
pub(super) fn answer(error: &Error, step: &str) -> Answer {
    if let Some(code) = error.status() {
        return Answer { status: number(code), body: format!("{step}: {}", text(error)).into_bytes(), ..Answer::default() };
    }
    let words = tls_advice(error).unwrap_or_else(|| chain(error));
    Answer::failed(FailedKind::NotSent, format!("{step}: {words}"))
}

/// A reply's text without its code.
pub(super) fn text(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// A reply's code as a number.
pub(super) fn number(code: Code) -> u16 {
    u16::from(code)
}

/// What to call ourselves: the host's full name, or the address, as RFC 5321 wants it without one.
fn hello(local: Option<IpAddr>) -> ClientId {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let full = name.contains('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    match local {
        _ if full => ClientId::Domain(name.to_owned()),
        Some(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Some(IpAddr::V6(address)) => ClientId::Ipv6(address),
        None => ClientId::default(),
    }
}

/// The address that packets to `peer` come from.
fn local_of(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_the_clear_go_to_loopback_or_where_the_operator_said_so() {
        // tls, to 192.0.2.1, to 127.0.0.1
        for (tls, far, near) in [(Tls::None, true, true), (Tls::Opportunistic, false, true), (Tls::Starttls, false, false), (Tls::Implicit, false, false)] {
            assert_eq!(may_log_in(false, tls, IpAddr::from([192, 0, 2, 1])), far, "{tls:?}");
            assert_eq!(may_log_in(false, tls, IpAddr::from([127, 0, 0, 1])), near, "{tls:?}");
            assert!(may_log_in(true, tls, IpAddr::from([192, 0, 2, 1])));
        }
    }
}
