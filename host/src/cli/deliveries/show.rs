//! `deliveries show`.

use super::super::Failure;
use super::super::output::{Output, Paint, date, plain, plain_lines, print_payload, relative};
use super::{failed, list};
use crate::store::{AttemptRow, DeliveryRow, DeliveryStory, Filter, Store, now_ms};
use crate::transport::Payload;

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
        let last = number + 1 == story.log.len();
        let status = status(attempt, story.payload.as_ref(), last && row.state == "delivered");
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

/// How an attempt was answered. A command that succeeds has the exit code 0, which is also what stands for none: then the text says why.
fn status(attempt: &AttemptRow, payload: Option<&Payload>, delivered: bool) -> String {
    match (payload, attempt.status) {
        (Some(Payload::Ssh(_)), 0) if delivered || attempt.text.is_empty() => "exit code 0".to_owned(),
        (_, 0) => "no answer".to_owned(),
        (Some(Payload::Ssh(_)), code) => format!("exit code {code}"),
        (_, status) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Body, HttpRequest, SshCommand};

    #[test]
    fn an_exit_code_is_told_from_no_answer() {
        let command = Payload::Ssh(SshCommand { words: vec!["gerrit".into(), "review".into()], arguments: vec![], stdin: vec![] });
        let request = Payload::Http(HttpRequest { method: "POST".into(), path: vec![], query: vec![], headers: vec![], body: Body::Empty });
        let said = |payload, status: u16, text: &str, delivered| {
            super::status(&AttemptRow { at_ms: 0, took_ms: 0, status, text: text.into() }, Some(payload), delivered)
        };
        assert_eq!(said(&command, 0, "one change", true), "exit code 0");
        assert_eq!(said(&command, 0, "", false), "exit code 0", "sent again since");
        assert_eq!(said(&command, 0, "refused", false), "no answer");
        assert_eq!(said(&command, 1, "fatal", false), "exit code 1");
        assert_eq!(said(&request, 0, "", true), "no answer");
        assert_eq!(said(&request, 204, "", true), "204");
    }
}
