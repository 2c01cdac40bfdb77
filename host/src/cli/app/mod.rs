//! What commands ask of the host, answered by the real one.

mod check;
mod preview;
mod record;
pub(super) mod run;
mod test_send;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::check::Checked;
use super::preview::{Preview, What};
use super::record::Recording;
use super::run::Ended;
use super::told::Told;
use super::wiring::{Host, Tell};
use crate::host::{StartError, Workbench, store_file};
use crate::sandbox::Limits;
use crate::store::{Mode, SqliteStore, Store};
use crate::tenant::Components;
use crate::tenant::settings::{ComponentRef, Describe, Described, Settings};

/// The host behind the command line. Its engines start when a command first needs them.
#[derive(Default)]
pub struct App {
    workbench: OnceLock<Result<Workbench, String>>,
}

impl App {
    fn workbench(&self) -> Result<Workbench, String> {
        self.workbench.get_or_init(|| Workbench::compiling_apart().map_err(|error| error.to_string())).clone()
    }
}

/// Stands in for components when the engines do not start.
struct Broken(String);

impl Describe for Broken {
    fn describe(&self, _: &ComponentRef, _: &Limits) -> Result<Described, String> {
        Err(self.0.clone())
    }

    fn built_in(&self) -> Vec<String> {
        reporter_bundle::all().iter().map(|built_in| built_in.name.to_owned()).collect()
    }
}

fn words(error: StartError) -> String {
    error.to_string()
}

fn no_store(settings: &Settings) -> String {
    format!("there is no store yet in {}; `reporter-host run` makes it", settings.state_dir.display())
}

#[async_trait]
impl Host for App {
    fn describe(&self) -> Arc<dyn Describe> {
        match self.workbench() {
            Ok(workbench) => Arc::new(Components::new(workbench.loader)),
            Err(why) => Arc::new(Broken(why)),
        }
    }

    fn template(&self) -> &'static [(&'static str, &'static str)] {
        super::new::template::FILES
    }

    async fn open_store(&self, settings: &Settings) -> Result<Arc<dyn Store>, String> {
        let file = store_file(settings);
        if !file.exists() {
            return Err(no_store(settings));
        }
        let store = SqliteStore::open(&file, Mode::Operator).await.map_err(|error| error.to_string())?;
        Ok(Arc::new(store))
    }

    async fn run(&self, settings: Settings, tell: Tell<Told>) -> Result<Ended, String> {
        run::run(self.workbench()?, self.describe(), settings, tell).await
    }

    async fn check(&self, settings: &Settings, connect: bool, tell: Tell<Checked>) -> Result<(), String> {
        check::check(&self.workbench()?, settings, connect, tell).await
    }

    async fn preview(&self, settings: &Settings, entries: &[String], what: What) -> Result<Vec<Preview>, String> {
        preview::preview(&self.workbench()?, settings, entries, what).await
    }

    async fn test_send(&self, settings: &Settings, entries: &[String], to: Option<&str>, tell: Tell<Told>) -> Result<(), String> {
        test_send::test_send(&self.workbench()?, settings, entries, to, tell).await
    }

    async fn record(&self, settings: &Settings, recording: Recording, tell: Tell<u64>) -> Result<u64, String> {
        record::record(settings, recording, tell).await
    }
}
