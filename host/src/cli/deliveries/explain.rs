//! `deliveries explain`: what entries did with an event, and why there is no report.

use super::super::output::{Output, Paint, plain, relative};
use super::super::{Failure, known_entries};
use super::{failed, list};
use crate::store::{Store, UnitRow, now_ms};
use crate::tenant::settings::Settings;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The event's id, or a part of it: `builds/12/`.
    event: String,
    /// Only this service entry.
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// At most so many lines.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: u32,
}

pub(super) async fn explain(args: Args, settings: &Settings, store: &dyn Store, output: &Output) -> Result<(), Failure> {
    let rows = store.explain(&args.event, args.entry.as_deref(), args.limit).await.map_err(failed)?;
    if rows.is_empty() {
        // One that the settings no longer have may well have rows.
        known_entries(settings, args.entry.as_slice())?;
        return Err(Failure::Nothing(nothing(&args, store).await?));
    }
    let now = now_ms();
    let mut event = "";
    for row in &rows {
        if output.json() {
            output.object(row);
            continue;
        }
        if row.event != event {
            output.line(&output.paint(Paint::Strong, &format!("{}  {}", plain(&row.event), plain(&row.kind))));
            event = &row.event;
        }
        print(row, now, output);
    }
    Ok(())
}

/// An event that no entry has seen, and one that never came, are different answers.
async fn nothing(args: &Args, store: &dyn Store) -> Result<String, Failure> {
    let events = store.events(Some(&args.event), None, 1).await.map_err(failed)?;
    Ok(match (events.first(), &args.entry) {
        (None, _) => format!("no event whose id contains {:?} has come", args.event),
        (Some((_, event)), Some(entry)) => {
            format!("{} came, but {entry:?} does not follow its source, or does not want events of kind {}", event.id, event.kind)
        }
        (Some((_, event)), None) => format!("{} came, but no service wants events of kind {} from {}", event.id, event.kind, event.source),
    })
}

fn print(row: &UnitRow, now: i64, output: &Output) {
    let ended = row.ended_ms.map(|at| format!(", {}", relative(at, now))).unwrap_or_default();
    let why = row.why.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
    let deliveries = match row.deliveries.as_slice() {
        [] => String::new(),
        ids => format!("; deliveries {}", ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
    };
    let state = output.paint(list::paint(&row.state), &row.state);
    output.line(&format!("  {}  {state}{why}{deliveries}{ended}", plain(&row.entry)));
    for (level, text) in &row.log {
        output.line(&format!("    {}: {}", plain(level), plain(text)));
    }
}
