//! Where the command line meets the rest of the host: what commands ask of it, as one trait.

use std::sync::Arc;

use async_trait::async_trait;

use super::check::Checked;
use super::preview::{Preview, What};
use super::record::Recording;
use super::run::Ended;
use super::told::Told;
use crate::store::Store;
use crate::tenant::settings::{Describe, Settings};

/// Is told of something as it happens.
pub type Tell<T> = Arc<dyn Fn(T) + Send + Sync>;

/// What commands need of the host. Errors are words for the operator.
#[async_trait]
pub trait Host: Send + Sync {
    /// Knows components.
    fn describe(&self) -> Arc<dyn Describe>;

    /// Files of the template that `new` writes: path, and text in which `{{name}}` stands for the project's name.
    fn template(&self) -> &'static [(&'static str, &'static str)];

    /// Opens the store below the settings' state folder, also while a host runs on it.
    async fn open_store(&self, settings: &Settings) -> Result<Arc<dyn Store>, String>;

    /// Runs until a signal, or, if all sources are recordings, until everything has ended.
    async fn run(&self, settings: Settings, tell: Tell<Told>) -> Result<Ended, String>;

    /// Checks each entry: component, plan, grants; with `connect` also logs in to its endpoints.
    async fn check(&self, settings: &Settings, connect: bool, tell: Tell<Checked>) -> Result<(), String>;

    /// What entries would send. An empty answer: there is no such event.
    async fn preview(&self, settings: &Settings, entries: &[String], what: What) -> Result<Vec<Preview>, String>;

    /// Sends a test message through each of these entries, and waits for what comes of it. `to` is for mails that would go to nobody.
    async fn test_send(&self, settings: &Settings, entries: &[String], to: Option<&str>, tell: Tell<Told>) -> Result<(), String>;

    /// Records events; `tell` gets the number so far. Answers with the number recorded.
    async fn record(&self, settings: &Settings, recording: Recording, tell: Tell<u64>) -> Result<u64, String>;
}
