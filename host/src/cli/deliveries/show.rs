//! `deliveries show`.

use super::super::Failure;
use super::super::output::{Output, Paint, date, plain, plain_lines, print_payload, relative};
use super::{failed, list};
use crate::store::{DeliveryRow, DeliveryStory, Filter, Store, now_ms};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number.
    id: i64,
}

pub(super) async fn show(args: Args, store: &dyn Store, output: &Output) -> Result<(), Failure> {
    let Some(story) = store.delivery(args.id).await.map_err(failed)? else {
        return Err(Failure::Nothing(format!("there is no delivery {}", args.id)));
    };
    if output.json() {
        output.object(&story);
        return Ok(());
    }
    let now = now_ms();
    let held = held(&story.row, now, store).await?;
    print(&story, held.as_ref(), now, output);
    Ok(())
}

/// Of a delivery that is due and still waits: one to the same destination that was tried, and has to wait. If the host
/// holds the destination (docs/delivery.md), it says why.
async fn held(row: &DeliveryRow, now: i64, store: &dyn Store) -> Result<Option<DeliveryRow>, Failure> {
    if row.state != "waiting" || row.due_ms.is_none_or(|due| due > now) {
        return Ok(None);
    }
    let filter = Filter { state: Some("waiting".into()), text: Some(row.destination.clone()), limit: 1_000, ..Filter::default() };
    let others = store.deliveries(filter).await.map_err(failed)?.into_iter();
    let tried = others.filter(|other| other.destination == row.destination && other.id != row.id && other.why.is_some());
    Ok(tried.filter(|other| other.due_ms.is_some_and(|due| due > now)).min_by_key(|other| other.due_ms))
}

fn print(story: &DeliveryStory, held: Option<&DeliveryRow>, now: i64, output: &Output) {
    let row = &story.row;
    output.line(&output.paint(Paint::Strong, &format!("{}  {}", row.id, plain(&row.title))));
    let field = |name: &str, value: &str| output.line(&format!("  {name:<12} {}", plain(value)));
    output.line(&format!("  {:<12} {}", "state", output.paint(list::paint(&row.state), &row.state)));
    if let Some(why) = &row.why {
        field("because", why);
    }
    if let Some(other) = held {
        let again = other.due_ms.map(|due| relative(due, now)).unwrap_or_default();
        field("held by", &format!("delivery {} to the same destination, tried again {again}: {}", other.id, other.why.as_deref().unwrap_or_default()));
    }
    field("entry", &row.entry);
    field("event", &row.event);
    if !row.endpoint.is_empty() {
        field("destination", &format!("{} ({})", row.destination, row.endpoint));
    }
    if let Some(lane) = &row.lane {
        field("lane", lane);
    }
    field("uid", &row.uid);
    let times = [("queued", Some(row.queued_ms)), ("due", row.due_ms), ("ended", row.ended_ms)];
    for (name, at) in times.into_iter().filter_map(|(name, at)| Some((name, at?))) {
        field(name, &format!("{} ({})", date(at), relative(at, now)));
    }
    for (number, attempt) in story.log.iter().enumerate() {
        let status = if attempt.status == 0 { "no answer".to_owned() } else { attempt.status.to_string() };
        output.line(&format!("  attempt {}: {}, {status} in {} ms", number + 1, date(attempt.at_ms), attempt.took_ms));
        plain_lines(&attempt.text).for_each(|line| output.line(&format!("    {line}")));
    }
    match &story.payload {
        Some(payload) => {
            output.line("  content");
            print_payload(payload, "    ", output);
        }
        None => output.line(&format!(
            "  it never came to a delivery: the component failed, and its plan has no plain message; `deliveries retry {}` calls it again",
            row.id
        )),
    }
}
