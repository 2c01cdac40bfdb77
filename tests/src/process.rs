//! The real host as a process: started, killed, asked to end.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// What `check` with these words prints about settings in a folder, and its exit code. `program` is as for [`Process::new`].
pub fn check(program: &str, folder: &Path, settings: &str, words: &[&str]) -> (i32, String) {
    std::fs::write(folder.join("reporter-host.toml"), settings).expect("written");
    let output = Command::new(program).arg("check").args(words).current_dir(folder).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// A port of 127.0.0.1 that nobody listens at, for a server that is told where to listen; another each time. It is below those that the system
/// gives to whoever connects, or a connection of another test may have it by the time the server starts.
///
/// # Panics
/// There is none.
pub fn free_port() -> u16 {
    static TURN: AtomicU16 = AtomicU16::new(0);
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    // Test binaries that run side by side begin in different places.
    let begin = std::process::id().wrapping_mul(97);
    let mut ports = PORTS;
    let free = ports.find_map(|_| {
        let at = begin.wrapping_add(TURN.fetch_add(1, Ordering::Relaxed).into()) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(at).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    });
    free.expect("a free port")
}

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A host with settings and a log; its state survives it.
pub struct Process {
    program: PathBuf,
    settings: PathBuf,
    log: PathBuf,
    level: &'static str,
    cache: Option<PathBuf>,
    child: Option<Child>,
}

impl Process {
    /// Not started yet. `program` is `env!("CARGO_BIN_EXE_host-under-test")`; the log is beside the settings.
    pub fn new(program: &str, settings: &Path) -> Self {
        Self { program: program.into(), settings: settings.to_owned(), log: settings.with_file_name("log"), level: "info", cache: None, child: None }
    }

    /// With this `--log` instead of info.
    pub fn log(mut self, level: &'static str) -> Self {
        self.level = level;
        self
    }

    /// With compiled components in this folder, where there are none of other tests.
    pub fn cache(mut self, folder: &Path) -> Self {
        self.cache = Some(folder.to_owned());
        self
    }

    /// Starts it.
    pub fn start(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log");
        let mut command = Command::new(&self.program);
        command.args(["run", "--quiet", "--log", self.level]).arg(&self.settings);
        command.envs(self.cache.iter().map(|folder| ("XDG_CACHE_HOME", folder)));
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().expect("the host starts"));
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until something is so; fails with `what` and the log.
    pub async fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let waiting = async {
            while !so() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}:\n{}", self.said());
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").arg(format!("-{name}")).arg(id).status().expect("kill").success());
    }

    /// SIGTERM; waits until it has ended well.
    pub async fn terminate(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("it runs");
        let ended = async {
            loop {
                if let Some(status) = child.try_wait().expect("a status") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let status = tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("it does not end:\n{}", self.said()));
        assert!(status.success(), "{status}:\n{}", self.said());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
        // Who waited in vain for a server's word knows nothing of the host's.
        if std::thread::panicking() {
            eprintln!("the host said:\n{}", self.said());
        }
    }
}
