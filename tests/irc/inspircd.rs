//! An InspIRCd of its own for each test, in a temporary folder; with Anope's services if the test wants them.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// What to do about a machine without the servers.
const INSTALL: &str = "run `tests/run irc`, which installs it, or `apt-get install inspircd anope`";
/// How long a server may take to come up on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Modules of every server; IRCv3's only where the test wants them.
const MODULES: [&str; 3] = ["ssl_gnutls", "md5", "sajoin"];
/// What one may send: as much as a test wants, or as much as a server allows that is set up by InspIRCd's example. Whoever sends more is thrown out.
const LIMITS: [&str; 2] = ["recvq=\"65536\" commandrate=\"1000000\" threshold=\"1000\"", "recvq=\"8192\" commandrate=\"1000\" threshold=\"10\""];
const IRCV3: [&str; 8] = ["cap", "ircv3", "ircv3_batch", "ircv3_labeledresponse", "ircv3_echomessage", "ircv3_msgid", "ircv3_ctctags", "namesx"];
const SERVICES: [&str; 7] = ["services_account", "ircv3_accounttag", "sasl", "sslinfo", "spanningtree", "servprotect", "hidechans"];

/// A running server; it ends with the value.
pub struct Inspircd {
    folder: TempDir,
    /// In the clear.
    pub plain: u16,
    /// Encrypted, with a certificate for `localhost`.
    pub tls: u16,
    link: u16,
    /// Its name and number in the network.
    name: (&'static str, &'static str),
    /// Whether people are held to what a public network allows.
    limited: bool,
    /// The other server's name and port, and whether this one looks for it.
    peer: Option<(&'static str, u16, bool)>,
    server: Option<Child>,
    services: Option<Child>,
}

impl Inspircd {
    /// Starts one that knows RFC 2812 and nothing later.
    pub async fn old() -> Self {
        Self::start(&[], false).await
    }

    /// Starts one with labeled-response and echo-message.
    pub async fn new() -> Self {
        Self::start(&IRCV3, false).await
    }

    /// The same, and whoever sends more than public networks allow is thrown out.
    pub async fn limited() -> Self {
        let mut server = Self::made();
        server.limited = true;
        server.configure(&IRCV3, false);
        server.run().await;
        server
    }

    /// Starts one with Anope beside it: accounts, SASL, NickServ.
    pub async fn with_services() -> Self {
        Self::start(&[&IRCV3[..], &SERVICES].concat(), true).await
    }

    /// Starts two that are one network.
    pub async fn two() -> (Self, Self) {
        let modules = [&IRCV3[..], &["spanningtree"]].concat();
        let (mut one, mut other) = (Self::made(), Self::made());
        other.name = ("two.test", "002");
        one.peer = Some(("two.test", other.link, false));
        other.peer = Some(("irc.test", one.link, true));
        for server in [&mut one, &mut other] {
            server.configure(&modules, false);
            server.run().await;
        }
        (one, other)
    }

    async fn start(modules: &[&str], services: bool) -> Self {
        let mut server = Self::made();
        server.configure(modules, services);
        server.run().await;
        if services {
            server.serve().await;
        }
        server
    }

    fn made() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        certificates(folder.path());
        let [plain, tls, link] = ports();
        Self { folder, plain, tls, link, name: ("irc.test", "001"), limited: false, peer: None, server: None, services: None }
    }

    /// The files of a certificate for a client, and of its key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["bbot".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(self.path("client.pem"), certificate.pem()).unwrap();
        std::fs::write(self.path("client.key"), key.serialize_pem()).unwrap();
        (self.path("client.pem"), self.path("client.key"))
    }

    /// The authority that signed the server's certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, modules: &[&str], services: bool) {
        let at = |name: &str| self.path(name).display().to_string();
        let mut text = String::from("<config format=\"xml\">\n");
        let (name, id) = self.name;
        let (plain, tls, link, folder) = (self.plain, self.tls, self.link, self.folder.path().display());
        let limits = LIMITS[usize::from(self.limited)];
        for module in MODULES.iter().chain(modules) {
            let _ = writeln!(text, "<module name=\"{module}\">");
        }
        let _ = write!(
            text,
            "<server name=\"{name}\" description=\"Test\" network=\"TestNet\" id=\"{id}\">\n<admin name=\"a\" nick=\"a\" email=\"a@b.c\">\n\
             <path configdir=\"{folder}\" datadir=\"{folder}\" logdir=\"{folder}\" moduledir=\"/usr/lib/inspircd/modules\" runtimedir=\"{folder}\">\n\
             <pid file=\"{folder}/inspircd.pid\">\n<bind address=\"127.0.0.1\" port=\"{plain}\" type=\"clients\">\n\
             <sslprofile name=\"tls\" provider=\"gnutls\" certfile=\"{}\" keyfile=\"{}\">\n\
             <bind address=\"127.0.0.1\" port=\"{tls}\" type=\"clients\" sslprofile=\"tls\">\n\
             <connect allow=\"*\" timeout=\"30\" pingfreq=\"60\" {limits} hardsendq=\"10485760\" softsendq=\"1048576\" \
             fakelag=\"no\" localmax=\"100\" globalmax=\"100\" resolvehostnames=\"no\" useident=\"no\" limit=\"1000\">\n\
             <class name=\"killer\" commands=\"KILL SAJOIN\" privs=\"users/sajoin-others\">\n<type name=\"op\" classes=\"killer\">\n<oper name=\"root\" password=\"root\" host=\"*@*\" type=\"op\">\n\
             <log method=\"file\" type=\"* -USERINPUT -USEROUTPUT\" level=\"default\" target=\"{folder}/ircd.log\">\n\
             <options casemapping=\"ascii\" prefixquit=\"Quit: \" syntaxhints=\"no\" allowhalfop=\"yes\">\n<security hidesplits=\"no\" maxtargets=\"20\">\n<performance nouserdns=\"yes\" clonesonconnect=\"no\">\n",
            at("server.pem"),
            at("server.key")
        );
        if let Some((peer, port, seeks)) = self.peer {
            let _ = write!(
                text,
                "<bind address=\"127.0.0.1\" port=\"{link}\" type=\"servers\">\n\
                 <link name=\"{peer}\" ipaddr=\"127.0.0.1\" port=\"{port}\" allowmask=\"127.0.0.1\" timeout=\"10\" sendpass=\"link\" recvpass=\"link\">\n"
            );
            if seeks {
                let _ = writeln!(text, "<autoconnect period=\"1\" server=\"{peer}\">");
            }
        }
        if services {
            let _ = write!(
                text,
                "<bind address=\"127.0.0.1\" port=\"{link}\" type=\"servers\">\n\
                 <link name=\"services.test\" ipaddr=\"127.0.0.1\" port=\"{link}\" allowmask=\"127.0.0.1\" timeout=\"30\" sendpass=\"link\" recvpass=\"link\">\n\
                 <uline server=\"services.test\" silent=\"yes\">\n<sasl target=\"services.test\" requiressl=\"no\">\n"
            );
            std::fs::create_dir(self.path("anope")).unwrap();
            std::fs::set_permissions(self.path("anope"), std::fs::Permissions::from_mode(0o777)).unwrap();
            std::fs::write(self.path("anope/services.conf"), anope(link, &at("anope"))).unwrap();
        }
        std::fs::write(self.path("inspircd.conf"), text).unwrap();
    }

    /// Starts the server, and waits until it answers.
    pub async fn run(&mut self) {
        let mut command = as_user("irc", "inspircd");
        command.args(["inspircd", "--nofork"]).arg(format!("--config={}", self.path("inspircd.conf").display()));
        let out = std::fs::File::options().create(true).append(true).open(self.path("out.log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap_or_else(|error| panic!("{error}: {INSTALL}"));
        self.server = Some(child);
        let until = Instant::now() + PATIENCE;
        for port in [self.plain, self.tls] {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                assert!(
                    self.server.as_mut().unwrap().try_wait().unwrap().is_none() && Instant::now() < until,
                    "InspIRCd does not run; {INSTALL}\n{}",
                    self.log()
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn serve(&mut self) {
        let folder = self.path("anope").display().to_string();
        let mut command = as_user("irc", "anope");
        command.args(["anope", "--nofork", "--modulesdir=/usr/lib/anope", "--localedir=/usr/share/locale"]);
        command.arg(format!("--confdir={folder}")).arg(format!("--dbdir={folder}")).arg(format!("--logdir={folder}"));
        let out = std::fs::File::options().create(true).append(true).open(self.path("anope.log")).unwrap();
        self.services =
            Some(command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap_or_else(|error| panic!("{error}: {INSTALL}")));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// What the servers said.
    pub fn log(&self) -> String {
        ["out.log", "ircd.log", "anope.log"].map(|name| std::fs::read_to_string(self.path(name)).unwrap_or_default()).join("\n")
    }
}

impl Drop for Inspircd {
    fn drop(&mut self) {
        for child in [&mut self.services, &mut self.server].into_iter().flatten() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn anope(link: u16, folder: &str) -> String {
    let nickserv = ["nickserv", "ns_identify", "ns_register", "ns_cert"];
    let mut text = format!(
        "uplink {{ host = \"127.0.0.1\"; ipv6 = no; ssl = no; port = {link}; password = \"link\" }}\n\
         serverinfo {{ name = \"services.test\"; description = \"Services\"; id = \"00A\"; pid = \"{folder}/services.pid\"; motd = \"services.motd\" }}\n\
         module {{ name = \"inspircd3\"; use_server_side_mlock = no; use_server_side_topiclock = no }}\n\
         networkinfo {{ networkname = \"TestNet\"; nicklen = 30; userlen = 10; hostlen = 64; chanlen = 64; modelistsize = 100;\n\
         vhost_chars = \"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-\"; allow_undotted_vhosts = false; disallow_start_or_end = \".-\";\n\
         nick_chars = \"\" }}\n\
         options {{ casemap = \"ascii\"; seed = 1234567; strictpasswords = no; badpasslimit = 0; badpasstimeout = 1h; updatetimeout = 5m; expiretimeout = 30m;\n\
         readtimeout = 5s; warningtimeout = 4h; timeoutcheck = 3s; retrywait = 1s; hideprivilegedcommands = no; hideregisteredcommands = no; regexengine = \"\" }}\n\
         log {{ target = \"services.log\"; bot = \"Global\"; logage = 7; admin = \"*\"; servers = \"*\"; users = \"*\"; other = \"*\" }}\n\
         service {{ nick = \"NickServ\"; user = \"services\"; host = \"services.test\"; gecos = \"Nickname Service\" }}\n\
         module {{ name = \"nickserv\"; client = \"NickServ\"; forceemail = no; confirmemail = no; registration = \"none\"; unregistered_notice = \"\"; defaults = \"\"; regdelay = 0; expire = 90d;\n\
         secureadmins = no; modeonid = no; hidenetsplitquit = no; killquick = 20s; kill = 60s; enforceruser = \"enforcer\"; enforcerhost = \"services.test\"; releasetimeout = 1m; guestnickprefix = \"Guest\"; nonicknameownership = no; passlen = 32 }}\n\
         module {{ name = \"enc_md5\" }}\nmodule {{ name = \"db_flatfile\"; database = \"anope.db\"; keepbackups = 1; fork = no }}\nmodule {{ name = \"m_sasl\" }}\n"
    );
    for module in nickserv.iter().filter(|name| **name != "nickserv") {
        let _ = writeln!(text, "module {{ name = \"{module}\" }}");
    }
    for (name, of) in [("REGISTER", "register"), ("IDENTIFY", "identify"), ("CERT", "cert")] {
        let _ = writeln!(text, "command {{ service = \"NickServ\"; name = \"{name}\"; command = \"nickserv/{of}\" }}");
    }
    text
}

/// A command that is not run as root, which these servers refuse.
fn as_user(user: &str, package: &str) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !root {
        let mut command = Command::new("env");
        command.arg("--");
        return command;
    }
    let known = Command::new("id").arg(user).output().is_ok_and(|id| id.status.success());
    assert!(known, "there is no user {user}, which {package} is run as; {INSTALL}");
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
    command
}

fn ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| reporter_host_tests::process::free_port())
}

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
    // Made anew for each test, and read by another user.
    for name in ["server.pem", "server.key"] {
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}
