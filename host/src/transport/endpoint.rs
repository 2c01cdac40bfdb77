//! Endpoints: where a component said it will send.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::Updates;
use super::policy::Level;
use crate::secret::PLACEHOLDER_PREFIX;

/// A place to send to, from a plan. Credentials are placeholders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its name in sends.
    pub name: String,
    /// How it is reached.
    #[serde(flatten)]
    pub kind: EndpointKind,
    /// Under which address policy: custom components are trusted with less.
    #[serde(skip)]
    pub level: Level,
}

/// How an endpoint is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EndpointKind {
    /// HTTP or HTTPS.
    Http(HttpEndpoint),
    /// SMTP.
    Smtp(SmtpEndpoint),
    /// IRC.
    Irc(IrcEndpoint),
    /// A master that the entry follows. The host's own: no plan has it.
    #[serde(skip)]
    Master(String),
    /// SSH.
    Ssh(SshEndpoint),
}

/// An HTTP endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpEndpoint {
    /// Requests go below this; no query, no fragment, no user information.
    pub base_url: Url,
    /// How the host authenticates.
    #[serde(default)]
    pub auth: Auth,
    /// TLS verification.
    #[serde(default)]
    pub verify: Verify,
    /// Headers of every request.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The most requests a minute that the service allows.
    #[serde(default)]
    pub most_per_minute: Option<u32>,
    /// The most requests an hour that the service allows.
    #[serde(default)]
    pub most_per_hour: Option<u32>,
    /// The most requests at a time.
    #[serde(default)]
    pub most_at_once: Option<u32>,
    /// How fast each lane may go.
    #[serde(default)]
    pub lane_limits: Vec<LaneLimit>,
    /// How what is said to the component is had from there.
    #[serde(default)]
    pub updates: Option<Updates>,
    /// Path segments below `base_url` that answer `GET` to whoever is logged in, and 401 to everybody else.
    #[serde(default)]
    pub probe: Option<Vec<String>>,
}

/// In any so many seconds, at most so many requests of one lane begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneLimit {
    /// So many requests.
    pub most: u32,
    /// So many seconds.
    pub seconds: u32,
}

/// How the host authenticates to an HTTP endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name or a placeholder.
        user: String,
        /// Password or a placeholder.
        password: String,
    },
    /// HTTP Digest (RFC 7616).
    Digest {
        /// User name or a placeholder.
        user: String,
        /// Password or a placeholder.
        password: String,
    },
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(String),
    /// Any header: `{"name": "Authorization", "value": "token …"}`.
    Header {
        /// The header's name.
        name: String,
        /// Its value, placeholders included.
        value: String,
    },
    /// A bearer token that the host asks for with OAuth 2 client credentials (RFC 6749, 4.4).
    OAuth2 {
        /// Where.
        token_url: Url,
        /// The client's name, or a placeholder.
        client_id: String,
        /// Its secret, or a placeholder.
        client_secret: String,
    },
}

/// TLS verification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Verify {
    /// Against the system's authorities.
    #[default]
    System,
    /// `true` as `System`; `false`: not at all.
    Switch(bool),
    /// Against the authorities in this PEM file.
    File(PathBuf),
}

/// An SMTP relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpEndpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encryption.
    #[serde(default)]
    pub tls: Tls,
    /// AUTH user, or a placeholder.
    #[serde(default)]
    pub user: Option<String>,
    /// AUTH password, or a placeholder.
    #[serde(default)]
    pub password: Option<String>,
    /// TLS verification.
    #[serde(default)]
    pub verify: Verify,
    /// Whether each mail goes to the log before it is sent (`dumpMailsToLog`).
    #[serde(default)]
    pub dump: bool,
}

/// An IRC server, and who the host is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IrcEndpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether the connection is encrypted from its first byte.
    #[serde(default)]
    pub tls: bool,
    /// TLS verification.
    #[serde(default)]
    pub verify: Verify,
    /// PEM file of a client certificate, with `key`; then SASL EXTERNAL is used.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The nick; the account's name too.
    pub nick: String,
    /// The account's password, or a placeholder: for SASL or NickServ, and as the server's password where that has none of its own and SASL is not used.
    #[serde(default)]
    pub password: Option<String>,
    /// The server's own password, or a placeholder.
    #[serde(default)]
    pub server_password: Option<String>,
    /// Whether SASL is used.
    #[serde(default)]
    pub sasl: Sasl,
    /// How NickServ is addressed, as `NickServ@services.example.org`; none: `NickServ`, whoever has that nick.
    #[serde(default)]
    pub nickserv: Option<String>,
    /// Channels that are joined after each connection.
    #[serde(default)]
    pub channels: Vec<IrcChannel>,
    /// Seconds before a lost connection is made again; none: 1 to 5, drawn once.
    #[serde(default)]
    pub lost_delay: Option<u32>,
    /// Seconds before a connection that could not be made is tried again; none: 45 to 60, drawn once.
    #[serde(default)]
    pub failed_delay: Option<u32>,
    /// Seconds between two lines after a burst of five; none: 1.
    #[serde(default)]
    pub line_rate: Option<f64>,
}

/// A channel to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IrcChannel {
    /// Its name.
    pub name: String,
    /// Its key, or a placeholder.
    #[serde(default)]
    pub key: Option<String>,
}

/// Whether SASL is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sasl {
    /// If the server offers it; NickServ otherwise.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Or there is no connection.
    Only,
}

/// Encryption of an SMTP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// STARTTLS if the server offers it with a certificate that verifies; in the clear otherwise, but never credentials.
    #[default]
    Opportunistic,
    /// Never.
    None,
    /// STARTTLS or nothing.
    Starttls,
    /// TLS from the first byte (SMTPS).
    Implicit,
}

/// An SSH server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshEndpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who logs in, or a placeholder.
    pub user: String,
    /// A placeholder of the private key.
    #[serde(default)]
    pub identity: Option<String>,
    /// The private key's file. Without it and `identity`, those of OpenSSH.
    #[serde(default)]
    pub identity_file: Option<PathBuf>,
    /// What the private key is encrypted with, or a placeholder.
    #[serde(default)]
    pub passphrase: Option<String>,
    /// The file of the servers' keys; `~/.ssh/known_hosts` without it.
    #[serde(default)]
    pub known_hosts: Option<PathBuf>,
    /// What may be queued, each as its words: `gerrit review`.
    #[serde(default)]
    pub commands: Vec<String>,
    /// What may be asked: commands that only read.
    #[serde(default)]
    pub queries: Vec<String>,
}

/// A URL for people: scheme, host, port and path, in which a segment with a placeholder is `{secret}`; never a user, a password or a query.
pub fn shown_url(url: &Url) -> String {
    let segment = |segment| if str::contains(segment, PLACEHOLDER_PREFIX) { "{secret}" } else { segment };
    let path: Vec<&str> = url.path().trim_end_matches('/').split('/').map(segment).collect();
    format!("{}{}", url.origin().ascii_serialization(), path.join("/"))
}

impl Endpoint {
    /// How what is said to the component is had from there, if it is.
    pub fn updates(&self) -> Option<&Updates> {
        match &self.kind {
            EndpointKind::Http(http) => http.updates.as_ref(),
            _ => None,
        }
    }

    /// What throttles and circuit breakers are counted by: `https://api.github.com`, `smtp://mail.example.org:25`, `ssh://…:29418`.
    pub fn destination(&self) -> String {
        match &self.kind {
            EndpointKind::Http(http) => http.base_url.origin().ascii_serialization(),
            EndpointKind::Smtp(smtp) => format!("smtp://{}:{}", smtp.host, smtp.port),
            EndpointKind::Ssh(ssh) => format!("ssh://{}:{}", ssh.host, ssh.port),
            EndpointKind::Irc(irc) => format!("irc://{}@{}:{}", irc.nick, irc.host, irc.port),
            EndpointKind::Master(name) => format!("master://{name}"),
        }
    }

    /// The destination for people: of HTTP with the path of its base URL, as [`shown_url`] has it.
    pub fn shown(&self) -> String {
        if let EndpointKind::Http(http) = &self.kind { shown_url(&http.base_url) } else { self.destination() }
    }

    /// What a grant in `allow` has to cover: the destination without what is no place.
    pub fn granted_as(&self) -> String {
        match &self.kind {
            EndpointKind::Irc(irc) => format!("irc://{}:{}", irc.host, irc.port),
            _ => self.destination(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_for_people_have_no_secrets() {
        for (url, shown) in [
            ("https://ghe.example/api/v3/", "https://ghe.example/api/v3"),
            ("https://api.github.com", "https://api.github.com"),
            ("http://h:8080/a%20b/RHSECRETAAAAAAAAAAAAAAAAAAAAAAAA/c", "http://h:8080/a%20b/{secret}/c"),
            ("https://h/botRHSECRETAAAAAAAAAAAAAAAAAAAAAAAA", "https://h/{secret}"),
            ("https://u:p@id.example/token?client=s3cret#x", "https://id.example/token"),
        ] {
            assert_eq!(shown_url(&url.parse().unwrap()), shown);
        }
    }
}
