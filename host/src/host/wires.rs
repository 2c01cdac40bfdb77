//! What goes out, and by which way.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StartError;
use crate::contract::{Ask, Later, Spool};
use crate::delivery::{Questions, Transports};
use crate::secret::Vault;
use crate::source::updates::Updates;
use crate::store::now_ms;
use crate::tenant::settings::Settings;
use crate::transport::http::HttpTransport;
use crate::transport::irc::IrcTransport;
use crate::transport::policy::{CidrError, Policy};
use crate::transport::smtp::SmtpTransport;
use crate::transport::ssh::SshTransport;
use crate::transport::{Answer, ByLevel, Endpoint, HttpRequest, MasterTransport, Sink, Sources, SshCommand};

/// How long a query may take.
const QUERY: Duration = Duration::from_secs(20);

/// The transports, as the settings' network policy allows.
#[derive(Clone)]
pub struct Wires {
    /// HTTP.
    pub http: Arc<ByLevel<HttpTransport>>,
    /// SMTP.
    pub smtp: Arc<ByLevel<SmtpTransport>>,
    /// IRC.
    pub irc: Arc<IrcTransport>,
    /// Control calls on masters.
    pub master: Arc<MasterTransport>,
    /// The sources that run.
    pub sources: Arc<Sources>,
    /// SSH.
    pub ssh: Arc<ByLevel<SshTransport>>,
    /// What is said to bots, where it has to be fetched.
    pub updates: Arc<Updates>,
    /// What is known of questions.
    pub questions: Arc<Questions>,
    /// Attached logs.
    pub spool: Arc<Files>,
    /// Which control calls have begun.
    pub(super) begun: Arc<Files>,
    /// Whether the network is left alone: `[host] sink`.
    pub(super) sink: bool,
    /// Whether webhooks are taken.
    pub(super) webhooks: bool,
}

impl Wires {
    /// Transports for these settings.
    ///
    /// # Errors
    /// [`StartError::Network`].
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let listed = |policy: Policy| Ok::<_, CidrError>(Arc::new(policy.with_lists(&settings.network.allow, &settings.network.deny)?));
        let (operator, strict) = (listed(Policy::operator())?, listed(Policy::strict())?);
        let folder = settings.state_dir.join("spool");
        let begun = settings.state_dir.join("begun");
        let sources = Arc::<Sources>::default();
        let http = Arc::new(ByLevel::new(operator.clone(), strict.clone(), HttpTransport::new));
        Ok(Self {
            updates: Arc::new(Updates::new(http.clone())),
            irc: Arc::new(IrcTransport::new(operator.clone(), strict.clone())),
            master: Arc::new(MasterTransport::new(sources.clone(), begun.clone())),
            sources,
            begun: Arc::new(Files(begun)),
            http,
            smtp: Arc::new(ByLevel::new(operator.clone(), strict.clone(), |policy| SmtpTransport::new(policy, folder.clone()))),
            ssh: Arc::new(ByLevel::new(operator, strict, SshTransport::new)),
            questions: Arc::default(),
            spool: Arc::new(Files(folder)),
            sink: settings.sink,
            webhooks: settings.webhooks.is_some(),
        })
    }

    /// What deliveries go through.
    pub fn transports(&self) -> Transports {
        let questions = self.questions.clone();
        if self.sink {
            return Transports { http: Arc::new(Sink), smtp: Arc::new(Sink), irc: Arc::new(Sink), ssh: Arc::new(Sink), master: Arc::new(Sink), questions };
        }
        Transports { http: self.http.clone(), smtp: self.smtp.clone(), irc: self.irc.clone(), ssh: self.ssh.clone(), master: self.master.clone(), questions }
    }
}

pub(super) struct Asking(pub(super) Wires);

#[async_trait]
impl Ask for Asking {
    async fn ask(&self, entry: &str, endpoint: &Endpoint, request: &HttpRequest, vault: &dyn Vault) -> Result<Answer, Later> {
        if self.0.sink {
            return Ok(Sink::unasked());
        }
        self.0.questions.admit(&endpoint.destination(), now_ms())?;
        let answer = self.0.http.at(endpoint).query(entry, endpoint, request, vault, QUERY).await;
        self.0.questions.judge(entry, endpoint, request, &answer, now_ms())?;
        Ok(answer)
    }

    async fn run(&self, endpoint: &Endpoint, command: &SshCommand, vault: &dyn Vault) -> Answer {
        if self.0.sink {
            return Sink::unasked();
        }
        self.0.ssh.at(endpoint).query(endpoint, command, vault, QUERY).await
    }
}

/// Attached logs, in a folder of the state folder.
pub struct Files(PathBuf);

impl Spool for Files {
    fn put(&self, name: &str, pieces: &mut dyn Iterator<Item = &str>) -> io::Result<()> {
        let path = self.0.join(name);
        if path.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.0)?;
        let mut file = io::BufWriter::new(tempfile::NamedTempFile::new_in(&self.0)?);
        for piece in pieces {
            io::Write::write_all(&mut file, piece.as_bytes())?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_data()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Files {
    /// Removes files older than `age`.
    pub(super) fn sweep(&self, age: Duration) -> io::Result<()> {
        for file in std::fs::read_dir(&self.0)? {
            let file = file?;
            let old = file.metadata()?.modified()?.elapsed().is_ok_and(|elapsed| elapsed > age);
            if old {
                std::fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}
