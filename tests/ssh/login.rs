//! Keys on both sides: who is believed, who may log in, and what an operator is told.

use reporter_host::transport::{Answer, FailedKind, SshEndpoint};
use reporter_host_tests::NoSecrets;

use super::{PATIENT, Sshd, ask, endpoint, named, said, transport};

#[track_caller]
fn refused(answer: Answer, kind: FailedKind) -> String {
    let failed = answer.error.expect("it is refused");
    assert_eq!(failed.kind, kind, "{}", failed.message);
    failed.message
}

#[tokio::test]
async fn a_server_that_is_not_known() {
    let sshd = Sshd::start("3.9.1").await;
    let ssh = SshEndpoint { known_hosts: Some(sshd.path("nobody")), ..endpoint(&sshd) };
    let message = refused(ask(&transport(), &ssh).await, FailedKind::NotSent);
    assert!(message.contains(&format!("the key of [127.0.0.1]:{} is not known: ssh-ed25519 SHA256:", sshd.port)), "{message}");
    // Doing what it says helps.
    let (_, line) = message.split_once(&format!("add this line to {}: ", sshd.path("nobody").display())).expect("what to do");
    sshd.write("nobody", &format!("# those we know\n{line}\n"));
    assert_eq!(said(&ask(&transport(), &ssh).await), (0, "gerrit version 3.9.1\n".into()));
    assert_eq!(sshd.logins(), 1, "nobody logged in before");
}

#[tokio::test]
async fn a_server_with_another_key() {
    let mut sshd = Sshd::start("3.9.1").await;
    sshd.kill();
    sshd.rekey("ed25519");
    sshd.run().await;
    let message = refused(ask(&transport(), &endpoint(&sshd)).await, FailedKind::NotSent);
    assert!(message.contains("has another one") && message.contains("nothing is sent there"), "{message}");
    assert_eq!(sshd.logins(), 0);
}

#[tokio::test]
async fn a_key_that_is_revoked() {
    let sshd = Sshd::start("3.9.1").await;
    let known = sshd.read("known_hosts");
    sshd.write("known_hosts", &format!("{known}@revoked * {}", sshd.read("host_ed25519.pub")));
    let message = refused(ask(&transport(), &endpoint(&sshd)).await, FailedKind::NotSent);
    assert!(message.contains("is revoked"), "{message}");
}

/// A key that is not trusted any more ends what goes over a kept connection, too.
#[tokio::test]
async fn trust_that_is_taken_back() {
    let sshd = Sshd::start("3.9.1").await;
    let transport = transport();
    assert_eq!(said(&ask(&transport, &endpoint(&sshd)).await).0, 0);
    sshd.write("known_hosts", "");
    assert!(refused(ask(&transport, &endpoint(&sshd)).await, FailedKind::NotSent).contains("is not known"));
}

#[tokio::test]
async fn every_kind_of_key() {
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let mut sshd = Sshd::start("3.9.1").await;
        sshd.kill();
        sshd.rekey(kind);
        sshd.run().await;
        sshd.trust("known_hosts");
        for user in ["rsa", "ecdsa", "ed25519"] {
            let name = format!("id_{user}");
            sshd.key(&name, user, "");
            sshd.admit(&name);
            let ssh = SshEndpoint { identity_file: Some(sshd.path(&name)), ..endpoint(&sshd) };
            assert_eq!(said(&ask(&transport(), &ssh).await).0, 0, "host {kind}, user {user}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_registered() {
    let sshd = Sshd::start("3.9.1").await;
    let stranger = SshEndpoint { identity_file: Some(sshd.path("stranger")), ..endpoint(&sshd) };
    let message = refused(ask(&transport(), &stranger).await, FailedKind::NotSent);
    for part in ["refuses to log", "stranger", "(ssh-ed25519 SHA256:", "is the public key registered"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let nobody = SshEndpoint { user: "no-such-user".into(), ..endpoint(&sshd) };
    assert!(refused(ask(&transport(), &nobody).await, FailedKind::NotSent).contains("refuses to log no-such-user in"));
    // The administrator registers it.
    sshd.admit("stranger");
    assert_eq!(said(&ask(&transport(), &stranger).await).0, 0);
}

#[tokio::test]
async fn a_key_with_a_passphrase() {
    let sshd = Sshd::start("3.9.1").await;
    sshd.key("locked", "ed25519", "open, Sesame");
    sshd.admit("locked");
    let with =
        |passphrase: Option<&str>| SshEndpoint { identity_file: Some(sshd.path("locked")), passphrase: passphrase.map(str::to_owned), ..endpoint(&sshd) };
    assert!(refused(ask(&transport(), &with(None)).await, FailedKind::NotTried).contains("is encrypted: its endpoint needs a `passphrase`"));
    assert!(refused(ask(&transport(), &with(Some("Sesame"))).await, FailedKind::NotTried).contains("is its passphrase right?"));
    assert_eq!(said(&ask(&transport(), &with(Some("open, Sesame"))).await).0, 0);
}

#[tokio::test]
async fn a_key_that_is_none() {
    let sshd = Sshd::start("3.9.1").await;
    let with = |name: &str| SshEndpoint { identity_file: Some(sshd.path(name)), ..endpoint(&sshd) };
    assert!(refused(ask(&transport(), &with("missing")).await, FailedKind::NotTried).contains("missing"));
    // The public one is a likely mistake.
    assert!(refused(ask(&transport(), &with("id.pub")).await, FailedKind::NotTried).contains("is no private key that can be read"));
    assert_eq!(sshd.logins(), 0);
}

#[tokio::test]
async fn what_check_finds() {
    let sshd = Sshd::start("3.9.1").await;
    let check = async |ssh: SshEndpoint| transport().check_connect(&named(ssh), &NoSecrets, PATIENT).await;
    assert_eq!(check(endpoint(&sshd)).await, Ok(format!("the server's key is known, logged in as {}", sshd.user())));
    assert!(sshd.commands().is_empty(), "nothing is run");
    let stranger = SshEndpoint { identity_file: Some(sshd.path("stranger")), ..endpoint(&sshd) };
    assert!(check(stranger).await.unwrap_err().contains("refuses to log"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(check(SshEndpoint { port: closed, ..endpoint(&sshd) }).await.unwrap_err().contains("cannot be reached"));
    assert!(check(SshEndpoint { host: "no-such-host.invalid".into(), ..endpoint(&sshd) }).await.unwrap_err().contains("cannot be resolved"));
}
