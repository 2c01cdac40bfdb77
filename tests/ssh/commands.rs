//! What commands come to: exit codes, output, standard input; and that they share a connection.

use reporter_host::transport::{FailedKind, SshCommand};

use super::{PATIENT, Sshd, ask, command, endpoint, review, run, said, transport};

#[tokio::test]
async fn one_connection_for_all() {
    let sshd = Sshd::start("3.9.1").await;
    let (transport, ssh) = (transport(), endpoint(&sshd));
    // Who comes while it is made waits for it.
    let all = futures_util::future::join_all((0..4).map(|_| ask(&transport, &ssh))).await;
    assert!(all.iter().all(|answer| said(answer) == (0, "gerrit version 3.9.1\n".into())));
    for _ in 0..4 {
        assert_eq!(said(&run(&transport, &ssh, review(), PATIENT).await), (0, String::new()));
    }
    assert_eq!((sshd.logins(), sshd.commands().len()), (1, 8));
    assert_eq!(sshd.reviews()[0], ["gerrit", "review", "--project", "p", "--message", "it's", "3b97070d46ccd66422a8e7b83e6967ed84780538"]);
}

#[tokio::test]
async fn exit_codes_and_what_is_said_with_them() {
    let sshd = Sshd::start("3.9.1").await;
    let (transport, ssh) = (transport(), endpoint(&sshd));
    for code in [1, 42, 255] {
        sshd.write("code", &code.to_string());
        let answer = run(&transport, &ssh, review(), PATIENT).await;
        assert_eq!(said(&answer), (code, "half of it\nerror: it was asked to fail\n".into()));
    }
    let wrong = command("gerrit review", &["--project", "p", "--message", "m", "--label", "Fancy=1", "3b97070d"]);
    assert_eq!(said(&run(&transport, &ssh, wrong, PATIENT).await), (1, "fatal: label \"Fancy\" is not a configured label\n".into()));
    // A refusal is no reason for a new connection.
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_command_that_is_killed_may_have_done_its_work() {
    let sshd = Sshd::start("3.9.1").await;
    sshd.write("signal", "KILL");
    let failed = run(&transport(), &endpoint(&sshd), review(), PATIENT).await.error.expect("no exit code");
    assert_eq!(failed.kind, FailedKind::Unknown);
    assert!(failed.message.contains("ended by the signal KILL"), "{}", failed.message);
}

#[tokio::test]
async fn standard_input_of_any_size() {
    let sshd = Sshd::start("3.9.1").await;
    let (transport, ssh) = (transport(), endpoint(&sshd));
    let text: String =
        (0..).map(|n| format!("line {n} ü\n")).scan(0, |size, line| (*size + line.len() <= 1 << 20).then(|| (*size += line.len(), line).1)).collect();
    let with = |text: &str| SshCommand { stdin: text.as_bytes().to_vec(), ..review() };
    for text in ["", "a", &text] {
        assert_eq!(said(&run(&transport, &ssh, with(text), PATIENT).await).0, 0);
    }
    assert!(sshd.inputs() == ["", "a", &text], "{:?}", sshd.inputs().iter().map(String::len).collect::<Vec<_>>());

    // One that reads nothing, and one that says much before it reads.
    sshd.write("deaf", "");
    assert_eq!(said(&run(&transport, &ssh, with(&text), PATIENT).await).0, 0);
    sshd.write("loud", "");
    let (code, body) = said(&run(&transport, &ssh, with(&text), PATIENT).await);
    assert_eq!((code, body.len()), (0, 256 << 10), "the first of it");
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn nothing_but_what_is_granted() {
    let sshd = Sshd::start("3.9.1").await;
    for other in ["gerrit version", "gerrit", "gerrit review x"] {
        let failed = run(&transport(), &endpoint(&sshd), command(other, &[]), PATIENT).await.error.expect("it is refused");
        assert_eq!(failed.kind, FailedKind::Never);
        assert!(failed.message.contains("is not among the commands"), "{}", failed.message);
    }
    assert!(sshd.commands().is_empty() && sshd.logins() == 0);
}
