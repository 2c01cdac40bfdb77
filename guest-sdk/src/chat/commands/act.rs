//! `stop` and `shutdown`; and what every action on a master has in common.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal};
use crate::chat::commands::waiting;
use crate::chat::read;
use crate::chat::text::Line;
use crate::delivery::Terms;
use crate::master;

pub fn commands<P: Presenter>() -> [Command<P>; 2] {
    [
        Command { name: "stop", doc: "stop a running build", usage: "stop build BUILDER REASON - Stop the builds that run on it", dangerous: true, run: stop },
        Command {
            name: "shutdown",
            doc: "shutdown the buildbot master",
            usage: "shutdown check|start|stop|now [MASTER] - Shut the buildbot master down",
            dangerous: true,
            run: shutdown,
        },
    ]
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A build is forced.
    Force,
    /// A build is stopped.
    Stop,
    /// A shutdown begins.
    Start,
    /// It is taken back.
    Cancel,
    /// The master ends at once.
    Now,
}

/// An action, as its tag keeps it until the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What.
    pub what: What,
    /// Where it was asked for.
    pub place: String,
    /// By whom.
    pub who: String,
    /// The master.
    pub master: String,
    /// The builder, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub builder: String,
    /// Its number.
    #[serde(default)]
    pub builder_id: u64,
    /// The build that is stopped.
    #[serde(default)]
    pub build: u64,
    /// Its number in the builder.
    #[serde(default)]
    pub number: u64,
    /// When it was asked for.
    pub at: u64,
    /// The newest request of the builder before, where it could be asked for: clocks differ, ids do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// Bytes of a tag.
const TAG: usize = 1_000;

impl Act {
    /// Queues it.
    ///
    /// # Errors
    ///
    /// Names that are longer than what can be kept.
    pub fn send(&self, ask: &Ask<'_>, path: &[&str], method: &str, parameters: &Value, through: &str) -> Result<(), Refusal> {
        let tag = serde_json::to_string(self).unwrap_or_default();
        if tag.len() > TAG {
            return Err(Refusal::new("The names in this are too long for me to remember."));
        }
        let of = match self.what {
            What::Force => format!("force of {} through {through}", self.builder),
            What::Stop => format!("stop of build {} on {}", self.number, self.builder),
            What::Start => format!("clean shutdown of {}", self.master),
            What::Cancel => format!("end of the shutdown of {}", self.master),
            What::Now => format!("immediate shutdown of {}", self.master),
        };
        let place = if ask.said.private { "in private".to_owned() } else { format!("on {}", ask.said.at_place()) };
        let title = format!("{of}, asked for by {} {place}", ask.said.person.full);
        if self.what == What::Force {
            waiting::Forcing::begin();
        }
        master::act(&self.master, path, method, parameters, Terms::titled(title).tag(tag));
        Ok(())
    }
}

fn stop<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let words = ask.words()?;
    let [build, name, reason @ ..] = &words[..] else { return Err(try_stop(bot)) };
    if build != "build" || reason.is_empty() {
        return Err(try_stop(bot));
    }
    let builder = bot.builder_to_change(name)?;
    let running = bot.running(std::slice::from_ref(&builder))?;
    if running.is_empty() {
        return Err(Refusal::new("No build is running there now."));
    }
    let reason = format!("stopped by {}: {}", ask.said.who(), reason.join(" "));
    for build in running {
        let act = Act {
            what: What::Stop,
            place: ask.said.place.clone(),
            who: ask.said.person.name.clone(),
            master: builder.master.clone(),
            builder: builder.called.clone(),
            builder_id: builder.id,
            build: build.id,
            number: build.number,
            at: ask.said.at,
            after: None,
        };
        act.send(ask, &["builds", &build.id.to_string()], "stop", &json!({"reason": reason}), "")?;
    }
    Ok(())
}

fn try_stop<P: Presenter>(bot: &Bot<P>) -> Refusal {
    Refusal::new(format!("Try '{}stop build BUILDER REASON'; a name with blanks goes in quotes.", bot.presenter.prefix()))
}

fn shutdown<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let words = ask.words()?;
    let (action, named) = match &words[..] {
        [action] => (action.as_str(), None),
        [action, master] => (action.as_str(), Some(master)),
        _ => return Err(try_shutdown(bot)),
    };
    let masters = bot.masters()?;
    let chosen: Vec<&String> = match named {
        Some(name) => masters.iter().filter(|master| *master == name).collect(),
        None => masters.iter().collect(),
    };
    if chosen.is_empty() {
        return Err(Refusal::new(format!("There are these masters: {}.", masters.join(", "))));
    }
    let what = match action {
        "check" => {
            let mut lines = Vec::new();
            for master in chosen {
                match read::shutdown(master) {
                    Ok(state) => lines.push(Line::text(format!("The master {master} is {state}."))),
                    // Of the others something can be said all the same.
                    Err(refusal) => lines.extend(refusal.0.lines),
                }
            }
            bot.reply(ask.said, lines);
            return Ok(());
        }
        "start" => What::Start,
        "stop" => What::Cancel,
        "now" => What::Now,
        _ => return Err(try_shutdown(bot)),
    };
    let [master] = chosen[..] else {
        return Err(Refusal::new(format!("Say which master: 'shutdown {action} NAME'; there are {}.", masters.join(", "))));
    };
    let act = Act {
        what,
        place: ask.said.place.clone(),
        who: ask.said.person.name.clone(),
        master: master.clone(),
        builder: String::new(),
        builder_id: 0,
        build: 0,
        number: 0,
        at: ask.said.at,
        after: None,
    };
    let reason = format!("asked for by {}", ask.said.who());
    act.send(ask, &["shutdown"], action, &json!({"reason": reason}), "")
}

fn try_shutdown<P: Presenter>(bot: &Bot<P>) -> Refusal {
    Refusal::new(format!("Try '{}shutdown check|start|stop|now [MASTER]'.", bot.presenter.prefix()))
}
