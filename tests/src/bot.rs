//! The program with an inbox and a bot, for suites that talk to it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::process::Process;

/// A host with a bot, on a state folder of its own.
pub struct Bot {
    folder: tempfile::TempDir,
    inbox: u16,
    process: Process,
    client: reqwest::Client,
    number: AtomicU64,
}

impl Bot {
    /// Starts `env!("CARGO_BIN_EXE_host-under-test")` with these settings of a service; `host` are further settings of `[host]`.
    pub async fn start(program: &str, host: &str, service: &str) -> Self {
        let mut bot = Self::new(program, host, service);
        bot.run().await;
        bot
    }

    /// Not started yet.
    pub fn new(program: &str, host: &str, service: &str) -> Self {
        reporter_host::transport::install_crypto();
        let folder = tempfile::tempdir().expect("a folder");
        let inbox = crate::process::free_port();
        let source = format!("[[inboxes]]\nname = 'ci'\nlisten = '127.0.0.1:{inbox}'\ntoken = 'let-me-in'\nurl = 'https://ci.example/'\n");
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, settings(host, &source, service)).expect("settings");
        let process = Process::new(program, &file);
        Self { folder, inbox, process, client: reqwest::Client::new(), number: AtomicU64::new(1) }
    }

    /// Where its settings and its state are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
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
        let answer = post.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }
}

/// Settings with a source and a service.
pub fn settings(host: &str, source: &str, service: &str) -> String {
    format!("[host]\nstate_dir = 'state'\n{host}\n{source}[[services]]\n{service}\n")
}
