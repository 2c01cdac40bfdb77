//! `record`: what sources journal goes into a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::record::Recording;
use crate::cli::wiring::Tell;
use crate::event::{Event, Fetch, Kind};
use crate::host::{inbox, master};
use crate::source::Journal as _;
use crate::source::recording::{Recorder, Writer};
use crate::tenant::settings::{Settings, SourceKind};

pub(super) async fn record(settings: &Settings, recording: Recording, tell: Tell<u64>) -> Result<u64, String> {
    crate::transport::install_crypto();
    let words = |error: crate::source::SourceError| error.to_string();
    let (stop, stopped) = watch::channel(false);
    let count = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let chosen = settings.sources.iter().filter(|source| recording.sources.is_empty() || recording.sources.contains(&source.name));
    for source in chosen {
        let told = {
            let (count, tell, stop, most) = (count.clone(), tell.clone(), stop.clone(), recording.most);
            move |_: &Event| {
                let so_far = count.fetch_add(1, Ordering::Relaxed) + 1;
                tell(so_far);
                if most.is_some_and(|most| so_far >= most) {
                    stop.send_replace(true);
                }
            }
        };
        let writer = Writer::append(&recording.to).map_err(words)?;
        let stopped = stopped.clone();
        match &source.kind {
            SourceKind::Master(_) => {
                let master = master(source, settings).map_err(words)?;
                let recorder = Recorder::new(writer, master.fetcher(), told, recording.logs);
                if recording.past > 0 {
                    past(&source.name, recording.past, master.fetcher().as_ref(), &recorder).await?;
                }
                tasks.spawn(async move { master.run(Arc::new(recorder), stopped).await });
            }
            SourceKind::Inbox(_) => {
                let inbox = inbox(source, settings).ok_or("it is no inbox")?;
                let recorder = Recorder::new(writer, inbox.clone() as Arc<dyn Fetch>, told, recording.logs);
                tasks.spawn(async move {
                    if let Err(error) = inbox.run(Arc::new(recorder), stopped).await {
                        tracing::error!("{error}");
                    }
                });
            }
            SourceKind::Recording { .. } => {}
        }
    }
    let mut stopped = stopped;
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        _ = tokio::signal::ctrl_c() => { stop.send_replace(true); }
        () = async { while tasks.join_next().await.is_some() {} } => {}
    }
    while tasks.join_next().await.is_some() {}
    Ok(count.load(Ordering::Relaxed))
}

/// Records the newest builds that have ended, the oldest of them first.
async fn past(name: &str, most: u32, master: &dyn Fetch, recorder: &Recorder) -> Result<(), String> {
    let path = format!("builds?complete=true&order=-buildid&limit={most}");
    let builds = master.fetch(&path).await.map_err(|error| format!("the builds of {name} cannot be read: {error}"))?;
    for build in builds.into_iter().rev() {
        let event = Event {
            id: format!("{name}/builds/{}/{}", build["buildid"], Kind::BuildFinished.verb()),
            kind: Kind::BuildFinished,
            source: name.to_owned(),
            occurred_at: build["complete_at"].as_i64().unwrap_or_default(),
            late: true,
            message: build,
        };
        recorder.journal(name, None, vec![(event, Vec::new())]).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::event::{FetchError, Rows};

    /// A master with two builds, one of which has steps that nobody can read.
    struct Half;

    #[async_trait]
    impl Fetch for Half {
        async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
            match path {
                "builds?complete=true&order=-buildid&limit=2" => Ok(vec![json!({"buildid": 8, "complete_at": 80}), json!({"buildid": 7, "complete_at": 70})]),
                "builds/8/steps" => Err(FetchError::NotNow("the answer is no JSON".into())),
                "config" => Ok(vec![json!({"title": "T"})]),
                _ if path.starts_with("builds?") => Err(FetchError::NotNow("nobody answers".into())),
                _ => Err(FetchError::Missing("it has none".into())),
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_said_of_the_master_and_not_of_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let recorder = Recorder::new(Writer::append(&path).unwrap(), Arc::new(Half), |_: &Event| {}, true);
        let error = past("main", 2, &Half, &recorder).await.unwrap_err();
        assert_eq!(error, "cannot be recorded: main/builds/8/finished: its details cannot be read: the answer is no JSON");
        let recorded = std::fs::read_to_string(&path).unwrap();
        assert!(recorded.lines().count() == 1 && recorded.contains("main/builds/7/finished"), "{recorded}");
        let error = past("main", 3, &Half, &recorder).await.unwrap_err();
        assert_eq!(error, "the builds of main cannot be read: nobody answers");
    }
}
