//! The contract's host side: bindings made from `wit/`, and one file per interface that the host
//! implements on [`Call`], the state of one call of a component.

mod budget;
mod call;
mod delivery;
mod events;
mod fallback;
mod formatters;
mod http;
mod irc;
mod log;
mod master;
mod plan;
mod smtp;
mod ssh;
mod state;

pub use budget::{Budget, Meter};
pub use call::{Ask, Call, Ended, EntryView, Formatted, Later, Lent, Phase, Spool, Subformat};
pub(crate) use delivery::uid;
pub use fallback::Fallback;
pub use formatters::Subjects;
pub(crate) use log::shortened;
pub use master::Masters;
pub use plan::{Plan, PlanError, Problem};
pub use state::OWN_BUDGET;

/// Bindings of the world `reporter`.
#[allow(missing_docs)]
pub mod reporter {
    wasmtime::component::bindgen!({
        path: "../wit/reporter",
        world: "reporter",
        imports: {
            "reporter-host:reporter/events.[method]event.builds": async | trappable,
            "reporter-host:reporter/events.[method]event.master": async | trappable,
            "reporter-host:reporter/events.[method]build.property": async | trappable,
            "reporter-host:reporter/events.[method]build.sourcestamps": async | trappable,
            "reporter-host:reporter/events.[method]build.previous": async | trappable,
            "reporter-host:reporter/events.[method]build.changes": async | trappable,
            "reporter-host:reporter/events.[method]build.users": async | trappable,
            "reporter-host:reporter/events.[method]build.steps": async | trappable,
            "reporter-host:reporter/events.[method]build.document": async | trappable,
            "reporter-host:reporter/events.[method]step.logs": async | trappable,
            "reporter-host:reporter/events.[method]log.read": async | trappable,
            "reporter-host:reporter/events.[method]log.tail": async | trappable,
            "reporter-host:reporter/events.[method]log.find": async | trappable,
            "reporter-host:reporter/events.[method]log.find-first": async | trappable,
            "reporter-host:reporter/events.[method]log.size": async | trappable,
            "reporter-host:reporter/http.query": async | trappable,
            "reporter-host:reporter/formatters.format": async | trappable,
            "reporter-host:reporter/smtp.send": async | trappable,
            "reporter-host:reporter/ssh.query": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "reporter-host:reporter/events.event": super::events::EventHandle,
            "reporter-host:reporter/events.build": super::events::BuildHandle,
            "reporter-host:reporter/events.step": super::events::StepHandle,
            "reporter-host:reporter/events.log": super::events::LogHandle,
            "reporter-host:reporter/events.worker": super::events::WorkerHandle,
            "reporter-host:reporter/events.user": super::events::UserHandle,
            "reporter-host:reporter/delivery.terms": super::delivery::Terms,
        },
    });
}

/// Bindings of the world `chat-reporter`, which shares the reporter's imports.
#[allow(missing_docs)]
pub mod chat {
    wasmtime::component::bindgen!({
        path: "../wit/reporter",
        world: "chat-reporter",
        imports: {
            "reporter-host:reporter/master.get": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "reporter-host:reporter/events": super::reporter::reporter_host::reporter::events,
            "reporter-host:reporter/delivery": super::reporter::reporter_host::reporter::delivery,
            "reporter-host:reporter/http": super::reporter::reporter_host::reporter::http,
            "reporter-host:reporter/smtp": super::reporter::reporter_host::reporter::smtp,
            "reporter-host:reporter/state": super::reporter::reporter_host::reporter::state,
            "reporter-host:reporter/log": super::reporter::reporter_host::reporter::log,
            "reporter-host:reporter/formatters": super::reporter::reporter_host::reporter::formatters,
        },
    });
}

/// Bindings of the world `formatter`, which shares the reporter's imports.
#[allow(missing_docs)]
pub mod formatter {
    wasmtime::component::bindgen!({
        path: "../wit/reporter",
        world: "formatter",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "reporter-host:reporter/events": super::reporter::reporter_host::reporter::events,
            "reporter-host:reporter/log": super::reporter::reporter_host::reporter::log,
        },
    });
}

pub use events::{BuildHandle, EventHandle, UserHandle, WorkerHandle};
