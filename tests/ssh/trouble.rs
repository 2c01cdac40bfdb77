//! Servers that go away, come back, are slow, or are there no more without saying so.

use std::time::Duration;

use reporter_host::transport::FailedKind;

use super::{PATIENT, Sshd, ask, endpoint, review, run, said, transport};

#[tokio::test]
async fn a_server_that_is_started_again() {
    let mut sshd = Sshd::start("3.9.1").await;
    let (transport, ssh) = (transport(), endpoint(&sshd));
    assert_eq!(said(&ask(&transport, &ssh).await).0, 0);
    sshd.kill();
    let failed = ask(&transport, &ssh).await.error.expect("nobody is there");
    assert_eq!(failed.kind, FailedKind::NotSent);
    assert!(failed.message.contains("cannot be reached"), "{}", failed.message);
    sshd.run().await;
    assert_eq!(said(&ask(&transport, &ssh).await).0, 0);
    // And without anybody having noticed meanwhile.
    sshd.kill();
    sshd.run().await;
    assert_eq!(said(&run(&transport, &ssh, review(), PATIENT).await).0, 0);
    assert_eq!(sshd.logins(), 3);
}

#[tokio::test]
async fn a_server_that_dies_while_a_command_runs() {
    let mut sshd = Sshd::start("3.9.1").await;
    sshd.write("hang", "");
    let (transport, ssh) = (transport(), endpoint(&sshd));
    let runs = run(&transport, &ssh, review(), PATIENT);
    let dies = async {
        while sshd.commands().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sshd.kill();
    };
    let (answer, ()) = futures_util::future::join(runs, dies).await;
    let failed = answer.error.expect("no exit code");
    assert_eq!(failed.kind, FailedKind::Unknown, "it may have done its work: {}", failed.message);
}

#[tokio::test]
async fn a_command_that_takes_too_long() {
    let sshd = Sshd::start("3.9.1").await;
    let (transport, ssh) = (transport(), endpoint(&sshd));
    assert_eq!(said(&ask(&transport, &ssh).await).0, 0);
    sshd.write("hang", "");
    let failed = run(&transport, &ssh, review(), Duration::from_secs(2)).await.error.expect("it takes too long");
    assert_eq!(failed.kind, FailedKind::Unknown);
    assert!(failed.message.contains("did not end within 2 seconds; it may have done its work"), "{}", failed.message);
    std::fs::remove_file(sshd.path("hang")).unwrap();
    assert_eq!(said(&run(&transport, &ssh, review(), PATIENT).await).0, 0);
}

/// As behind a firewall that has forgotten the connection.
#[tokio::test]
async fn a_connection_at_whose_other_end_nobody_is() {
    let sshd = Sshd::start("3.9.1").await;
    let (transport, ssh) = (transport(), endpoint(&sshd));
    assert_eq!(said(&ask(&transport, &ssh).await).0, 0);
    sshd.signal_connections("STOP");
    let failed = run(&transport, &ssh, review(), Duration::from_secs(2)).await.error.expect("nobody answers");
    assert_eq!(failed.kind, FailedKind::NotSent, "{}", failed.message);
    // Whoever comes next is not sent into it again.
    assert_eq!(said(&run(&transport, &ssh, review(), PATIENT).await).0, 0);
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sshd = Sshd::start("3.9.1").await;
    let mut ssh = endpoint(&sshd);
    ssh.port = silent.local_addr().unwrap().port();
    let failed = run(&transport(), &ssh, review(), Duration::from_secs(1)).await.error.expect("nobody answers");
    assert_eq!((failed.kind, failed.message.as_str()), (FailedKind::NotSent, "no session within 1 seconds"));
}
