//! An OpenSSH server of its own for each test, which runs nothing but a stand-in of Gerrit.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reporter_host_tests::gerrit::{self, split};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// What to do about a machine without the server.
const INSTALL: &str = "run `tests/run ssh`, which installs it, or `apt-get install openssh-server`";
/// How long it may take to come up on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it ends with the value.
pub struct Sshd {
    folder: TempDir,
    /// Where it listens, at 127.0.0.1.
    pub port: u16,
    server: Option<Child>,
}

impl Sshd {
    /// Starts one that answers as this version of Gerrit.
    pub async fn start(version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("commands")).unwrap();
        for (name, kind) in [("host_ed25519", "ed25519"), ("id", "ed25519"), ("stranger", "ed25519")] {
            keygen(&folder.path().join(name), kind, "");
        }
        let port = reporter_host_tests::process::free_port();
        let mut sshd = Self { folder, port, server: None };
        sshd.admit("id");
        let at = sshd.folder.path().display();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ssh/gerrit.sh");
        sshd.write(
            "sshd_config",
            &format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host_ed25519\nAuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nUsePAM no\n\
                 PidFile none\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n\
                 ForceCommand exec sh '{}' '{at}' {version}\n",
                script.display()
            ),
        );
        sshd.run().await;
        sshd.trust("known_hosts");
        sshd
    }

    /// Starts it (again), and waits until it answers.
    pub async fn run(&mut self) {
        // sshd wants its whole path, to start itself again for each connection.
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let program = program.unwrap_or_else(|| panic!("there is no sshd: {INSTALL}"));
        // Only one that is started by root has a use for it, and says so where it is missing.
        std::fs::create_dir_all("/run/sshd").ok();
        let log = std::fs::File::options().create(true).append(true).open(self.path("sshd.log")).unwrap();
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(self.path("sshd_config")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(command.spawn().unwrap_or_else(|error| panic!("{error}: {INSTALL}")));
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "sshd does not run; {INSTALL}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A file of the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes one.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The text of one.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Lets a key of the folder log in, and no other.
    pub fn admit(&self, key: &str) {
        self.write("authorized_keys", &self.read(&format!("{key}.pub")));
    }

    /// Makes a key in the folder.
    pub fn key(&self, name: &str, kind: &str, passphrase: &str) {
        keygen(&self.path(name), kind, passphrase);
    }

    /// Has another host key from the next start on.
    pub fn rekey(&self, kind: &str) {
        for old in ["host_ed25519", "host_ed25519.pub"] {
            std::fs::remove_file(self.path(old)).unwrap();
        }
        self.key("host_ed25519", kind, "");
    }

    /// Writes the server's key to a file of known hosts, as `ssh-keyscan` does.
    pub fn trust(&self, file: &str) {
        let key = self.read("host_ed25519.pub");
        self.write(file, &format!("[127.0.0.1]:{} {key}", self.port));
    }

    /// Who may log in.
    pub fn user(&self) -> String {
        let id = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim().to_owned()
    }

    /// The processes of the server, and of its connections.
    fn processes(&self) -> Vec<u32> {
        let Some(server) = &self.server else { return Vec::new() };
        let mut all = vec![server.id()];
        let parent = |id: u32| {
            // proc(5): the name, which may be anything, is in parentheses; then the state and the parent.
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
        };
        let ids = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let pairs: Vec<(u32, u32)> = ids.filter_map(|id| Some((id, parent(id)?))).collect();
        let mut n = 0;
        while let Some(parent) = all.get(n).copied() {
            all.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
            n += 1;
        }
        all
    }

    /// Sends a signal to all connections, but not to the server.
    pub fn signal_connections(&self, signal: &str) {
        for process in self.processes().into_iter().skip(1) {
            let _ = Command::new("kill").arg(format!("-{signal}")).arg(process.to_string()).stderr(Stdio::null()).status();
        }
    }

    /// Ends the server and its connections.
    pub fn kill(&mut self) {
        self.signal_connections("KILL");
        if let Some(mut server) = self.server.take() {
            server.kill().ok();
            server.wait().ok();
        }
    }

    /// The commands that came, oldest first, as Gerrit reads them.
    pub fn commands(&self) -> Vec<Vec<String>> {
        self.kept("").iter().map(|line| split(line)).collect()
    }

    /// The commands that came, but for those that ask for the version; with options as Gerrit reads them.
    pub fn reviews(&self) -> Vec<Vec<String>> {
        self.commands().into_iter().filter(|words| words[1] != "version").map(gerrit::options).collect()
    }

    /// What came on their standard inputs.
    pub fn inputs(&self) -> Vec<String> {
        self.kept(".stdin")
    }

    fn kept(&self, end: &str) -> Vec<String> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.path("commands")).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "stdin") != end.is_empty());
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    /// How many logins there were.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// What the server said.
    pub fn log(&self) -> String {
        self.read("sshd.log")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // What hangs is let go.
        std::fs::remove_file(self.path("hang")).ok();
        self.signal_connections("CONT");
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let output = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"]).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("ssh-keygen: {error}: {INSTALL}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
