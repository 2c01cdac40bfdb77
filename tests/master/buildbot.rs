//! A real Buildbot master with its workers, and a person who uses it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A master's folder, ports and processes. All end with it.
pub struct Buildbot {
    folder: TempDir,
    www: u16,
    pb: u16,
    flaky: bool,
    master: Option<Child>,
    workers: Vec<(String, Child)>,
    client: reqwest::Client,
    cookie: Option<String>,
}

fn tool(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned();
    let venv = std::env::var_os("BUILDBOT_VENV").map_or_else(|| target.join("buildbot-venv"), PathBuf::from);
    let tool = venv.join("bin").join(name);
    assert!(
        tool.exists(),
        "{} is missing. This test needs a real Buildbot:\n  python3 -m venv {venv}\n  {venv}/bin/pip install buildbot==4.3.0 buildbot-worker==4.3.0 buildbot-www==4.3.0\nor name the environment that has it in BUILDBOT_VENV.",
        tool.display(),
        venv = venv.display(),
    );
    tool
}

impl Buildbot {
    /// Makes a master, starts it with the worker `local` (and `flaky`, which is missed after two seconds), and logs in.
    pub async fn start(flaky: bool) -> Self {
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let folder = tempfile::tempdir().unwrap();
        let mut made = Self {
            folder,
            www: reporter_host_tests::process::free_port(),
            pb: reporter_host_tests::process::free_port(),
            flaky,
            master: None,
            workers: Vec::new(),
            client: client(),
            cookie: None,
        };
        let folder = made.path("master");
        run(Command::new(tool("buildbot")).args(["create-master", "--quiet"]).arg(&folder));
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("master/master.cfg"), folder.join("master.cfg")).unwrap();
        made.start_master().await;
        made.start_worker("local").await;
        if flaky {
            made.start_worker("flaky").await;
        }
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The master's port.
    pub fn port(&self) -> u16 {
        self.www
    }

    /// A file that builds wait for until it is there.
    pub fn gate(&self, name: &str) -> PathBuf {
        self.path(&format!("gate-{name}"))
    }

    /// Starts the master, and waits until it answers.
    pub async fn start_master(&mut self) {
        let folder = self.path("master");
        // Left behind by a master that was killed.
        let _ = std::fs::remove_file(folder.join("twistd.pid"));
        let log = File::options().create(true).append(true).open(self.path("master.log")).unwrap();
        let child = Command::new(tool("buildbot"))
            .args(["start", "--nodaemon"])
            .arg(&folder)
            .env("TEST_WWW", self.www.to_string())
            .env("TEST_PB", self.pb.to_string())
            .env("TEST_FLAKY", self.flaky.to_string())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.master = Some(child);
        let until = Instant::now() + PATIENCE;
        loop {
            let url = format!("http://127.0.0.1:{}/auth/login", self.www);
            if let Ok(answer) = self.client.get(url).basic_auth("admin", Some("secret")).send().await {
                let cookie =
                    answer.headers().get_all(SET_COOKIE).iter().next_back().and_then(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned));
                if cookie.is_some() && answer.status().is_redirection() {
                    self.cookie = cookie;
                    return;
                }
            }
            let ended = self.master.as_mut().and_then(|master| master.try_wait().unwrap());
            assert!(ended.is_none(), "the master ended:\n{}", self.log());
            assert!(Instant::now() < until, "the master does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Kills the master: it can say goodbye to nobody.
    pub fn kill_master(&mut self) {
        let mut master = self.master.take().unwrap();
        master.kill().unwrap();
        master.wait().unwrap();
    }

    /// Starts a worker, and waits until the master has it.
    pub async fn start_worker(&mut self, name: &str) {
        let folder = self.path(name);
        if !folder.exists() {
            run(Command::new(tool("buildbot-worker"))
                .args(["create-worker", "--quiet", "--maxdelay=2"])
                .arg(&folder)
                .arg(format!("127.0.0.1:{}", self.pb))
                .args([name, "pass"]));
        }
        let _ = std::fs::remove_file(folder.join("twistd.pid"));
        let child =
            Command::new(tool("buildbot-worker")).args(["start", "--nodaemon"]).arg(&folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.workers.push((name.to_owned(), child));
        self.wait_worker(name, true).await;
    }

    /// Ends a worker, and waits until the master has noticed.
    pub async fn stop_worker(&mut self, name: &str) {
        let at = self.workers.iter().position(|(have, _)| have == name).unwrap();
        let (_, mut child) = self.workers.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
        self.wait_worker(name, false).await;
    }

    async fn wait_worker(&self, name: &str, there: bool) {
        self.until(&format!("worker {name} connected: {there}"), async || {
            self.rows("workers").await.iter().any(|worker| worker["name"] == *name && worker["connected_to"].as_array().unwrap().is_empty() != there)
        })
        .await;
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !so().await {
            assert!(Instant::now() < until, "waited in vain: {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }

    /// The rows of a path.
    pub async fn rows(&self, path: &str) -> Vec<Value> {
        let url = format!("http://127.0.0.1:{}/api/v2/{path}", self.www);
        let ask = async || {
            let answer = self.client.get(&url).header(COOKIE, self.cookie.as_ref().unwrap()).send().await?;
            assert!(answer.status().is_success(), "{path}: {answer:?}");
            answer.json().await
        };
        let mut tries = 0;
        let answer: Value = loop {
            match ask().await {
                Ok(answer) => break answer,
                // A master that has just started, or is busy, lets go of a connection, also in the middle of an answer.
                Err(_) if tries < 20 => tries += 1,
                Err(error) => panic!("{path}: {error}\n{}", self.log()),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        let (_, rows) = answer.as_object().unwrap().iter().find(|(key, _)| *key != "meta").unwrap();
        rows.as_array().unwrap().clone()
    }

    /// A control call.
    pub async fn call(&self, path: &str, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "method": method, "id": 1, "params": params});
        let answer = self
            .client
            .post(format!("http://127.0.0.1:{}/api/v2/{path}", self.www))
            .header(COOKIE, self.cookie.as_ref().unwrap())
            .json(&body)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert!(answer.get("error").is_none(), "{path} {method} {params}: {answer}");
        answer["result"].clone()
    }

    /// Forces a build; answers with its request's id.
    pub async fn force(&self, builder: &str, want: &str, gate: Option<&Path>) -> i64 {
        let scheduler = if builder == "multi" { "force-multi" } else { "force" };
        let gate = gate.map_or(String::new(), |gate| gate.display().to_string());
        let result =
            self.call(&format!("forceschedulers/{scheduler}"), "force", json!({"builderNames": [builder], "want": want, "gate": gate, "reason": "test"})).await;
        result[1].as_object().unwrap().values().next().unwrap().as_i64().unwrap()
    }

    /// The first build of a request, once there is one.
    pub async fn build_of(&self, request: i64) -> i64 {
        let path = format!("buildrequests/{request}/builds");
        self.until(&format!("request {request} has a build"), async || !self.rows(&path).await.is_empty()).await;
        self.rows(&path).await[0]["buildid"].as_i64().unwrap()
    }

    /// Waits until nothing is pending or running.
    pub async fn idle(&self) {
        self.until("the master is idle", async || {
            self.rows("buildsets?complete=false").await.is_empty() && self.rows("builds?complete=false").await.is_empty()
        })
        .await;
    }

    /// Waits until nothing but this build is running.
    pub async fn idle_but(&self, build: i64) {
        self.until("the master is idle but for a build", async || self.rows("builds?complete=false").await.iter().all(|row| row["buildid"] == build)).await;
    }

    /// The end of the master's log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.path("master/twistd.log")).or_else(|_| std::fs::read_to_string(self.path("master.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Buildbot {
    fn drop(&mut self) {
        // Who waited in vain for the host's word knows nothing of the master's.
        if std::thread::panicking() {
            eprintln!("the master said:\n{}", self.log());
        }
        for child in self.master.iter_mut().chain(self.workers.iter_mut().map(|(_, child)| child)) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_gzip().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
