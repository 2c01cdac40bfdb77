//! `deliveries`: the delivery log and the outbox.

mod act;
mod explain;
mod list;
mod show;

use clap::Subcommand;

use super::{Context, Failure};
use crate::tenant::settings::load_to_operate;

/// Commands about deliveries.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List deliveries, the newest first.
    List(list::Args),
    /// List deliveries whose title, destination, reason or content contains a text.
    Search(list::SearchArgs),
    /// Show one delivery whole: attempts, answers and content.
    Show(show::Args),
    /// Deliver dead letters (or delivered ones) again.
    Retry(act::RetryArgs),
    /// Give up deliveries that wait.
    Drop(act::DropArgs),
    /// Say what services did with an event, and why there was no report.
    Explain(explain::Args),
}

/// Does a command on the store of the settings.
pub(super) async fn deliveries(command: Command, context: &Context<'_>) -> Result<(), Failure> {
    let settings = context.settings(None, load_to_operate)?;
    let store = context.host.open_store(&settings).await.map_err(Failure::Failed)?;
    let (store_ref, output) = (store.as_ref(), &context.output);
    let result = match command {
        Command::List(args) => list::list(args.filter(), store_ref, output).await,
        Command::Search(args) => list::list(args.filter(), store_ref, output).await,
        Command::Show(args) => show::show(args, store_ref, output).await,
        Command::Retry(args) => act::retry(args, &settings, store_ref, output).await,
        Command::Drop(args) => act::drop(args, store_ref, output).await,
        Command::Explain(args) => explain::explain(args, &settings, store_ref, output).await,
    };
    store.close().await;
    result
}

fn failed(error: crate::store::StoreError) -> Failure {
    Failure::Failed(error.to_string())
}
