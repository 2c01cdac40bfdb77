//! Code forges through the whole host, to servers that refuse what the real ones would and answer as they do.
//!
//! A file for each service, with a fake that keeps what the service keeps and enforces its published rules: limits, transitions, throttles in
//! each dialect. GitHub's requests are held against GitHub's own description of its API (`openapi.rs`).

mod bitbucket;
mod github;
mod gitlab;
mod openapi;

use std::path::Path;
use std::sync::Arc;

use reporter_host::event::Event;
use reporter_host_tests::Mapped;
use reporter_host_tests::play::{Noted, play_events};
use reporter_host_tests::process;
use reporter_host_tests::server::Server;

/// Secrets that settings may name, with their values: `token = { secret = 'github' }`.
pub const SECRETS: [(&str, &str); 5] =
    [("bitbucket", "bb-s3cret"), ("datacenter", "dc-s3cret"), ("github", "gh-s3cret"), ("github-app", "gh-4pp-t0ken"), ("gitlab", "gl-s3cret")];

/// The settings of one service, called `it`, in a folder that gets the secrets; `SERVER` is the server's address.
fn settings_of(folder: &Path, server: &Server, settings: &str) -> String {
    let secrets = folder.join("secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    for (name, value) in SECRETS {
        std::fs::write(secrets.join(name), value).unwrap();
    }
    let settings = settings.replace("SERVER", &format!("http://127.0.0.1:{}", server.port));
    format!("[network]\nallow = '127.0.0.1'\n[secrets]\nfolder = 'secrets'\n[[services]]\nname = 'it'\n{settings}")
}

fn has_no_secrets(told: &str) {
    for (_, value) in SECRETS {
        assert!(!told.contains(value), "{value} is told:\n{told}");
    }
}

/// Plays events to one service, called `it`; `SERVER` in its settings is the server's address. State stays in the folder.
pub async fn tell(folder: &Path, server: &Server, settings: &str, events: impl IntoIterator<Item = (Event, Mapped)>) -> Arc<Noted> {
    let noted = play_events(folder, &settings_of(folder, server, settings), events).await;
    has_no_secrets(&[noted.of("it"), noted.dead_letters(), noted.titles()].concat().join("\n"));
    noted
}

/// What `check --connect` prints about the service, and its exit code.
pub fn check(server: &Server, settings: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings_of(folder.path(), server, settings);
    let (code, said) = tokio::task::block_in_place(|| process::check(env!("CARGO_BIN_EXE_host-under-test"), folder.path(), &settings, &["--connect"]));
    has_no_secrets(&said);
    (code, said)
}

/// [`tell`], in a folder of its own.
pub async fn tell_once(server: &Server, settings: &str, events: impl IntoIterator<Item = (Event, Mapped)>) -> Arc<Noted> {
    tell(tempfile::tempdir().unwrap().path(), server, settings, events).await
}

/// How many deliveries arrived.
pub fn delivered(noted: &Noted) -> usize {
    noted.of("it").iter().filter(|end| *end == "delivered").count()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
