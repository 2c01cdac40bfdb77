//! Control calls on masters: recorded before they are sent, and sent once.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Answer, Attempt, FailedKind, Payload, Transport};
use crate::event::{Acted, Fetch, FetchError, Rows};
use crate::secret::{Encode, encode};

/// The log's target for what people have the host do.
pub const AUDIT: &str = "reporter_host::audit";
/// How long a conversation waits for a master.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one that has not answered then is taken to be away.
const SILENT: Duration = Duration::from_secs(30);
/// Bytes of a master's answer that the log shows.
const SHOWN: usize = 500;

/// The sources that run, by name, in the order of the settings.
#[derive(Default)]
pub struct Sources {
    running: Mutex<Vec<(String, Arc<dyn Fetch>)>>,
    /// Whether they were set.
    known: watch::Sender<bool>,
    /// Which have left a question of a conversation unanswered, and until when none is asked again.
    silent: Mutex<HashMap<String, Instant>>,
}

impl Sources {
    /// These run now, and no others.
    pub fn set(&self, sources: Vec<(String, Arc<dyn Fetch>)>) {
        *self.lock() = sources;
        self.known.send_replace(true);
    }

    /// Waits until it is known which run: when a host begins, what waits is taken up at once.
    async fn known(&self) {
        // Its sender is this.
        self.known.subscribe().wait_for(|known| *known).await.ok();
    }

    /// Reads a path of one of them for a conversation: nobody in it waits for long, and one that has not answered is not waited for again at once.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn read(&self, name: &str, path: &str) -> Result<Rows, FetchError> {
        let Some(source) = self.find(name) else {
            return Err(FetchError::NotNow(format!("the host does not run with {name}")));
        };
        let silent = || self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let why = || FetchError::NotNow(format!("{name} has not answered within {} seconds", PATIENCE.as_secs()));
        if silent().get(name).is_some_and(|until| *until > Instant::now()) {
            return Err(why());
        }
        let Ok(answered) = tokio::time::timeout(PATIENCE, source.fetch(path)).await else {
            silent().insert(name.to_owned(), Instant::now() + SILENT);
            return Err(why());
        };
        answered
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
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
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
        if tokio::time::timeout(attempt.timeout, self.sources.known()).await.is_err() {
            return Answer::failed(FailedKind::NotTried, "the host has not begun yet");
        }
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
            None => format!("{} {}", answer.status, String::from_utf8_lossy(answer.body.get(..SHOWN).unwrap_or(&answer.body))),
        };
        tracing::info!(target: AUDIT, entry = attempt.entry, title = attempt.title, master = call.master, path, method = call.method, parameters = call.parameters, "{came}");
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::{Value, json};

    use super::super::{Endpoint, MasterCall};
    use super::*;
    use crate::secret::NoSecrets;

    /// Counts what it is asked.
    #[derive(Default)]
    struct Counts(AtomicU32);

    #[async_trait]
    impl Fetch for Counts {
        async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
            Err(FetchError::Missing(path.to_owned()))
        }
        async fn act(&self, _: &str, _: &str, _: Value) -> Acted {
            self.0.fetch_add(1, Ordering::Relaxed);
            Acted::Done(json!("done"))
        }
    }

    async fn attempt(transport: &MasterTransport, id: &str) -> Answer {
        let call = MasterCall { master: "main".into(), path: vec!["builds".into(), "9".into()], method: "stop".into(), parameters: "{}".into() };
        let (endpoint, payload) = (Endpoint::of_master("main"), Payload::Master(call));
        transport
            .attempt(Attempt { id, entry: "bot", title: "", endpoint: &endpoint, payload: &payload, vault: &NoSecrets, timeout: Duration::from_secs(9) })
            .await
    }

    #[tokio::test]
    async fn what_began_before_a_restart_is_unknown_and_not_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let counts = Arc::new(Counts::default());
        let running = || {
            let sources = Arc::new(Sources::default());
            sources.set(vec![("main".into(), counts.clone() as Arc<dyn Fetch>)]);
            MasterTransport::new(sources, folder.path().join("begun"))
        };
        let first = attempt(&running(), "one").await;
        assert_eq!((first.status, first.error), (200, None));
        let again = attempt(&running(), "one").await;
        assert_eq!(again.error.unwrap().kind, FailedKind::Unknown);
        assert_eq!(counts.0.load(Ordering::Relaxed), 1);
        assert_eq!(attempt(&running(), "two").await.status, 200, "another call is its own");
        let none = Arc::new(Sources::default());
        none.set(Vec::new());
        let gone = MasterTransport::new(none, folder.path().join("begun"));
        assert_eq!(attempt(&gone, "three").await.error.unwrap().kind, FailedKind::Never);
    }

    #[tokio::test]
    async fn a_call_that_is_taken_up_before_the_masters_are_known_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let (sources, counts) = (Arc::new(Sources::default()), Arc::new(Counts::default()));
        let transport = MasterTransport::new(sources.clone(), folder.path().join("begun"));
        let set = async { sources.set(vec![("main".into(), counts.clone() as Arc<dyn Fetch>)]) };
        // The first is asked first.
        let (answer, ()) = tokio::join!(biased; attempt(&transport, "one"), set);
        assert_eq!((answer.status, answer.error), (200, None));
        assert_eq!(counts.0.load(Ordering::Relaxed), 1);
    }

    /// Takes a minute for each answer.
    #[derive(Default)]
    struct Slow(AtomicU32);

    #[async_trait]
    impl Fetch for Slow {
        async fn fetch(&self, _: &str) -> Result<Rows, FetchError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(vec![json!("late")])
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_conversation_does_not_wait_for_a_master_that_hangs_and_asks_it_again_later() {
        let (slow, sources) = (Arc::new(Slow::default()), Sources::default());
        sources.set(vec![("slow".into(), slow.clone() as Arc<dyn Fetch>), ("quick".into(), Arc::new(Counts::default()))]);
        let asked = async |name: &str| {
            let began = Instant::now();
            let Err(error) = sources.read(name, "builders").await else { panic!("an answer") };
            (began.elapsed().as_secs(), matches!(error, FetchError::NotNow(_)), slow.0.load(Ordering::Relaxed))
        };
        assert_eq!(asked("slow").await, (10, true, 1));
        assert_eq!(asked("slow").await, (0, true, 1), "it is taken to be away");
        assert_eq!(asked("quick").await, (0, false, 1), "others are asked");
        tokio::time::advance(SILENT).await;
        assert_eq!(asked("slow").await, (10, true, 2));
        assert_eq!(asked("nobody").await, (0, true, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_begin_has_not_tried_it() {
        let folder = tempfile::tempdir().unwrap();
        let transport = MasterTransport::new(Arc::default(), folder.path().join("begun"));
        assert_eq!(attempt(&transport, "one").await.error.unwrap().kind, FailedKind::NotTried);
    }
}
