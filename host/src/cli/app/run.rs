//! `run`, until a signal or the end of the recordings.

use std::sync::Arc;

use crate::cli::run::Ended;
use crate::cli::told::{Came, Told};
use crate::cli::wiring::Tell;
use crate::event::Event;
use crate::host::{Host, StartError, Workbench};
use crate::store::{Delivery, End, Settle, Settled, now_ms};
use crate::tenant::reload::Reloader;
use crate::tenant::settings::{Describe, Settings};
use crate::transport::Payload;

pub(super) async fn run(workbench: Workbench, describe: Arc<dyn Describe>, settings: Settings, tell: Tell<Told>) -> Result<Ended, String> {
    let mut reloader = Reloader::new(&settings, describe).map_err(|error| format!("the settings cannot be watched: {error}"))?;
    let host = Host::start(workbench, &settings, Arc::new(Telling { tell, show: settings.sink })).await.map_err(super::words)?;
    // Made once: a signal that comes during a reload counts.
    let mut stopping = std::pin::pin!(signal());
    let ended = loop {
        tokio::select! {
            finished = host.finished() => break finished.map(|()| Ended::Finished).map_err(|error| error.to_string()),
            () = &mut stopping => break Ok(Ended::Stopped),
            settings = reloader.next() => match host.reload(&settings).await {
                Ok(()) => tracing::info!("the new settings are in force"),
                Err(StartError::Settings(report)) => {
                    tracing::error!("the settings are wrong, so the host goes on with those it has:\n{report}");
                }
                Err(error) => tracing::error!("the host goes on with the settings it has: {error}"),
            },
        }
    };
    host.stop().await;
    ended
}

/// SIGINT or SIGTERM.
pub(in crate::cli) async fn signal() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() { std::future::pending::<()>().await },
        () = terminated => {}
    }
}

/// Prints what happens.
struct Telling {
    tell: Tell<Told>,
    /// Whether contents are shown.
    show: bool,
}

impl crate::dispatch::Observer for Telling {
    fn unit(&self, event: &Event, entry: &str, end: &End, _: &[(String, String)]) {
        let came = match end {
            End::Sent => return,
            End::Skipped(why) => Came::Skipped { why: why.clone() },
            End::Failed(why) => Came::Failed { why: why.clone() },
            End::Again { due_ms, why, .. } => Came::Retry { due_ms: *due_ms, why: why.clone() },
        };
        (self.tell)(Told { at_ms: now_ms(), entry: entry.to_owned(), destination: String::new(), title: event.id.clone(), came, content: None });
    }
}

impl crate::delivery::Observer for Telling {
    fn settled(&self, delivery: &Delivery, settled: &Settled) {
        let told = |title: String, came, content: Option<Payload>| {
            (self.tell)(Told { at_ms: now_ms(), entry: delivery.new.entry.clone(), destination: delivery.new.destination.clone(), title, came, content });
        };
        let (status, took_ms) = settled.attempt.as_ref().map_or((0, 0), |line| (line.status, line.took_ms));
        for split in &settled.split {
            told(
                split.title.clone(),
                match &split.dead {
                    Some(why) => Came::Dead { why: why.clone() },
                    None => Came::Delivered { status: 250, took_ms },
                },
                None,
            );
        }
        told(
            delivery.new.title.clone(),
            match &settled.settle {
                Settle::Delivered => Came::Delivered { status, took_ms },
                Settle::Superseded(by) => Came::Superseded { by: *by },
                Settle::Dead(why) => Came::Dead { why: why.clone() },
                Settle::Retry { due_ms, why, .. } => Came::Retry { due_ms: *due_ms, why: why.clone() },
            },
            self.show.then(|| delivery.new.payload.as_ref().clone()),
        );
    }
}
