//! `deliveries retry` and `drop`.

use std::time::Duration;

use serde_json::json;

use super::super::Failure;
use super::super::output::Output;
use super::failed;
use crate::store::{Store, now_ms};
use crate::tenant::settings::Settings;
use crate::transport::Payload;

/// For an entry that is not in the settings any more.
const EXPIRES_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// Arguments of `retry`.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    /// Their numbers.
    #[arg(required = true)]
    ids: Vec<i64>,
    /// Also if a newer one has replaced it.
    #[arg(long)]
    insist: bool,
}

/// Arguments of `drop`.
#[derive(Debug, clap::Args)]
pub struct DropArgs {
    /// Their numbers.
    #[arg(required = true)]
    ids: Vec<i64>,
}

pub(super) async fn retry(args: RetryArgs, settings: &Settings, store: &dyn Store, output: &Output) -> Result<(), Failure> {
    let mut refused = Refused::default();
    for id in args.ids {
        let Some(story) = store.delivery(id).await.map_err(failed)? else {
            refused.missing(id);
            continue;
        };
        if story.payload.is_none() {
            match store.call_again(id, &operator()).await.map_err(failed)? {
                Ok(()) => output.done(&format!("{} is called again for {}", story.row.entry, story.row.event), &json!({ "id": id, "done": "retry" })),
                Err(why) => refused.because(id, &why),
            }
            continue;
        }
        // The mark that it was made stays, so that it would be told as one of which nobody knows what came.
        if matches!(story.payload, Some(Payload::Master(_))) {
            refused.because(id, "it is a call that somebody asked for, and is made once; have it asked for again");
            continue;
        }
        let service = settings.services.iter().find(|service| service.name == story.row.entry);
        let expires_after = service.map_or(EXPIRES_AFTER, |service| service.expires_after);
        let expires_ms = now_ms().saturating_add(i64::try_from(expires_after.as_millis()).unwrap_or(i64::MAX));
        match store.redeliver(id, args.insist, expires_ms, &operator()).await.map_err(failed)? {
            Ok(delivery) => output.done(&format!("{id} is due again"), &json!({ "id": delivery.id, "done": "retry" })),
            Err(why) => refused.because(id, &why),
        }
    }
    refused.end()
}

pub(super) async fn drop(args: DropArgs, store: &dyn Store, output: &Output) -> Result<(), Failure> {
    let mut refused = Refused::default();
    for id in args.ids {
        if store.delivery(id).await.map_err(failed)?.is_none() {
            refused.missing(id);
            continue;
        }
        match store.drop_delivery(id, &operator()).await.map_err(failed)? {
            Ok(()) => output.done(&format!("{id} is dropped"), &json!({ "id": id, "done": "drop" })),
            Err(why) => refused.because(id, &why),
        }
    }
    refused.end()
}

/// Who did it, for the delivery log.
fn operator() -> String {
    std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "the command line".to_owned())
}

/// What was not done, said once all the rest is.
#[derive(Default)]
struct Refused {
    missing: Vec<String>,
    refused: Vec<String>,
}

impl Refused {
    fn missing(&mut self, id: i64) {
        self.missing.push(format!("there is no delivery {id}"));
    }

    fn because(&mut self, id: i64, why: &str) {
        self.refused.push(format!("{id}: {why}"));
    }

    fn end(self) -> Result<(), Failure> {
        match (self.refused.is_empty(), self.missing.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => Err(Failure::Nothing(self.missing.join("; "))),
            (false, _) => Err(Failure::Failed([self.refused, self.missing].concat().join("; "))),
        }
    }
}
