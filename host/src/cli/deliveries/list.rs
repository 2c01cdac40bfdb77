//! `deliveries list` and `search`.

use super::super::Failure;
use super::super::output::{Output, Paint, columns, plain, relative};
use super::failed;
use crate::store::{DeliveryRow, Filter, Store, now_ms};

/// States of a delivery.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum State {
    /// In the outbox.
    Waiting,
    /// Delivered.
    Delivered,
    /// Replaced by a newer one.
    Superseded,
    /// Given up.
    Dead,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only of this service entry.
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Only of events whose id contains this.
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Only with numbers below this: the next page.
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: u32,
}

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
pub struct SearchArgs {
    /// The text.
    text: String,
    #[command(flatten)]
    args: Args,
}

impl Args {
    pub(super) fn filter(self) -> Filter {
        let state = self.state.map(|state| match state {
            State::Waiting => "waiting",
            State::Delivered => "delivered",
            State::Superseded => "superseded",
            State::Dead => "dead",
        });
        Filter { state: state.map(str::to_owned), entry: self.entry, event: self.event, text: None, before: self.before, limit: self.limit }
    }
}

impl SearchArgs {
    pub(super) fn filter(self) -> Filter {
        Filter { text: Some(self.text), ..self.args.filter() }
    }
}

pub(super) async fn list(filter: Filter, store: &dyn Store, output: &Output) -> Result<(), Failure> {
    let limit = filter.limit as usize;
    let rows = store.deliveries(filter).await.map_err(failed)?;
    if rows.is_empty() {
        return Err(Failure::Nothing("no delivery fits".to_owned()));
    }
    if output.json() {
        rows.iter().for_each(|row| output.object(row));
        return Ok(());
    }
    table(&rows, now_ms(), output).iter().for_each(|line| output.line(line));
    if let (Some(last), true) = (rows.last(), rows.len() == limit) {
        output.line(&output.paint(Paint::Dim, &format!("there may be more: --before {}", last.id)));
    }
    Ok(())
}

/// Aligned lines, colours last, because they have no width.
fn table(rows: &[DeliveryRow], now: i64, output: &Output) -> Vec<String> {
    let cells: Vec<_> = rows.iter().map(|row| cells(row, now)).collect();
    let mut lines = columns(&["id", "state", "queued", "tries", "entry", "destination", "title"], &cells);
    for (line, row) in lines.iter_mut().skip(1).zip(rows) {
        *line = output.paint(paint(&row.state), line);
    }
    if let Some(head) = lines.first_mut() {
        *head = output.paint(Paint::Strong, head);
    }
    lines
}

fn cells(row: &DeliveryRow, now: i64) -> Vec<String> {
    let why = row.why.as_deref().map(|why| format!(" ({})", plain(why))).unwrap_or_default();
    let state = match row.due_ms {
        Some(due) if row.state == "waiting" && row.attempts > 0 => format!("again {}", relative(due, now)),
        _ => row.state.clone(),
    };
    vec![
        row.id.to_string(),
        state,
        relative(row.queued_ms, now),
        row.attempts.to_string(),
        plain(&row.entry),
        plain(&row.destination),
        format!("{}{why}", plain(&row.title)),
    ]
}

pub(super) fn paint(state: &str) -> Paint {
    match state {
        "delivered" | "sent" => Paint::Good,
        "dead" | "failed" => Paint::Bad,
        "waiting" => Paint::Doubtful,
        _ => Paint::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::output::Color;
    use super::*;

    #[test]
    fn one_line_a_delivery() {
        let row = |id, state: &str, why: Option<&str>| DeliveryRow {
            id,
            state: state.into(),
            entry: "mail".into(),
            event: "main/builds/12/finished".into(),
            endpoint: "relay".into(),
            destination: "smtp://mail:25".into(),
            title: "build 12\nfailed".into(),
            uid: String::new(),
            lane: None,
            attempts: 2,
            queued_ms: 1_000_000,
            due_ms: Some(1_180_000),
            ended_ms: None,
            why: why.map(str::to_owned),
        };
        let output = Output::new(false, Color::Never);
        let lines = table(&[row(7, "waiting", Some("452 full")), row(12, "dead", None)], 1_060_000, &output);
        assert_eq!(
            lines,
            [
                "id  state           queued    tries  entry  destination     title",
                "7   again in 2 min  60 s ago  2      mail   smtp://mail:25  build 12 failed (452 full)",
                "12  dead            60 s ago  2      mail   smtp://mail:25  build 12 failed",
            ]
        );
        assert!(table(&[row(1, "dead", None)], 0, &Output::new(false, Color::Always))[1].starts_with("\x1b[31m"));
    }
}
