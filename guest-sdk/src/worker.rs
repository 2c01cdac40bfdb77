//! Workers and people.

use serde_json::Value;

use crate::bindings::formatter::reporter_host::reporter::events as wit;
use crate::build::text;

/// A worker.
#[derive(Debug)]
pub struct Worker(OfWorker);

#[derive(Debug)]
enum OfWorker {
    Host(wit::Worker),
    Json(Value),
}

impl Worker {
    /// Wraps the host's handle.
    pub fn from_host(worker: wit::Worker) -> Self {
        Self(OfWorker::Host(worker))
    }

    /// A worker for a test: the REST API's object with `notify` and `last_connection`.
    pub fn from_json(worker: Value) -> Self {
        Self(OfWorker::Json(worker))
    }

    /// The host's handle, to pass it on; none in a test.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_host(self) -> Option<wit::Worker> {
        match self.0 {
            OfWorker::Host(handle) => Some(handle),
            OfWorker::Json(_) => None,
        }
    }

    /// The name.
    pub fn name(&self) -> String {
        match &self.0 {
            OfWorker::Host(handle) => handle.name(),
            OfWorker::Json(worker) => text(&worker["name"]),
        }
    }

    /// Whom to tell when it is missing.
    pub fn notify(&self) -> Vec<String> {
        match &self.0 {
            OfWorker::Host(handle) => handle.notify(),
            OfWorker::Json(worker) => worker["notify"].as_array().into_iter().flatten().map(text).collect(),
        }
    }

    /// When it was last connected, as the master words it; empty if unknown.
    pub fn last_connection(&self) -> String {
        match &self.0 {
            OfWorker::Host(handle) => handle.last_connection(),
            OfWorker::Json(worker) => text(&worker["last_connection"]),
        }
    }

    /// The REST API's object, with `notify` and `last_connection`.
    pub fn document(&self) -> Value {
        match &self.0 {
            OfWorker::Host(handle) => serde_json::from_str(&handle.document()).unwrap_or(Value::Null),
            OfWorker::Json(worker) => worker.clone(),
        }
    }
}

/// A person, as the version control system or a property names them.
#[derive(Debug)]
pub struct User(OfUser);

#[derive(Debug)]
enum OfUser {
    Host(wit::User),
    Name(String),
}

impl User {
    /// Wraps the host's handle.
    pub fn from_host(user: wit::User) -> Self {
        Self(OfUser::Host(user))
    }

    /// A person, to ask the slot `lookup` about.
    pub fn named(name: impl Into<String>) -> Self {
        Self(OfUser::Name(name.into()))
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_host(self) -> wit::User {
        match self.0 {
            OfUser::Host(handle) => handle,
            OfUser::Name(name) => wit::User::new(&name),
        }
    }

    /// `bob`, `bob@example.org` or `Bob <bob@example.org>`.
    pub fn name(&self) -> String {
        match &self.0 {
            OfUser::Host(handle) => handle.name(),
            OfUser::Name(name) => name.clone(),
        }
    }
}
