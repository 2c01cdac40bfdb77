//! A Postfix of its own for each test, with Dovecot for AUTH, in a temporary folder.

use std::io::{Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mail_parser::{Message, MessageParser};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// What to do about a machine without the servers.
const INSTALL: &str = "run `tests/run smtp`, which installs it, or `apt-get install postfix dovecot-core`; Postfix starts as root only";
/// How long a server may take to come up, or a mail to arrive, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// User and password that the submission port knows.
pub const USER: &str = "ci@example.org";
/// See [`USER`].
pub const PASSWORD: &str = "s3cr/et+wörd 1";

/// A running Postfix; it ends with the value.
pub struct Postfix {
    folder: TempDir,
    /// No TLS, no AUTH.
    pub plain: u16,
    /// STARTTLS with a certificate for `localhost`; mail is taken after AUTH only.
    pub submission: u16,
    /// STARTTLS offered, no AUTH.
    pub starttls: u16,
    /// TLS from the first byte.
    pub smtps: u16,
    /// Where the plain port asks a test's own policy server about each recipient (SMTPD_POLICY_README); if there is none, all are welcome.
    pub policy: u16,
}

/// One mail in the mailbox.
pub struct Arrived {
    /// As it lies there.
    pub raw: Vec<u8>,
}

impl Arrived {
    /// Parsed.
    pub fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(&self.raw).expect("a mail that parses")
    }

    /// The envelope recipient.
    pub fn recipient(&self) -> String {
        self.parsed().header_raw("Delivered-To").expect("Delivered-To").trim().to_owned()
    }
}

impl Postfix {
    /// Starts it and waits until every port answers.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        // Postfix's own users go through it.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["queue", "data", "mail", "dovecot"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        run(Command::new("chown").arg("postfix").arg(at("data")), "postfix");
        run(Command::new("chown").arg("nobody").arg(at("mail")), "coreutils");
        certificates(folder.path());
        let [plain, submission, starttls, smtps, policy] = ports();
        let postfix = Self { folder, plain, submission, starttls, smtps, policy };
        postfix.configure();
        run(Command::new("postfix").arg("-c").arg(postfix.path("")).arg("start"), "postfix");
        run(Command::new("dovecot").arg("-c").arg(postfix.path("dovecot.conf")), "dovecot-core");
        for port in [plain, submission, starttls, smtps] {
            postfix.wait("a port that answers", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        }
        let auth = postfix.path("queue/private/auth");
        postfix.wait("Dovecot's socket", async || auth.exists().then_some(())).await;
        postfix
    }

    /// The authority that signed the server's certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// A folder for the test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until so many mails have arrived, and gives them sorted by recipient.
    pub async fn mails(&self, count: usize) -> Vec<Arrived> {
        let mut mails = self.wait(&format!("{count} mails"), async || Some(self.now()).filter(|mails| mails.len() >= count)).await;
        mails.sort_by_key(Arrived::recipient);
        assert_eq!(mails.len(), count);
        mails
    }

    /// What has arrived so far.
    pub fn now(&self) -> Vec<Arrived> {
        let Ok(folder) = std::fs::read_dir(self.path("mail/inbox/new")) else { return Vec::new() };
        folder.map(|file| Arrived { raw: std::fs::read(file.unwrap().path()).unwrap() }).collect()
    }

    /// Postfix's and Dovecot's own words.
    pub fn log(&self) -> String {
        ["postfix.log", "dovecot.log"].map(|name| std::fs::read_to_string(self.path(name)).unwrap_or_default()).concat()
    }

    async fn wait<T>(&self, what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(value) = ready().await {
                return value;
            }
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}; the servers say:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn configure(&self) {
        let folder = self.folder.path().display();
        let Self { plain, submission, starttls, smtps, policy, .. } = self;
        let write = |name: &str, text: String| std::fs::write(self.path(name), text).unwrap();
        write(
            "main.cf",
            format!(
                "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
virtual_mailbox_domains = example.org, xn--bcher-kva.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_recipient_restrictions = check_recipient_access inline:{{{{later@example.org = 450 4.2.0 come back later}}, {{nobody@example.org = 550 5.1.1 no such user}}}}, check_policy_service {{ inet:127.0.0.1:{policy}, default_action=DUNNO, timeout=2s, try_limit=1 }}, permit_mynetworks, reject
smtpd_tls_cert_file = {folder}/server.pem
smtpd_tls_key_file = {folder}/server.key
smtpd_tls_security_level = none
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
"
            ),
        );
        let services = [("rewrite", "trivial-rewrite"), ("bounce", "bounce"), ("defer", "bounce"), ("trace", "bounce"), ("error", "error"), ("retry", "error")]
            .map(|(name, command)| format!("{name} unix - - n - - {command}\n"))
            .concat();
        write(
            "master.cf",
            format!(
                "127.0.0.1:{plain} inet n - n - - smtpd
127.0.0.1:{starttls} inet n - n - - smtpd -o smtpd_tls_security_level=may
127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=may -o smtpd_tls_auth_only=yes -o smtpd_sasl_auth_enable=yes -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
{services}virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
            ),
        );
        write("passwd", format!("{USER}:{{PLAIN}}{PASSWORD}\n"));
        write(
            "dovecot.conf",
            format!(
                "base_dir = {folder}/dovecot
log_path = {folder}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/passwd
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  unix_listener {folder}/queue/private/auth {{
    mode = 0666
  }}
}}
"
            ),
        );
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // Both read the process id from their own folder.
        let _ = Command::new("dovecot").arg("-c").arg(self.path("dovecot.conf")).arg("stop").output();
        let _ = Command::new("postfix").arg("-c").arg(self.path("")).arg("stop").output();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn run(command: &mut Command, package: &str) {
    let name = command.get_program().to_string_lossy().into_owned();
    // Not a pipe: the servers keep it open when they go to the background.
    let mut said = tempfile::tempfile().unwrap();
    let status = command
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said.try_clone().unwrap())
        .status()
        .unwrap_or_else(|e| panic!("{name} cannot be started ({e}). It comes with {package}: {INSTALL}"));
    let mut text = String::new();
    said.rewind().unwrap();
    said.read_to_string(&mut text).unwrap();
    assert!(status.success(), "{name} failed: {text}\nIt comes with {package}: {INSTALL}");
}

fn ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| reporter_host_tests::process::free_port())
}

/// An authority, and a certificate for `localhost` that it signed.
fn certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join("authority.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}
