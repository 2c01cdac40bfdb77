//! A component of somebody else, with an SSH server that it may use.

use reporter_host_tests::play::{Noted, play};
use std::sync::Arc;

use super::Sshd;

/// An entry of the hostile reporter that was granted the server's commands, and has a key.
fn hostile(sshd: &Sshd, what: &str, text: &str, shell: &str) -> String {
    format!(
        "[network]\nallow = '127.0.0.1'\n[secrets]\nkey = {{ file = '{}' }}\n[[services]]\ncomponent = 'hostile.wasm'\nname = 'it'\n\
         allow = ['http://127.0.0.1:9', 'smtp://127.0.0.1:25', 'ssh://127.0.0.1:{}/gerrit']\nsecrets = ['key']\ndo = '{what}'\ntext = '''{text}'''\n\
         [services.shell]\nport = {}\nuser = '{}'\nknown_hosts = '{}'\n{shell}\n",
        sshd.path("id").display(),
        sshd.port,
        sshd.port,
        sshd.user(),
        sshd.path("known_hosts").display()
    )
}

async fn tell(settings: &str) -> Arc<Noted> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    play(folder.path(), settings, 1).await
}

const KEY: &str = "identity = { secret = 'key' }";

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_is_one_argument_and_nothing_is_run() {
    let sshd = Sshd::start("3.9.1").await;
    let evil = format!("$(touch {0}); touch {0} `touch {0}` ' ; touch {0}", sshd.path("evil").display());
    let noted = tell(&hostile(&sshd, "ssh-argument", &evil, KEY)).await;
    assert_eq!(sshd.commands(), [["gerrit", "review", evil.as_str()]]);
    // The stand-in lacks a project.
    assert!(noted.dead_letters()[0].contains("the exit code was 1: fatal:"), "{:?}", noted.dead_letters());
    assert!(!sshd.path("evil").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_commands_never_leave_the_host() {
    let sshd = Sshd::start("3.9.1").await;
    for what in ["ssh-other-command", "ssh-more-words", "ssh-word-with-more", "ssh-glued-words", "ssh-send-query", "ssh-query-command"] {
        let noted = tell(&hostile(&sshd, what, "", KEY)).await;
        assert!(noted.of("it")[0].contains("is not among the"), "{what}: {:?}", noted.of("it"));
    }
    assert!(sshd.commands().is_empty() && sshd.logins() == 0);
}

/// The operator's files are not a component's to log in with.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_has_no_key_but_a_secret() {
    let sshd = Sshd::start("3.9.1").await;
    for shell in [format!("identity_file = '{}'", sshd.path("id").display()), String::new()] {
        let noted = tell(&hostile(&sshd, "ssh-argument", "x", &shell)).await;
        assert!(noted.dead_letters()[0].contains("logs in with a secret that is granted to it"), "{:?}", noted.dead_letters());
    }
    assert_eq!(sshd.logins(), 0);
}
