//! `force build`: through a ForceScheduler that covers the builder, the only way that a master has from outside.

pub mod fields;
mod options;

use serde_json::{Map, Value};

use super::act::{Act, What};
use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal};
use crate::chat::read::{self, Builder};
use crate::chat::text::Line;
use fields::Scheduler;
use options::Options;

pub const USAGE: &str =
    "force build [--codebase=CODEBASE] [--branch=BRANCH] [--revision=REVISION] [--project=PROJECT] [--props=PROP1=VALUE1,PROP2=VALUE2...] BUILDER REASON";

pub fn commands<P: Presenter>() -> [Command<P>; 1] {
    [Command {
        name: "force",
        doc: "force a build",
        usage: "force build [--codebase=CODEBASE] [--branch=BRANCH] [--revision=REVISION] [--project=PROJECT] [--props=PROP1=VALUE1,PROP2=VALUE2...] BUILDER REASON - \
                Force a build; a ForceScheduler of the master has to list the builder and take what is given",
        dangerous: true,
        run: force,
    }]
}

fn force<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let words = ask.words()?;
    let Some((_, words)) = words.split_first().filter(|(word, _)| *word == "build") else {
        return Err(Refusal::new(format!("Try '{}{USAGE}'.", bot.presenter.prefix())));
    };
    let options = Options::parse(words)?;
    let builder = bot.builder_to_change(&options.builder)?;
    let scheduler = choose(&builder, &options)?;
    let parameters = scheduler.parameters(&options, &reason(ask, &options.reason)).map_err(Refusal::new)?;
    send(ask, &builder, &scheduler, parameters)
}

/// Asks the master for a build.
///
/// # Errors
///
/// Names that are longer than what can be kept.
pub fn send(ask: &Ask<'_>, builder: &Builder, scheduler: &Scheduler, mut parameters: Parameters) -> Result<(), Refusal> {
    parameters.insert("builderid".into(), Value::from(builder.id));
    let act = Act {
        what: What::Force,
        place: ask.said.place.clone(),
        who: ask.said.person.name.clone(),
        master: builder.master.clone(),
        builder: builder.called.clone(),
        builder_id: builder.id,
        build: 0,
        number: 0,
        at: ask.said.at,
        after: newest(builder),
    };
    act.send(ask, &["forceschedulers", &scheduler.name], "force", &Value::Object(parameters), &scheduler.name)
}

/// The newest request for a builder; 0 if there is none.
fn newest(builder: &Builder) -> Option<u64> {
    let path = ["builders", &builder.id.to_string(), "buildrequests"];
    let rows = read::rows(&builder.master, &path, &[("order", "-buildrequestid"), ("limit", "1")]).ok()?;
    Some(rows.first().map_or(0, |row| read::number(row, "buildrequestid")))
}

/// The ForceSchedulers of a master that can be used.
///
/// # Errors
///
/// The master cannot be asked.
pub fn schedulers(master: &str) -> Result<Vec<Scheduler>, Refusal> {
    let mut rows = read::rows(master, &["forceschedulers"], &[])?;
    rows.retain(|row| row["enabled"].as_bool() != Some(false));
    Ok(rows.iter().map(Scheduler::of).collect())
}

/// What stands in the build's reason: the master itself only knows the account of this host.
pub fn reason(ask: &Ask<'_>, given: &str) -> String {
    let asked = format!("forced by {}", ask.said.who());
    if given.is_empty() { asked } else { format!("{asked}: {given}") }
}

/// The ForceScheduler that takes everything that is given.
fn choose(builder: &Builder, options: &Options) -> Result<Scheduler, Refusal> {
    let id = builder.id.to_string();
    let mut rows = read::rows(&builder.master, &["builders", &id, "forceschedulers"], &[])?;
    rows.retain(|row| row["enabled"].as_bool() != Some(false));
    if rows.is_empty() {
        let line = Line::text("No ForceScheduler of the master lists ").name(&builder.called);
        return Err(line.and(", so it cannot be forced from here. Whoever runs the master can add it to the builderNames of one.").into());
    }
    let mut refusals = Vec::new();
    for row in rows {
        let scheduler = Scheduler::of(&row);
        match scheduler.parameters(options, "") {
            Ok(_) => return Ok(scheduler),
            Err(why) => refusals.push(why),
        }
    }
    Err(Refusal(refusals.join("\n").into()))
}

/// Parameters of a control call.
pub type Parameters = Map<String, Value>;
