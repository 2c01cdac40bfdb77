//! `check --connect`, as an operator runs it.

use reporter_host_tests::process;

use super::Sshd;

/// What it prints about an entry with these settings, and its exit code.
fn check(folder: &tempfile::TempDir, entry: &str, words: &[&str]) -> (i32, String) {
    process::check(env!("CARGO_BIN_EXE_host-under-test"), folder.path(), entry, words)
}

fn entry(sshd: &Sshd, port: u16, key: &str, known: &str) -> String {
    format!(
        "[[services]]\nreporter = 'GerritStatusPush'\nserver = '127.0.0.1'\nport = {port}\nusername = '{}'\nidentity_file = '{}'\nknown_hosts = '{}'\n",
        sshd.user(),
        sshd.path(key).display(),
        sshd.path(known).display()
    )
}

#[tokio::test]
async fn it_logs_in_and_says_what_fails() {
    let sshd = Sshd::start("3.9.1").await;
    let folder = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    sshd.write("other_hosts", &format!("[127.0.0.1]:{} {}", sshd.port, sshd.read("stranger.pub")));
    for (port, key, known, code, says) in [
        (sshd.port, "id", "known_hosts", 0, "the server's key is known, logged in as"),
        (sshd.port, "id", "nobody", 1, "is not known: ssh-ed25519 SHA256:"),
        (sshd.port, "id", "other_hosts", 1, "has another one"),
        (sshd.port, "stranger", "known_hosts", 1, "is the public key registered there for this user?"),
        (sshd.port, "missing", "known_hosts", 1, "No such file"),
        (closed, "id", "known_hosts", 1, "127.0.0.1 cannot be reached"),
    ] {
        let (ended, said) = check(&folder, &entry(&sshd, port, key, known), &["--connect"]);
        assert!(ended == code && said.contains(says) && said.contains(&format!("ssh://127.0.0.1:{port}")), "{key} {known}: {ended} {said}");
    }
    // Without --connect nobody is asked.
    assert_eq!(check(&folder, &entry(&sshd, closed, "missing", "nobody"), &[]).0, 0);
    assert!(sshd.commands().is_empty());
}

#[tokio::test]
async fn a_component_needs_a_grant_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    for (allow, code) in [
        ("", 2),
        ("'ssh://127.0.0.1:22/gerrit/review'", 2),
        ("'ssh://127.0.0.1:2222/gerrit'", 2),
        ("'ssh://127.0.0.1:22/ger'", 2),
        ("'ssh://127.0.0.1:22/gerrit/review', 'ssh://127.0.0.1:22/gerrit/version'", 0),
        ("'ssh://127.0.0.1:22/gerrit'", 0),
        ("'ssh://127.0.0.1:22'", 0),
    ] {
        let entry = format!(
            "[network]\nallow = ['127.0.0.1']\n\n[[services]]\ncomponent = 'hostile.wasm'\nallow = ['http://127.0.0.1:9', 'smtp://127.0.0.1:25', {allow}]\ndo = 'ssh-argument'\n"
        );
        let (ended, said) = check(&folder, &entry, &[]);
        assert!(ended == code && (code == 0 || said.contains("which `allow` does not list")), "{allow}: {ended} {said}");
    }
}
