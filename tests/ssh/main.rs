//! Commands on a real OpenSSH server: logins, keys, what goes wrong, and reviews through the whole host.

mod check;
mod commands;
mod hostile;
mod login;
mod quotes;
mod reviews;
mod sshd;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use reporter_host::transport::policy::Policy;
use reporter_host::transport::ssh::SshTransport;
use reporter_host::transport::{Answer, Attempt, Endpoint, EndpointKind, Payload, SshCommand, SshEndpoint, Transport as _};
use reporter_host_tests::NoSecrets;

use sshd::Sshd;

/// How long a command may take on a machine that does much else.
const PATIENT: Duration = Duration::from_secs(60);

/// The endpoint of a server's own key and user.
fn endpoint(sshd: &Sshd) -> SshEndpoint {
    SshEndpoint {
        host: "127.0.0.1".into(),
        port: sshd.port,
        user: sshd.user(),
        identity: None,
        identity_file: Some(sshd.path("id")),
        passphrase: None,
        known_hosts: Some(sshd.path("known_hosts")),
        commands: vec!["gerrit review".into()],
        queries: vec!["gerrit version".into()],
    }
}

fn named(ssh: SshEndpoint) -> Endpoint {
    Endpoint { name: "gerrit".into(), kind: EndpointKind::Ssh(ssh), level: Default::default() }
}

fn transport() -> SshTransport {
    SshTransport::new(Arc::new(Policy::operator()))
}

fn command(words: &str, arguments: &[&str]) -> SshCommand {
    SshCommand {
        words: words.split(' ').map(str::to_owned).collect(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        stdin: Vec::new(),
    }
}

async fn ask(transport: &SshTransport, ssh: &SshEndpoint) -> Answer {
    transport.query(&named(ssh.clone()), &command("gerrit version", &[]), &NoSecrets, PATIENT).await
}

async fn run(transport: &SshTransport, ssh: &SshEndpoint, command: SshCommand, timeout: Duration) -> Answer {
    let (endpoint, payload) = (named(ssh.clone()), Payload::Ssh(command));
    transport.attempt(Attempt { id: "uid", entry: "gerrit", title: "", endpoint: &endpoint, payload: &payload, vault: &NoSecrets, timeout }).await
}

/// A review that the stand-in takes.
fn review() -> SshCommand {
    command("gerrit review", &["--project", "p", "--message", "it's", "3b97070d46ccd66422a8e7b83e6967ed84780538"])
}

#[track_caller]
fn said(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.error, None);
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}
