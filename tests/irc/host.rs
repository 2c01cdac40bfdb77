//! The program with an inbox (or a master) and a bot.

use std::sync::atomic::{AtomicU64, Ordering};

use reporter_host_tests::process::Process;
use serde_json::{Value, json};

/// A host with a bot, on a state folder of its own.
pub struct Bot {
    _folder: tempfile::TempDir,
    inbox: u16,
    process: Process,
    client: reqwest::Client,
    number: AtomicU64,
}

impl Bot {
    /// Starts a bot `bbot` on a server's port; `more` are further settings of the entry.
    pub async fn start(port: u16, more: &str) -> Self {
        let mut bot = Self::new(port, more);
        bot.run().await;
        bot
    }

    /// Not started yet.
    pub fn new(port: u16, more: &str) -> Self {
        reporter_host::transport::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let inbox = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let source = format!("[[inboxes]]\nname = 'ci'\nlisten = '127.0.0.1:{inbox}'\ntoken = 'let-me-in'\nurl = 'https://ci.example/'\n");
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, settings(&source, port, more)).unwrap();
        let process = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &file);
        Self { _folder: folder, inbox, process, client: reqwest::Client::new(), number: AtomicU64::new(1) }
    }

    /// Starts the program, and waits until it takes events.
    pub async fn run(&mut self) {
        self.process.start();
        let port = self.inbox;
        self.process.until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }

    /// Ends it with SIGTERM.
    pub async fn end(&mut self) {
        self.process.terminate().await;
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Posts a build of `linux` that ended so; its number.
    pub async fn ended(&self, results: u64) -> u64 {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        self.post(json!({"id": format!("build-{number}"), "builder": "linux", "number": number, "results": results})).await;
        number
    }

    /// Posts an event.
    pub async fn post(&self, event: Value) {
        let post = self.client.post(format!("http://127.0.0.1:{}/events", self.inbox)).bearer_auth("let-me-in").json(&event);
        let answer = post.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}

/// Settings with a bot and this source.
pub fn settings(source: &str, port: u16, more: &str) -> String {
    format!(
        "[host]\nstate_dir = 'state'\n{source}[[services]]\nreporter = 'IRC'\nname = 'bot'\nhost = 'localhost'\nport = {port}\nnick = 'bbot'\nlostDelay = 1\nfailedDelay = 1\nlineRate = 0.02\n{more}\n"
    )
}
