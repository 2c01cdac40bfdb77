//! From a stream to a registered connection: capabilities, SASL, nick (RFC 2812, 3.1; IRCv3 capability negotiation and sasl-3.2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use irc::client::data::Config;
use irc::client::transport::Transport;
use irc::proto::{IrcCodec, Message};
use tokio::sync::mpsc;
use tokio_util::codec::Framed;

use super::super::Sasl;
use super::clean::Clean;
use super::connect::Wire;
use super::line::{Came, command};
use super::sasl::{self, Exchange, Mechanism};

/// How long a registration may take; servers look up names meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a server may take to say what it can do, before it is taken for one that does not know the question.
const CAPABILITIES: Duration = Duration::from_secs(10);
/// How often a nick is lengthened that is taken.
const NICKS: usize = 6;
/// What is asked for where it is offered.
const WANTED: [&str; 6] = ["message-tags", "batch", "labeled-response", "echo-message", "account-tag", "multi-prefix"];
/// Seconds of silence after which the server is pinged, and after which it is given up.
const PING: (u32, u32) = (60, 45);

/// The `irc` crate's transport over the host's own stream.
pub(super) type Lines = std::pin::Pin<Box<Transport<Clean<Box<dyn Wire>>>>>;

/// Who the host wants to be.
pub(super) struct Login {
    pub nick: String,
    pub password: Option<String>,
    /// The server's, where it is another one.
    pub server_password: Option<String>,
    pub sasl: Sasl,
    pub certificate: bool,
}

/// A registered connection.
pub(super) struct Registered {
    pub lines: Lines,
    /// What the transport itself wants to send.
    pub own: mpsc::UnboundedReceiver<Message>,
    pub me: String,
    pub capabilities: BTreeSet<String>,
    /// How it authenticated: `SASL PLAIN`; none: not at all.
    pub authenticated: Option<String>,
}

/// Registers.
///
/// # Errors
/// In words.
pub(super) async fn register(stream: Box<dyn Wire>, login: &Login) -> Result<Registered, String> {
    let codec = IrcCodec::new("utf8").map_err(|error| error.to_string())?;
    let (own_sender, own) = mpsc::unbounded_channel();
    let config = Config { ping_time: Some(PING.0), ping_timeout: Some(PING.1), ..Config::default() };
    let lines = Box::pin(Transport::new(&config, Framed::new(Clean::new(stream), codec), own_sender));
    let mut registering = Registering {
        login,
        lines,
        own,
        nick: login.nick.clone(),
        offered: BTreeMap::new(),
        introduced: false,
        capabilities: BTreeSet::new(),
        exchange: None,
        challenge: String::new(),
        authenticated: None,
        nicks: 0,
    };
    match tokio::time::timeout(PATIENCE, registering.run()).await {
        Ok(Ok(me)) => {
            let Registering { lines, own, capabilities, authenticated, .. } = registering;
            Ok(Registered { lines, own, me, capabilities, authenticated })
        }
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("the server did not finish the registration within {} seconds", PATIENCE.as_secs())),
    }
}

struct Registering<'a> {
    login: &'a Login,
    lines: Lines,
    own: mpsc::UnboundedReceiver<Message>,
    nick: String,
    offered: BTreeMap<String, String>,
    /// Whether the nick was told.
    introduced: bool,
    capabilities: BTreeSet<String>,
    exchange: Option<(Mechanism, Exchange)>,
    challenge: String,
    authenticated: Option<String>,
    nicks: usize,
}

impl Registering<'_> {
    async fn run(&mut self) -> Result<String, String> {
        self.send("CAP", &["LS", "302"]).await?;
        // What SASL proves without telling it is not told beside it; but PASS comes before the nick, if it comes.
        let waits = self.login.password.is_some() && self.login.server_password.is_none() && self.login.sasl == Sasl::Auto;
        if !waits {
            self.introduce().await?;
        }
        let patience = tokio::time::sleep(CAPABILITIES);
        tokio::pin!(patience);
        loop {
            let came = tokio::select! {
                came = self.lines.next() => came,
                () = &mut patience, if !self.introduced => {
                    self.introduce().await?;
                    continue;
                }
                own = self.own.recv() => {
                    if let Some(message) = own {
                        self.lines.send(message).await.map_err(|error| error.to_string())?;
                    }
                    continue;
                }
            };
            let came = match came {
                Some(Ok(message)) => Came::of(&message),
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the server closed the connection during the registration".into()),
            };
            if let Some(me) = self.take(&came).await? {
                return Ok(me);
            }
        }
    }

    /// Says who it is: with the server's password, or the account's where SASL is not to be used.
    async fn introduce(&mut self) -> Result<(), String> {
        if std::mem::replace(&mut self.introduced, true) {
            return Ok(());
        }
        let of_account = self.login.password.as_ref().filter(|_| self.login.sasl != Sasl::Only && self.mechanism().is_none());
        if let Some(password) = self.login.server_password.as_ref().or(of_account) {
            self.send("PASS", &[password]).await?;
        }
        let nick = self.nick.clone();
        self.send("NICK", &[&nick]).await?;
        self.send("USER", &[&nick, "0", "*", "reporter-host"]).await
    }

    async fn send(&mut self, name: &str, params: &[&str]) -> Result<(), String> {
        self.lines.send(command(name, params)).await.map_err(|error| error.to_string())
    }

    /// Takes a line. The nick, when it is done.
    async fn take(&mut self, came: &Came) -> Result<Option<String>, String> {
        match (came.command.as_str(), came.numeric()) {
            ("CAP", _) => self.capability(came).await?,
            ("AUTHENTICATE", _) => self.challenged(came.last()).await?,
            ("ERROR", _) => return Err(format!("the server says: {}", came.last())),
            (_, Some(1)) => {
                if self.login.sasl == Sasl::Only && self.authenticated.is_none() {
                    return Err("the server has no SASL, and useSASL = true demands it".into());
                }
                return Ok(Some(came.param(0).to_owned()));
            }
            (_, Some(903)) => match self.exchange.take() {
                Some((mechanism, exchange)) if exchange.is_proven() => {
                    self.authenticated = Some(format!("SASL {}", mechanism.name()));
                    self.send("CAP", &["END"]).await?;
                }
                _ => return Err("the server ends SASL without having shown that it knows the password".into()),
            },
            (_, Some(902 | 904..=908)) => self.refused(came.last()).await?,
            (_, Some(432)) => return Err(format!("the server does not take the nick {:?}: {}", self.nick, came.last())),
            (_, Some(433 | 436 | 437)) => {
                self.nicks += 1;
                if self.nicks > NICKS {
                    return Err(format!("the nick {:?} is taken, and so are others like it", self.login.nick));
                }
                self.nick.push('_');
                let nick = self.nick.clone();
                self.send("NICK", &[&nick]).await?;
            }
            // It does not know CAP, or not before it knows who asks.
            (_, Some(421 | 451)) => self.introduce().await?,
            (_, Some(464)) => {
                return Err(format!("the server refuses: {}; look at the server's password (serverPassword, or password without it)", came.last()));
            }
            (_, Some(463 | 465 | 466)) => return Err(format!("the server refuses: {}", came.last())),
            _ => {}
        }
        Ok(None)
    }

    async fn capability(&mut self, came: &Came) -> Result<(), String> {
        match came.param(1).to_uppercase().as_str() {
            "LS" => {
                for word in came.last().split_whitespace() {
                    let (name, value) = word.split_once('=').unwrap_or((word, ""));
                    self.offered.insert(name.to_owned(), value.to_owned());
                }
                // A list that goes on has a star before its last part.
                if came.params.len() > 3 && came.param(2) == "*" {
                    return Ok(());
                }
                self.introduce().await?;
                let mut wanted: Vec<&str> = WANTED.into_iter().filter(|name| self.offered.contains_key(*name)).collect();
                let mechanism = self.mechanism();
                if mechanism.is_some() {
                    wanted.push("sasl");
                } else if self.login.sasl == Sasl::Only {
                    return Err("the server has no way of SASL that can be used here, and useSASL = true demands it".into());
                }
                if wanted.is_empty() { self.send("CAP", &["END"]).await } else { self.send("CAP", &["REQ", &format!("{} ", wanted.join(" "))]).await }
            }
            "ACK" => {
                self.capabilities.extend(came.last().split_whitespace().map(str::to_owned));
                match self.mechanism().filter(|_| self.capabilities.contains("sasl")) {
                    Some(mechanism) => {
                        let password = self.login.password.as_deref().unwrap_or_default();
                        self.exchange = Some((mechanism, Exchange::new(mechanism, &self.login.nick, password)));
                        self.send("AUTHENTICATE", &[mechanism.name()]).await
                    }
                    None => self.send("CAP", &["END"]).await,
                }
            }
            "NAK" => self.send("CAP", &["END"]).await,
            _ => Ok(()),
        }
    }

    fn mechanism(&self) -> Option<Mechanism> {
        let offered = self.offered.get("sasl").filter(|_| self.login.sasl != Sasl::Never)?;
        Mechanism::choose(offered, self.login.certificate, self.login.password.is_some())
    }

    async fn challenged(&mut self, line: &str) -> Result<(), String> {
        self.challenge.push_str(if line == "+" { "" } else { line });
        if line.len() == 400 && self.challenge.len() < 64 << 10 {
            return Ok(());
        }
        let whole = std::mem::take(&mut self.challenge);
        let Some((_, exchange)) = &mut self.exchange else { return Ok(()) };
        let challenge = sasl::decoded(if whole.is_empty() { "+" } else { &whole }).ok_or("the server's SASL challenge is no base64")?;
        match exchange.answer(&challenge) {
            Ok(answer) => {
                for line in sasl::lines(&answer) {
                    self.send("AUTHENTICATE", &[&line]).await?;
                }
                Ok(())
            }
            Err(why) => Err(why),
        }
    }

    async fn refused(&mut self, why: &str) -> Result<(), String> {
        if self.exchange.take().is_none() {
            return Ok(());
        }
        if self.login.sasl == Sasl::Only {
            return Err(format!("SASL failed: {why}; look at nick and password"));
        }
        tracing::warn!(nick = self.login.nick, "SASL failed, so NickServ is asked: {why}");
        self.send("CAP", &["END"]).await
    }
}
