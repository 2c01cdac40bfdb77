//! The host's side: a source that is started and stopped, and a journal that survives it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reporter_host::event::{Event, Fetch, Rows};
use reporter_host::secret::Plain;
use reporter_host::source::buildbot::Master;
use reporter_host::source::{Arrived, Journal};
use reporter_host::store;
use reporter_host::tenant::settings::MasterSettings;
use reporter_host::transport::Verify;
use reporter_host::transport::policy::Policy;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::buildbot::{Buildbot, PATIENCE};

/// Keeps what was journalled; the source comes and goes.
#[derive(Default)]
pub struct Memory(Mutex<(Vec<Arrived>, HashMap<String, String>)>);

#[async_trait::async_trait]
impl Journal for Memory {
    async fn cursor(&self, source: &str) -> store::Result<Option<String>> {
        Ok(self.0.lock().unwrap().1.get(source).cloned())
    }

    async fn known(&self, ids: Vec<String>) -> store::Result<Vec<String>> {
        let all = self.0.lock().unwrap();
        Ok(ids.into_iter().filter(|id| all.0.iter().any(|(event, _)| event.id == *id)).collect())
    }

    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<(Event, Vec<(String, Rows)>)>) -> store::Result<usize> {
        let mut all = self.0.lock().unwrap();
        let before = all.0.len();
        for arrived in events {
            if all.0.iter().all(|(event, _)| event.id != arrived.0.id) {
                all.0.push(arrived);
            }
        }
        if let Some(cursor) = cursor {
            all.1.insert(source.to_owned(), cursor);
        }
        Ok(all.0.len() - before)
    }
}

impl Memory {
    /// The events, in order.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().0.iter().map(|(event, _)| event.clone()).collect()
    }

    /// One event, with the details that came with it.
    pub fn find(&self, id: &str) -> Option<Arrived> {
        self.0.lock().unwrap().0.iter().find(|(event, _)| event.id == id).cloned()
    }
}

/// Settings that leave the events to the WebSocket: polling is too rare to help.
pub fn settings(url: url::Url) -> MasterSettings {
    MasterSettings {
        url,
        login: None,
        catch_up_from: None,
        catch_up_max: Duration::from_secs(86_400),
        poll_every: Duration::from_secs(3600),
        worker_missing_after: Duration::from_secs(1),
        most_log_bytes: 16 << 20,
        shutdown_command: None,
        stop_command: None,
        verify: Verify::System,
    }
}

/// A running source.
pub struct Host {
    pub master: Arc<Master>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Host {
    /// Follows the master at a port.
    pub fn follow(port: u16, journal: &Arc<Memory>, change: impl FnOnce(&mut MasterSettings)) -> Self {
        let mut settings = settings(format!("http://127.0.0.1:{port}/").parse().unwrap());
        change(&mut settings);
        let master = Master::new("main", settings, Arc::new(|| Ok(Some((Plain::new("admin"), Plain::new("secret"))))), Arc::new(Policy::operator())).unwrap();
        let (stop, shutdown) = watch::channel(false);
        let running = tokio::spawn(master.clone().run(journal.clone(), shutdown));
        Self { master, stop, running }
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }

    /// Ends it between two instructions.
    pub async fn kill(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// What the master says of a path.
    pub async fn fetch(&self, path: &str) -> Rows {
        self.master.fetch(path).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// Waits until the journal holds exactly what the master's own database says happened (and what `also` names), each
/// once and in order; then a while longer, in which nothing may be added.
pub async fn complete(buildbot: &Buildbot, journal: &Memory, cancelled: &[i64], also: &[String]) {
    buildbot.idle().await;
    let mut expected: BTreeSet<String> = also.iter().cloned().collect();
    for build in buildbot.rows("builds").await {
        // A build that was not to be done is never announced.
        if build["results"] != 3 {
            expected.insert(format!("main/builds/{}/new", build["buildid"]));
        }
        expected.insert(format!("main/builds/{}/finished", build["buildid"]));
    }
    for request in buildbot.rows("buildrequests").await {
        expected.insert(format!("main/buildrequests/{}/new", request["buildrequestid"]));
    }
    expected.extend(cancelled.iter().map(|id| format!("main/buildrequests/{id}/cancel")));
    for set in buildbot.rows("buildsets").await {
        expected.insert(format!("main/buildsets/{}/complete", set["bsid"]));
    }
    let have = || journal.events().into_iter().map(|event| event.id).collect::<BTreeSet<_>>();
    let until = Instant::now() + PATIENCE;
    while !have().is_superset(&expected) {
        let missing: Vec<_> = expected.difference(&have()).cloned().collect();
        assert!(Instant::now() < until, "not journalled: {missing:?}\n{}", buildbot.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let more: Vec<_> = have().difference(&expected).cloned().collect();
    assert!(more.is_empty(), "journalled, but it did not happen: {more:?}");

    let events = journal.events();
    let at = |id: &str| events.iter().position(|event| event.id == id).unwrap();
    for build in buildbot.rows("builds").await.into_iter().filter(|build| build["results"] != 3) {
        let (new, finished) = (at(&format!("main/builds/{}/new", build["buildid"])), at(&format!("main/builds/{}/finished", build["buildid"])));
        assert!(new < finished, "build {} ended before it began", build["buildid"]);
        assert!(at(&format!("main/buildrequests/{}/new", build["buildrequestid"])) < new, "build {} began before it was asked for", build["buildid"]);
        assert_eq!(events[finished].message["results"], build["results"]);
        assert_eq!((&events[new].message["results"], &events[new].message["complete"]), (&Value::Null, &Value::Bool(false)));
    }
}
