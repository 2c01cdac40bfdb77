//! reporter-host tells people and services what a CI's builds did.
//!
//! An event's way through the host, module by module: a [`source`] learns of it and writes it to
//! the [`store`]'s journal; [`dispatch`] runs one [`sandbox`] instance per service entry of a
//! [`tenant`]; what the component sent through the [`contract`] is committed to the outbox, from
//! which [`delivery`] takes it lane by lane to a [`transport`].
//!
//! Dependencies point one way: `cli → web → tenant, dispatch → source, sandbox, delivery →
//! contract, transport, store → event, secret`. `sandbox` knows nothing of SMTP, `delivery` nothing
//! of WebAssembly.

pub mod cli;
pub mod contract;
pub mod delivery;
pub mod dispatch;
pub mod event;
pub mod host;
pub mod sandbox;
pub mod secret;
pub mod source;
pub mod store;
pub mod tenant;
pub mod transport;

/// The log's target for what an entry asks for: `verbose`, `debug`, `dumpMailsToLog`. It is let through, whatever the log shows of others
/// (`cli/output.rs`).
pub const LOUD: &str = "reporter_host_loud";

/// Events are trees of many small values, made in one thread and freed in another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
