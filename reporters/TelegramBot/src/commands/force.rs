//! `force`: one thing after another, from the fields of the master's ForceSchedulers.
//!
//! `/force [SCHEDULER] [config|ask FIELD|build] [BUILDER] [FIELD=VALUE]...`: what is missing is asked for. All that was chosen so far stands in
//! the command behind each button, so that it survives a restart.

use reporter_sdk::chat::force::{self, Field, Scheduler};
use reporter_sdk::chat::{Ask, Bot, Builder, Command, Line, Message, Refusal, quote, readable};

use super::{Done, ask_for, button, question_with, reply_with, too_long, without_buttons};
use crate::kept::{self, HOLE};
use crate::present::{Telegram, raw_keyboard};
use crate::said;

/// Choices that are shown as buttons; of more, one is written.
const BUTTONS: usize = 40;
/// Characters of a value that are shown.
const SHOWN: usize = 200;

pub fn commands() -> Vec<Command<Telegram>> {
    vec![Command {
        name: "force",
        doc: "force a build",
        usage: "force - Force a build: what is missing is asked for. Or in one line: \
                force build [--codebase=CODEBASE] [--branch=BRANCH] [--revision=REVISION] [--project=PROJECT] [--props=PROP1=VALUE1,PROP2=VALUE2...] BUILDER REASON",
        dangerous: true,
        run,
    }]
}

/// A ForceScheduler, and how it is named in commands.
struct Known {
    word: String,
    master: String,
    scheduler: Scheduler,
}

impl Known {
    fn goes_by(&self, word: &str) -> bool {
        self.word == word || word.strip_prefix(&self.master).and_then(|rest| rest.strip_prefix('/')) == Some(&self.scheduler.name)
    }
}

/// What has been chosen.
struct Chosen<'a> {
    known: &'a Known,
    builder: Builder,
    values: Vec<(String, String)>,
}

impl Chosen<'_> {
    /// `/force SCHEDULER HOLE BUILDER FIELD=VALUE...`
    fn frame(&self) -> String {
        let pairs: String = self.values.iter().map(|(name, value)| format!(" {}", quote(&format!("{name}={value}")))).collect();
        format!("/force {} {HOLE} {}{pairs}", quote(&self.known.word), quote(&self.builder.name))
    }

    /// The same with another value to come.
    fn without(&self, field: &str) -> String {
        let values = self.values.iter().filter(|(name, _)| name != field).cloned().collect();
        Chosen { known: self.known, builder: self.builder.clone(), values }.frame().replacen(HOLE, "config", 1)
    }
}

fn run(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    let words = ask.words()?;
    let all = known(bot)?;
    if in_one_line(&words, &all) {
        return bot.core("force", ask);
    }
    let mut words = words.into_iter().peekable();
    let named = words.next_if(|word| all.iter().any(|it| it.goes_by(word)));
    let found = match (&named, &all[..]) {
        (Some(word), _) => all.iter().find(|it| it.goes_by(word)),
        (None, [one]) => Some(one),
        (None, _) => None,
    };
    let Some(found) = found else {
        return match words.next() {
            Some(word) => Err(Line::text("There is no ForceScheduler ").name(readable(&word)).and(". Say /force to choose one.").into()),
            None => {
                let mut message = Message::from("Which ForceScheduler is to be used?");
                for it in &all {
                    message = message.row(button(&it.scheduler.label, format!("/force {}", quote(&it.word))));
                }
                bot.reply(ask.said, message);
                Ok(())
            }
        };
    };
    let mut task = words.next_if(|word| matches!(word.as_str(), "config" | "ask" | "build")).unwrap_or_else(|| "config".into());
    let field = if task == "ask" { words.next() } else { None };
    if field.is_none() && task == "ask" {
        task = "config".into();
    }
    let Some(name) = words.next() else { return which_builder(bot, ask, found, &task, field.as_deref()) };
    if !found.scheduler.builders.contains(&name) {
        return Err(Line::text("The ForceScheduler ")
            .name(&found.scheduler.name)
            .and(" does not list ")
            .name(readable(&name))
            .and(". Say /force to choose.")
            .into());
    }
    let builder = bot.builders()?.all.into_iter().find(|it| it.master == found.master && it.name == name);
    let builder = builder.ok_or_else(|| Refusal::from(Line::text("There is no builder ").name(readable(&name)).and(".")))?;
    let mut values: Vec<(String, String)> = Vec::new();
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| Line::text("Write ").name("FIELD=VALUE").and(", not ").name(readable(&word)).and("."))?;
        values.retain(|(known, _)| known != name);
        values.push((name.to_owned(), value.to_owned()));
    }
    let chosen = Chosen { known: found, builder, values };
    if chosen.frame().len() > kept::COMMAND {
        return Err(too_long());
    }
    match (task.as_str(), field) {
        ("ask", Some(field)) => ask_field(bot, ask, &chosen, &field),
        ("build", _) => build(ask, &chosen),
        _ => config(ask, &chosen),
    }
}

/// The ForceSchedulers of the masters that answer. Where two have the same name, or it is not known whether they have, it is said of which master.
fn known(bot: &Bot<Telegram>) -> Result<Vec<Known>, Refusal> {
    let mut all: Vec<Known> = Vec::new();
    let mut silent = None;
    for master in bot.masters()? {
        match force::schedulers(&master) {
            Ok(schedulers) => all.extend(schedulers.into_iter().map(|scheduler| Known { word: scheduler.name.clone(), master: master.clone(), scheduler })),
            Err(refusal) => silent = silent.or(Some(refusal)),
        }
    }
    let names: Vec<String> = all.iter().map(|it| it.word.clone()).collect();
    for it in &mut all {
        if names.iter().filter(|name| **name == it.scheduler.name).count() > 1 || silent.is_some() {
            it.word = format!("{}/{}", it.master, it.word);
        }
    }
    if let Some(refusal) = silent.filter(|_| all.is_empty()) {
        return Err(refusal);
    }
    if all.is_empty() { Err(Refusal::new("The master has no ForceScheduler that I could use, so nothing can be forced from here.")) } else { Ok(all) }
}

/// Whether somebody wrote `force build [--branch=…] BUILDER REASON`.
fn in_one_line(words: &[String], all: &[Known]) -> bool {
    let [first, rest @ ..] = words else { return false };
    let is_build = first == "build" && all.iter().all(|it| it.word != "build");
    let has_option = rest.first().is_some_and(|word| word.starts_with("--"));
    let has_reason = rest.len() > 1 && rest[1..].iter().any(|word| !word.contains('='));
    is_build && !rest.is_empty() && (has_option || has_reason || all.len() > 1)
}

fn which_builder(bot: &Bot<Telegram>, ask: &Ask<'_>, known: &Known, task: &str, field: Option<&str>) -> Done {
    let there: Vec<String> = bot.builders()?.all.into_iter().filter(|it| it.master == known.master).map(|it| it.name).collect();
    let task = field.map_or_else(|| task.to_owned(), |field| format!("{task} {}", quote(field)));
    let mut message = Message::from("Which builder is to build?");
    for name in known.scheduler.builders.iter().filter(|name| there.contains(name)) {
        message = message.row(button(name, format!("/force {} {task} {}", quote(&known.word), quote(name))));
    }
    if message.buttons.is_empty() {
        return Err(Line::text("The ForceScheduler ").name(&known.scheduler.name).and(" lists no builder that I speak of.").into());
    }
    bot.reply(ask.said, message);
    Ok(())
}

fn config(ask: &Ask<'_>, chosen: &Chosen<'_>) -> Done {
    let scheduler = &chosen.known.scheduler;
    let given = scheduler.filled(&chosen.values, "").map_err(Refusal::new)?;
    let missing: Vec<&str> = scheduler.missing(&given).into_iter().map(|field| field.full.as_str()).collect();
    let mut lines = vec![
        Line::text(format!("{}, this is about a new build of ", ask.said.person.name)).name(&chosen.builder.name).and("."),
        Line::text("Its parameters are:"),
    ];
    let mut rows = Vec::new();
    let frame = chosen.frame();
    let mut section = "";
    for field in scheduler.open() {
        if field.section != section {
            section = &field.section;
            lines.extend(Some(Line::text(format!("{section}:"))).filter(|_| !section.is_empty()));
        }
        let value = chosen.values.iter().find(|(name, _)| *name == field.full).map_or_else(|| field.default_text(), |(_, value)| value.clone());
        let is_missing = missing.contains(&field.full.as_str());
        let line = Line::text(format!("    {}: ", field.label)).name(reporter_sdk::cut::to_chars(&value, SHOWN));
        lines.push(if is_missing { line.and(" ⚠️") } else { line });
        let verb = if value.is_empty() { "Set" } else { "Change" };
        let sign = if is_missing { "⚠️ " } else { "" };
        rows.push(vec![(format!("{sign}{verb} {}", title(&field.full)), kept::data_in(&frame, &format!("ask {}", quote(&field.full))))]);
    }
    if missing.is_empty() {
        rows.push(vec![("🚀 Start build".to_owned(), kept::data_in(&frame, "build"))]);
        lines.push(Line::text("What is to be done?"));
    } else {
        lines.push(Line::text("What is marked with ⚠️ has to be set first."));
    }
    reply_with(ask, Message::from(lines), Some(raw_keyboard(rows.into_iter())));
    Ok(())
}

fn ask_field(bot: &Bot<Telegram>, ask: &Ask<'_>, chosen: &Chosen<'_>, name: &str) -> Done {
    let scheduler = &chosen.known.scheduler;
    let field = scheduler.open().find(|field| field.full == name);
    let field = field.ok_or_else(|| Refusal::from(Line::text("There is no field ").name(readable(name)).and(".")))?;
    without_buttons(ask);
    let what = format!("the new value for {}", field.label);
    let choices: Vec<String> = if field.is_bool() { vec!["yes".into(), "no".into()] } else { field.choices.clone() };
    if choices.is_empty() || field.multiple || choices.len() > BUTTONS {
        let of = match (choices.is_empty(), field.multiple) {
            (true, _) => String::new(),
            (false, true) => format!(", some of these with | between them: {}", choices.join(", ")),
            (false, false) => format!(", one of {}", choices.join(", ")),
        };
        return ask_for(bot, ask, &format!("enter {what}{of}"), chosen.without(name), format!("{}=", field.full));
    }
    // Who writes it instead is understood too.
    kept::ask(&ask.said.place, &said::number(ask.said), ask.said.at, chosen.without(name), format!("{}=", field.full));
    let frame = format!("{} {HOLE}", chosen.without(name));
    let row = |choice: &String| vec![(choice.clone(), kept::data_in(&frame, &quote(&pair(field, choice))))];
    question_with(ask, Message::from(format!("Choose {what}.")), Some(raw_keyboard(choices.iter().map(row))));
    Ok(())
}

fn pair(field: &Field, value: &str) -> String {
    format!("{}={value}", field.full)
}

fn build(ask: &Ask<'_>, chosen: &Chosen<'_>) -> Done {
    let scheduler = &chosen.known.scheduler;
    let given = chosen.values.iter().find(|(name, _)| name == "reason").map_or("", |(_, reason)| reason);
    let parameters = scheduler.filled(&chosen.values, &force::reason(ask, given)).map_err(Refusal::new)?;
    if !scheduler.missing(&parameters).is_empty() {
        return config(ask, chosen);
    }
    without_buttons(ask);
    force::send(ask, &chosen.builder, scheduler, parameters)?;
    // Whoever presses twice gets one build.
    kept::forget(&chosen.frame());
    Ok(())
}

/// `lib_branch` as `Lib Branch`.
fn title(name: &str) -> String {
    name.split('_').filter(|word| !word.is_empty()).map(super::capital).collect::<Vec<_>>().join(" ")
}
