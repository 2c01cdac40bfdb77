//! From an endpoint to a session that is logged in.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle, Handler};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{Disconnect, Preferred};
use tokio::net::TcpStream;

use super::super::http::chain;
use super::super::policy::{Level, Policy, ResolveError, Resolver};
use super::super::{Answer, Endpoint, FailedKind, SshEndpoint};
use super::hosts::Known;
use crate::secret::{Encode, Vault, substitute};

/// How long one address may take to answer the connection request.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(120);
/// Identities that are tried where the settings name none, as OpenSSH does.
const DEFAULTS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// A logged-in session.
pub(super) type Session = Handle<Client>;

/// Who logs in, and which keys the server may have.
pub(super) struct Login {
    pub user: String,
    /// The keys, and what an operator knows each by.
    pub keys: Vec<(String, Arc<PrivateKey>)>,
    known: PathBuf,
    /// What is in that file.
    pub hosts: String,
}

/// Checks the server's key.
pub(super) struct Client {
    known: Known,
    /// Why it was refused; russh tells only that it was.
    refused: Arc<Mutex<Option<String>>>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let checked = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.check(key),
            PublicKeyOrCertificate::Certificate(_) => Err("the server shows a certificate, which is not checked here, instead of its key".to_owned()),
        };
        Ok(checked.map_err(|why| *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why)).is_ok())
    }
}

/// Reads identities and known servers.
pub(super) async fn login(endpoint: &Endpoint, ssh: &SshEndpoint, vault: &dyn Vault) -> Result<Login, Answer> {
    let wrong = |text: String| Answer::failed(FailedKind::NotTried, text);
    let secret = |text: &str, place| substitute(text, &endpoint.name, vault, place).map_err(|error| Answer::failed((&error).into(), error.to_string()));
    let passphrase = ssh.passphrase.as_deref().map(|text| secret(text, Encode::Credential)).transpose()?;
    let user = secret(&ssh.user, Encode::Credential)?;
    let mut keys = Vec::new();
    if let Some(identity) = &ssh.identity {
        let name = "the secret that is its identity".to_owned();
        let key = decode(&secret(identity, Encode::Key)?, passphrase.as_deref()).map_err(|why| wrong(format!("{name} {why}")))?;
        keys.push((name, key));
    } else if endpoint.level == Level::Strict {
        let text = "a component of your own logs in with a secret that is granted to it, and with no file: give its endpoint `identity`";
        return Err(Answer::failed(FailedKind::Never, text));
    } else if let Some(path) = &ssh.identity_file {
        let shown = path.display();
        let text = tokio::fs::read_to_string(path).await.map_err(|error| wrong(format!("identity_file {shown}: {error}")))?;
        keys.push((shown.to_string(), decode(&text, passphrase.as_deref()).map_err(|why| wrong(format!("identity_file {shown} {why}")))?));
    } else {
        for path in DEFAULTS.iter().map(|name| folder().join(name)) {
            if let Ok(text) = tokio::fs::read_to_string(&path).await
                && let Ok(key) = decode(&text, passphrase.as_deref())
            {
                keys.push((path.display().to_string(), key));
            }
        }
        if keys.is_empty() {
            let places = DEFAULTS.map(|name| folder().join(name).display().to_string()).join(", ");
            return Err(wrong(format!("there is no private key to log in with: write identity_file = \"…\" (looked for {places})")));
        }
    }
    let known = ssh.known_hosts.clone().unwrap_or_else(|| folder().join("known_hosts"));
    let hosts = match tokio::fs::read_to_string(&known).await {
        Ok(text) => text,
        // The message about the server's key says what to write into it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(wrong(format!("known_hosts {}: {error}", known.display()))),
    };
    Ok(Login { user, keys, known, hosts })
}

/// `~/.ssh`
fn folder() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| Path::new("/").to_owned()).join(".ssh")
}

fn decode(text: &str, passphrase: Option<&str>) -> Result<Arc<PrivateKey>, String> {
    decode_secret_key(text, passphrase).map(Arc::new).map_err(|error| match (&error, passphrase) {
        (russh::keys::Error::KeyIsEncrypted, None) => "is encrypted: its endpoint needs a `passphrase` (`identity_passphrase` of GerritStatusPush)".to_owned(),
        (_, Some(_)) => format!("cannot be read; is its passphrase right? ({error})"),
        (_, None) => format!("is no private key that can be read ({error})"),
    })
}

/// Connects, checks the server's key and logs in.
pub(super) async fn connect(ssh: &SshEndpoint, login: &Login, policy: &Arc<Policy>) -> Result<Session, Answer> {
    let known = Known::read(&login.hosts, &login.known.display().to_string(), &ssh.host, ssh.port);
    let refused = Arc::new(Mutex::new(None));
    let preferred = Preferred { key: known.first(&Preferred::DEFAULT.key).into(), ..Preferred::DEFAULT };
    let config = client::Config { preferred, inactivity_timeout: Some(IDLE), nodelay: true, ..client::Config::default() };
    let tcp = reach(ssh, policy).await?;
    let client = Client { known, refused: refused.clone() };
    let mut session = client::connect_stream(Arc::new(config), tcp, client).await.map_err(|error| {
        let why = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        Answer::failed(FailedKind::NotSent, why.unwrap_or_else(|| format!("{}:{}: {}", ssh.host, ssh.port, chain(&error))))
    })?;
    authenticate(&mut session, ssh, login).await?;
    Ok(session)
}

async fn reach(ssh: &SshEndpoint, policy: &Arc<Policy>) -> Result<TcpStream, Answer> {
    let addresses = Resolver::new(Arc::clone(policy)).addresses(&ssh.host, ssh.port).await.map_err(|error| {
        let kind = match error {
            ResolveError::Unknown { .. } => FailedKind::NotSent,
            ResolveError::Denied { .. } => FailedKind::Never,
        };
        Answer::failed(kind, error.to_string())
    })?;
    let mut last = String::new();
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                tcp.set_nodelay(true).ok();
                return Ok(tcp);
            }
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no connection within {} seconds", CONNECT.as_secs()),
        }
    }
    Err(Answer::failed(FailedKind::NotSent, format!("{} cannot be reached: {last}", ssh.host)))
}

async fn authenticate(session: &mut Session, ssh: &SshEndpoint, login: &Login) -> Result<(), Answer> {
    let failed = |error: russh::Error| Answer::failed(FailedKind::NotSent, format!("{}:{}: login: {}", ssh.host, ssh.port, chain(&error)));
    let mut tried = Vec::new();
    for (name, key) in &login.keys {
        let hash = match key.algorithm().is_rsa() {
            true => session.best_supported_rsa_hash().await.map_err(failed)?.flatten().or(Some(HashAlg::Sha256)),
            false => None,
        };
        let answer = session.authenticate_publickey(&login.user, PrivateKeyWithHashAlg::new(key.clone(), hash)).await.map_err(failed)?;
        if answer.success() {
            return Ok(());
        }
        tried.push(format!("{name} ({} {})", key.algorithm(), key.public_key().fingerprint(HashAlg::Sha256)));
    }
    // The account is refused, not this delivery: the operator can mend that while it waits.
    Err(Answer::failed(
        FailedKind::NotSent,
        format!("{}:{} refuses to log {} in with {}; is the public key registered there for this user?", ssh.host, ssh.port, login.user, tried.join(", ")),
    ))
}

/// Says goodbye, if the server listens for it.
pub(super) async fn bye(session: &Session) {
    let _ = tokio::time::timeout(Duration::from_secs(2), session.disconnect(Disconnect::ByApplication, "", "en")).await;
}
