//! `deliveries show`.

use super::super::Failure;
use super::super::output::{Output, Paint, date, plain, plain_lines, print_payload, relative};
use super::{failed, list};
use crate::store::{DeliveryStory, Store, now_ms};

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
    } else {
        print(&story, now_ms(), output);
    }
    Ok(())
}

fn print(story: &DeliveryStory, now: i64, output: &Output) {
    let row = &story.row;
    output.line(&output.paint(Paint::Strong, &format!("{}  {}", row.id, plain(&row.title))));
    let field = |name: &str, value: &str| output.line(&format!("  {name:<12} {}", plain(value)));
    output.line(&format!("  {:<12} {}", "state", output.paint(list::paint(&row.state), &row.state)));
    if let Some(why) = &row.why {
        field("because", why);
    }
    field("entry", &row.entry);
    field("event", &row.event);
    field("destination", &format!("{} ({})", row.destination, row.endpoint));
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
            print_payload(payload, "    ", usize::MAX, output);
        }
        None => output.line("  the content was removed, as [retention] says"),
    }
}
