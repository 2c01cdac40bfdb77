//! A person on IRC, who does what the test says and remembers what they saw.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// What a bot listens to at once, and then one in each second (docs/chat.md); less the one that an odd moment may cost.
const AT_ONCE: f64 = 19.0;

/// Somebody connected.
pub struct Person {
    nick: String,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    seen: Arc<(Mutex<Vec<Vec<u8>>>, Notify)>,
    /// Lines that the test has looked at.
    at: usize,
    /// How much more a bot would listen to, and when something was said last.
    patience: (f64, Instant),
}

impl Person {
    /// Connects and registers.
    pub async fn new(port: u16, nick: &str) -> Self {
        let (reader, writer) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
        Self::over(reader, Box::new(writer), nick).await
    }

    /// Connects with a client certificate, and registers.
    pub async fn certified(port: u16, nick: &str, (certificate, key): (&Path, &Path), authority: &Path) -> Self {
        reporter_host::transport::install_crypto();
        let read = |path: &Path| CertificateDer::from_pem_file(path).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(read(authority)).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(vec![read(certificate)], key).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let (reader, writer) = tokio::io::split(stream);
        Self::over(reader, Box::new(writer), nick).await
    }

    async fn over(reader: impl AsyncRead + Send + Unpin + 'static, writer: Box<dyn AsyncWrite + Send + Unpin>, nick: &str) -> Self {
        let seen = Arc::new((Mutex::new(Vec::new()), Notify::new()));
        let mut person = Self { nick: nick.to_owned(), writer, seen: seen.clone(), at: 0, patience: (AT_ONCE, Instant::now()) };
        let mut reader = BufReader::new(reader);
        tokio::spawn(async move {
            loop {
                let mut line = Vec::new();
                if reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    seen.0.lock().unwrap().push(line);
                    seen.1.notify_waiters();
                } else {
                    return;
                }
            }
        });
        person.write(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}")).await;
        person.until(" 001 ").await;
        person
    }

    /// Sends a line as it is.
    pub async fn write(&mut self, line: &str) {
        self.raw(format!("{line}\r\n").as_bytes()).await;
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    /// Joins a channel, with its key behind a blank.
    pub async fn join(&mut self, channel: &str) {
        self.write(&format!("JOIN {channel}")).await;
        self.until(" 366 ").await;
    }

    /// Says something, when it will be listened to.
    pub async fn say(&mut self, target: &str, text: &str) {
        let (left, last) = self.patience;
        let left = (left + last.elapsed().as_secs_f64()).min(AT_ONCE);
        tokio::time::sleep(Duration::from_secs_f64((1.0 - left).max(0.0))).await;
        self.patience = (left.max(1.0) - 1.0, Instant::now());
        self.write(&format!("PRIVMSG {target} :{text}")).await;
    }

    fn next(&mut self, matches: impl Fn(&str) -> bool) -> Option<String> {
        let seen = self.seen.0.lock().unwrap();
        while self.at < seen.len() {
            let line = String::from_utf8_lossy(&seen[self.at]).trim_end().to_owned();
            self.at += 1;
            if matches(&line) {
                return Some(line);
            }
        }
        None
    }

    /// The next line, among those not looked at, in which this stands; others before it are passed over.
    pub async fn until(&mut self, part: &str) -> String {
        self.so(&format!("{part:?}"), |line| line.contains(part)).await
    }

    /// The next line that satisfies something.
    pub async fn so(&mut self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let seen = self.seen.clone();
        let waiting = async {
            loop {
                let more = seen.1.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                if let Some(line) = self.next(&matches) {
                    return line;
                }
                // The server asks now and then whether anybody is there.
                if let Some(ping) = self.ping() {
                    self.write(&format!("PONG {ping}")).await;
                }
                tokio::time::timeout(Duration::from_millis(500), more).await.ok();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(line) => line,
            Err(_) => panic!("{} waited in vain for {what}; saw\n{}", self.nick, self.all()),
        }
    }

    fn ping(&self) -> Option<String> {
        let seen = self.seen.0.lock().unwrap();
        seen.last().and_then(|line| String::from_utf8_lossy(line).trim_end().strip_prefix("PING ").map(str::to_owned))
    }

    /// What the bot says next to somebody: verb, target and text.
    pub async fn hears(&mut self, bot: &str) -> (String, String, String) {
        let from = format!(":{bot}!");
        let line = self.so(&format!("a word of {bot}"), |line| line.starts_with(&from) && (line.contains(" PRIVMSG ") || line.contains(" NOTICE "))).await;
        let mut words = line.splitn(4, ' ');
        let (verb, target) = (words.nth(1).unwrap().to_owned(), words.next().unwrap().to_owned());
        let text = words.next().unwrap_or_default();
        (verb, target, text.strip_prefix(':').unwrap_or(text).to_owned())
    }

    /// The text of what the bot says next.
    pub async fn text(&mut self, bot: &str) -> String {
        self.hears(bot).await.2
    }

    /// Asks, and hears the answer.
    pub async fn asks(&mut self, bot: &str, target: &str, text: &str) -> String {
        self.say(target, text).await;
        // What others are told comes between.
        let place = if target.starts_with('#') { target.to_owned() } else { self.nick.clone() };
        loop {
            let (_, target, text) = self.hears(bot).await;
            if target.eq_ignore_ascii_case(&place) {
                return text;
            }
        }
    }

    /// Everything seen.
    pub fn all(&self) -> String {
        self.seen.0.lock().unwrap().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// The raw lines of the bot.
    pub fn lines_of(&self, bot: &str) -> Vec<Vec<u8>> {
        let from = format!(":{bot}!");
        self.seen.0.lock().unwrap().iter().filter(|line| line.starts_with(from.as_bytes())).cloned().collect()
    }
}
