//! `formatters`: the hooks of a reporter, served by components of their own.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::call::{Call, Ended, Phase};
use super::events::{BuildHandle, UserHandle, WorkerHandle};
use super::reporter::reporter_host::reporter::events::Subjects as Handles;
use super::reporter::reporter_host::reporter::formatters::Host;
use crate::event::{Build, Row};

/// What a hook is about, outside of any instance.
#[derive(Clone)]
pub enum Subjects {
    /// Builds.
    Builds(Vec<Arc<Build>>),
    /// A worker.
    Worker(Row),
    /// People.
    Users(Vec<String>),
}

impl Subjects {
    /// Handles in the table of the call that is to see them.
    ///
    /// # Errors
    /// The table is full.
    pub fn lend(self, call: &mut Call) -> wasmtime::Result<Handles> {
        Ok(match self {
            Self::Builds(builds) => Handles::Builds(builds.into_iter().map(|build| call.lend(BuildHandle(build))).collect::<wasmtime::Result<_>>()?),
            Self::Worker(worker) => Handles::Worker(call.lend(WorkerHandle(worker))?),
            Self::Users(users) => Handles::Users(users.into_iter().map(|user| call.lend(UserHandle(user))).collect::<wasmtime::Result<_>>()?),
        })
    }

    fn take(handles: Handles, call: &mut Call) -> wasmtime::Result<Self> {
        Ok(match handles {
            Handles::Builds(builds) => Self::Builds(builds.into_iter().map(|build| take(call, build, |it: BuildHandle| it.0)).collect::<Result<_, _>>()?),
            Handles::Worker(worker) => Self::Worker(take(call, worker, |it: WorkerHandle| it.0)?),
            Handles::Users(users) => Self::Users(users.into_iter().map(|user| take(call, user, |it: UserHandle| it.0)).collect::<Result<_, _>>()?),
        })
    }
}

fn take<H: 'static, T>(call: &mut Call, handle: Resource<H>, inner: impl Fn(H) -> T) -> wasmtime::Result<T> {
    Ok(inner(call.table.delete(handle)?))
}

impl Host for Call {
    async fn format(&mut self, slot: String, subjects: Handles, context: String) -> wasmtime::Result<Result<String, String>> {
        self.only(&[Phase::Report], "formatters.format")?;
        self.budget.query()?;
        let subjects = Subjects::take(subjects, self)?;
        let entry = self.entry.clone().ok_or_else(|| Ended::Misuse("there is no entry here".into()))?;
        let details = self.details.clone().ok_or_else(|| Ended::Misuse("there is no event here".into()))?;
        // All formatters of a call have the time of one: the reporter's own begins when they are done, to send what it can
        // without them.
        let (so_far, began) = (self.lent.get(), tokio::time::Instant::now());
        let most = entry.formatters.wait(&slot);
        self.lent.set(so_far.max(most));
        let work = entry.formatters.format(&slot, details, subjects, context, most.saturating_sub(so_far));
        // A formatter waits for nothing but details.
        let (answer, log) = self.await_details(work).await?;
        self.lent.set(so_far.saturating_add(began.elapsed()));
        for (level, line) in log {
            self.note(&level, &format!("{slot}: {line}"));
        }
        match answer {
            Ok(document) => self.hand(document).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}
