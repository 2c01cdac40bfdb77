//! Control calls on masters: recorded before they are sent, and sent once.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Answer, Attempt, FailedKind, Payload, Transport};
use crate::event::{Acted, Fetch};
use crate::secret::{Encode, encode};

/// The sources that run, by name, in the order of the settings.
#[derive(Default)]
pub struct Sources(Mutex<Vec<(String, Arc<dyn Fetch>)>>);

impl Sources {
    /// These run now, and no others.
    pub fn set(&self, sources: Vec<(String, Arc<dyn Fetch>)>) {
        *self.lock() = sources;
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.lock().iter().map(|(name, _)| name.clone()).collect()
    }

    /// One of them.
    pub fn find(&self, name: &str) -> Option<Arc<dyn Fetch>> {
        self.lock().iter().find(|(known, _)| known == name).map(|(_, source)| source.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Arc<dyn Fetch>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Acts on masters.
pub struct MasterTransport {
    sources: Arc<Sources>,
    begun: PathBuf,
}

impl MasterTransport {
    /// Marks in the folder `begun` each call that is about to be sent: after a crash it is not sent again.
    pub fn new(sources: Arc<Sources>, begun: PathBuf) -> Self {
        Self { sources, begun }
    }

    /// False: it has begun before.
    fn begin(&self, id: &str) -> io::Result<bool> {
        std::fs::create_dir_all(&self.begun)?;
        match std::fs::File::create_new(self.begun.join(id)) {
            Ok(file) => {
                file.sync_all()?;
                // The name is what counts, and that is the folder's.
                std::fs::File::open(&self.begun)?.sync_all()?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Transport for MasterTransport {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let Payload::Master(call) = attempt.payload else {
            return Answer::failed(FailedKind::Never, "what goes to a master is a control call");
        };
        let Some(source) = self.sources.find(&call.master) else {
            return Answer::failed(FailedKind::Never, format!("the host does not run with the master {:?}", call.master));
        };
        match self.begin(attempt.id) {
            Ok(true) => {}
            Ok(false) => return Answer::failed(FailedKind::Unknown, "the host ended while it was being asked, and does not ask twice"),
            Err(error) => return Answer::failed(FailedKind::NotTried, format!("{}: {error}; nothing is asked that cannot be recorded", self.begun.display())),
        }
        let path = call.path.iter().filter_map(|segment| encode(segment, Encode::Segment).ok()).collect::<Vec<_>>().join("/");
        let parameters = serde_json::from_str(&call.parameters).unwrap_or_default();
        let acted = tokio::time::timeout(attempt.timeout, source.act(&path, &call.method, parameters)).await;
        let answer = match acted {
            Ok(Acted::Done(result)) => Answer { status: 200, body: result.to_string().into_bytes(), ..Answer::default() },
            Ok(Acted::Refused(status, why)) => Answer { status, body: why.into_bytes(), ..Answer::default() },
            Ok(Acted::NotAsked(why)) => Answer::failed(FailedKind::NotSent, why),
            Ok(Acted::Lost(why)) => Answer::failed(FailedKind::Unknown, why),
            Err(_) => Answer::failed(FailedKind::Unknown, format!("the master did not answer within {} seconds", attempt.timeout.as_secs())),
        };
        let came = match &answer.error {
            Some(failed) => failed.message.clone(),
            None => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
        };
        tracing::info!(target: "reporter_host::audit", entry = attempt.entry, master = call.master, path, method = call.method, parameters = call.parameters, "{came}");
        answer
    }
}
