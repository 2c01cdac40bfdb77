//! What came of an action on a master.

use serde_json::Value;

use super::bot::{Bot, Presenter, readable};
use super::commands::waiting::{self, Early, EarlySet, Forcing, Request};
use super::commands::{Act, What};
use super::read;
use super::text::{Line, Message};
use crate::component::{Failure, Outcome};
use crate::delivery::{Answer, Terms};

/// Characters of a master's reason that are shown.
const REASON: usize = 300;

impl<P: Presenter> Bot<P> {
    /// Tells whoever asked for it what came of an action; nothing of answers to other deliveries.
    pub fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        let Ok(act) = serde_json::from_str::<Act>(tag) else {
            return Ok(Outcome::Skipped("it is not the answer to an action".into()));
        };
        let message = match (answer.ended.as_str(), answer.status) {
            ("delivered", _) => self.done(&act, answer),
            ("unknown", _) => self.unknown(&act),
            _ => Message::from(format!("{}, {}: {}", refused(&act), act.who, reason(answer))),
        };
        if act.what == What::Force {
            Forcing::end();
        }
        self.presenter.send(&act.place, &message, Terms::titled(format!("answer to {}", act.who)));
        Ok(Outcome::Sent)
    }

    fn done(&self, act: &Act, answer: &Answer) -> Message {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match act.what {
            What::Force => {
                let requests: Vec<u64> = said[1].as_object().into_iter().flatten().filter_map(|(_, request)| request.as_u64()).collect();
                let mut news = Vec::new();
                let set = said[0].as_u64().unwrap_or_default();
                let open = requests.iter().filter(|request| self.wait_for(act, set, **request, &mut news)).count() > 0 || requests.is_empty();
                let base = read::url(&act.master);
                let mut line = Line::text(format!("{}: the build of ", act.who)).name(&act.builder).and(" is requested");
                if let Some(request) = requests.first().filter(|_| !base.is_empty()) {
                    line = line.and(" (").link(format!("request {request}"), format!("{base}#/buildrequests/{request}")).and(")");
                }
                let line = line.and(if open { "; I shall tell how it goes." } else { "." });
                Message::from(std::iter::once(line).chain(news).collect::<Vec<_>>())
            }
            What::Stop => {
                waiting::Build::add(&act.master, act.build, &act.place);
                let url = read::build_url(&read::url(&act.master), act.builder_id, act.number);
                Message::from(read::by_number(act.number, url, &act.builder).and(format!(" is being stopped, {}.", act.who)))
            }
            What::Start | What::Cancel | What::Now => {
                let words = said.as_str().map(str::to_owned).unwrap_or_else(|| "done".into());
                Message::from(format!("Master {}: {words}, {}.", act.master, act.who))
            }
        }
    }

    /// Whether there is something to wait for. What its build did before the answer came goes to `news`, unless it was told there: nobody was
    /// known then who waits for it. What it does later comes with its events, whatever the master's own tables say by now.
    fn wait_for(&self, act: &Act, set: u64, request: u64, news: &mut Vec<Line>) -> bool {
        if let Some(results) = EarlySet::take(&act.master, set) {
            news.push(self.words().no_build(&act.who, &act.builder, results));
            return false;
        }
        if let Some(early) = Early::take(&act.master, request) {
            let named = read::by_number(early.number, early.url, &act.builder);
            let is_told = early.told.contains(&act.place);
            if let Some((results, state)) = early.ended {
                news.extend(Some(self.words().build_finished(named, Some(results), &state, &[])).filter(|_| !is_told));
                return false;
            }
            waiting::Build::add(&act.master, early.build, &act.place);
            news.extend(Some(self.words().build_started(named)).filter(|_| !is_told));
        }
        Request { place: act.place.clone(), who: act.who.clone(), builder: act.builder.clone(), set }.keep(&act.master, request);
        true
    }

    /// The answer was lost: what was done is not known, but something can be read.
    fn unknown(&self, act: &Act) -> Message {
        let mut lines = vec![Line::text(format!(
            "{}: the answer of the master {} was lost, so I do not know whether it was done. I do not try it again.",
            act.who, act.master
        ))];
        let mut news = Vec::new();
        lines.push(match act.what {
            What::Force => {
                match read::rows(&act.master, &["builders", &act.builder_id.to_string(), "buildrequests"], &[("order", "-buildrequestid"), ("limit", "5")]) {
                    Ok(rows) => match rows.iter().find(|row| match act.after {
                        Some(before) => read::number(row, "buildrequestid") > before,
                        None => read::number(row, "submitted_at") >= act.at,
                    }) {
                        Some(row) => {
                            let request = read::number(row, "buildrequestid");
                            self.wait_for(act, read::number(row, "buildsetid"), request, &mut news);
                            Line::text("The newest request for ").name(&act.builder).and(format!(" is {request}, made after you asked: it may be yours."))
                        }
                        None => Line::text("There is no request for ").name(&act.builder).and(" that was made after you asked."),
                    },
                    Err(_) => Line::text("The master cannot be asked about it now."),
                }
            }
            What::Stop => match read::rows(&act.master, &["builds", &act.build.to_string()], &[]) {
                Ok(rows) => {
                    let complete = rows.first().is_some_and(|row| row["complete"].as_bool() == Some(true));
                    if !complete {
                        waiting::Build::add(&act.master, act.build, &act.place);
                    }
                    let state = if complete { " has ended." } else { " is still running; I shall tell when it ends." };
                    Line::text(format!("Build #{} of ", act.number)).name(&act.builder).and(state)
                }
                Err(_) => Line::text("The master cannot be asked about it now."),
            },
            What::Start | What::Cancel | What::Now => match read::shutdown(&act.master) {
                Ok(state) => Line::text(format!("It is {state} now.")),
                Err(_) => Line::text("The master cannot be asked about it now."),
            },
        });
        lines.extend(news);
        Message::from(lines)
    }
}

fn refused(act: &Act) -> String {
    match act.what {
        What::Force => "The build could not be forced".into(),
        What::Stop => "The build could not be stopped".into(),
        What::Start => format!("The shutdown of the master {} could not be started", act.master),
        What::Cancel => format!("The shutdown of the master {} could not be stopped", act.master),
        What::Now => format!("The master {} could not be ended", act.master),
    }
}

/// The master's reason: a sentence, or one for each field of a form.
fn reason(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let words = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(fields)) => {
            let one = |(field, why): (&String, &Value)| format!("{field}: {}", why.as_str().map_or_else(|| why.to_string(), str::to_owned));
            fields.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Ok(Value::String(text)) => text,
        _ => text.into_owned(),
    };
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if words.trim().is_empty() { format!("it said nothing about why ({})", readable(&answer.ended)) } else { crate::cut::to_chars(&words, REASON).into_owned() }
}
