//! `status`, `last` and `watch`.

use std::collections::BTreeMap;

use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal};
use crate::chat::commands::waiting;
use crate::chat::read::{self, Builder, Builders, Last, Running};
use crate::chat::text::{Line, Message};
use crate::chat::words::ago;
use crate::results::{SUCCESS, name};

/// Builders that have a line each. Of more, those on which nothing runs are told together.
const EACH: usize = 20;
/// Builders with running builds that have a line.
const RUNNING: usize = 50;

pub fn commands<P: Presenter>() -> [Command<P>; 3] {
    [
        Command {
            name: "status",
            doc: "list status of a builder (or all builders)",
            usage: "status [BUILDER|all] - List the status of a builder, of those with connected workers, or of all",
            dangerous: false,
            run: status,
        },
        Command {
            name: "last",
            doc: "list last build status for a builder",
            usage: "last [BUILDER|all] - List the result of the last build of a builder, of those with connected workers, or of all",
            dangerous: false,
            run: last,
        },
        Command {
            name: "watch",
            doc: "announce the completion of an active build",
            usage: "watch BUILDER - Announce the end of the builds that run on it",
            dangerous: false,
            run: watch,
        },
    ]
}

/// The builders that an argument means, and whether it is one alone.
fn meant<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>, command: &str) -> Result<(Builders, bool), Refusal> {
    let words = ask.words()?;
    match &words[..] {
        [] => {
            let mut found = bot.builders()?;
            found.all.retain(|builder| builder.online);
            if found.all.is_empty() {
                return Err(found.nothing(format!("No builder has a connected worker. Say {command} all for the others.")));
            }
            Ok((found, false))
        }
        [all] if all == "all" => {
            let found = bot.builders()?;
            if found.all.is_empty() { Err(found.nothing("There are no builders.")) } else { Ok((found, false)) }
        }
        [name] => Ok((Builders { all: vec![bot.builder(name)?], away: Vec::new() }, true)),
        _ => Err(Refusal::new(format!("Try '{}{command} BUILDER'; a name with blanks goes in quotes.", bot.presenter.prefix()))),
    }
}

fn status<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let (found, one) = meant(bot, ask, "status")?;
    let builders = &found.all;
    let running = bot.running(builders)?;
    let last = bot.last(builders)?;
    let words = bot.words();
    let mut bases: BTreeMap<&str, String> = BTreeMap::new();
    let mut lines = Vec::new();
    let (mut busy, mut together) = (0, Together::default());
    for (builder, last) in builders.iter().zip(last) {
        let mut line = Line::default().name(&builder.called).and(": ");
        let active: Vec<&Running> = running.iter().filter(|it| it.builder == *builder).collect();
        if !active.is_empty() {
            busy += 1;
            if busy > RUNNING {
                continue;
            }
            line = line.and("running:");
            let base = bases.entry(&builder.master).or_insert_with(|| read::url(&builder.master));
            for (n, build) in active.iter().enumerate() {
                let step = build.step.as_deref().unwrap_or("no current step");
                line = line.and(if n == 0 { " build " } else { ", build " });
                line = line.link(format!("#{}", build.number), read::build_url(base, builder.id, build.number)).and(format!(" ({step})"));
            }
        } else if builders.len() > EACH {
            together.add(builder, &last);
            continue;
        } else {
            line = line.and(if builder.online { "idle" } else { "offline" });
            if let Last::Build(last) = last {
                line = line.and(format!(", last build {} ago", since(ask, &last)));
                let results = read::results(&last);
                line = if one { line.and(", ").result(results, words.ended(results)) } else { line.and(", ").result(results, name(results)) };
            }
        }
        lines.push(line);
    }
    if busy > RUNNING {
        lines.push(Line::text(format!("Builds run on {} more builders.", busy - RUNNING)));
    }
    lines.extend(together.lines());
    lines.extend(found.missing());
    bot.reply(ask.said, Message::from(lines));
    Ok(())
}

/// Builders on which nothing runs, by whether they have workers and how their last build ended.
#[derive(Default)]
struct Together<'a>(Vec<((bool, Option<Option<u8>>), Vec<&'a str>)>);

impl<'a> Together<'a> {
    fn add(&mut self, builder: &'a Builder, last: &Last) {
        let results = if let Last::Build(last) = last { Some(read::results(last)) } else { None };
        let key = (builder.online, results);
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some((_, names)) => names.push(&builder.called),
            None => self.0.push((key, vec![&builder.called])),
        }
    }

    fn lines(self) -> impl Iterator<Item = Line> {
        self.0.into_iter().map(|((online, results), names)| {
            let line = Line::text(format!("{} {}", names.len(), if online { "idle" } else { "offline" }));
            let line = match results {
                Some(results) => line.and(", last build ").result(results, name(results)),
                None => line,
            };
            line.and(":").items(names)
        })
    }
}

fn last<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let (found, _) = meant(bot, ask, "last")?;
    let builders = &found.all;
    let last = bot.last(builders)?;
    let words = bot.words();
    let mut lines = Vec::new();
    let (mut never, mut not_asked) = (Vec::new(), Vec::new());
    for (builder, last) in builders.iter().zip(last) {
        let line = Line::default().name(&builder.called).and(": ");
        lines.push(match last {
            Last::Never if builders.len() > EACH => {
                never.push(&builder.called);
                continue;
            }
            Last::NotAsked if builders.len() > EACH => {
                not_asked.push(&builder.called);
                continue;
            }
            Last::Never => line.and("no build has ended yet"),
            Last::NotAsked => line.and("no build has ended lately; say last and its name for the last one"),
            Last::Build(last) => {
                let results = read::results(&last);
                let line = line
                    .and(format!("last build #{} ", read::number(&last, "number")))
                    .result(results, words.ended(results))
                    .and(format!(" ({} ago)", since(ask, &last)));
                match last["state_string"].as_str() {
                    Some(state) if results != Some(SUCCESS) && !state.is_empty() => line.and(format!(": {state}")),
                    _ => line,
                }
            }
        });
    }
    if !never.is_empty() {
        lines.push(Line::text("No build has ended yet:").items(never));
    }
    if !not_asked.is_empty() {
        lines.push(Line::text("No build has ended lately (say last and its name for the last one):").items(not_asked));
    }
    lines.extend(found.missing());
    bot.reply(ask.said, Message::from(lines));
    Ok(())
}

fn since(ask: &Ask<'_>, build: &serde_json::Value) -> String {
    ago(ask.said.at.saturating_sub(read::number(build, "complete_at")))
}

fn watch<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let words = ask.words()?;
    let [name] = &words[..] else {
        return Err(Refusal::new(format!("Try '{}watch BUILDER'; a name with blanks goes in quotes.", bot.presenter.prefix())));
    };
    let builder = bot.builder(name)?;
    let running = bot.running(std::slice::from_ref(&builder))?;
    if running.is_empty() {
        return Err(Refusal::new("There are no currently running builds."));
    }
    let base = read::url(&builder.master);
    let mut lines = Vec::new();
    for build in running {
        waiting::Build::add(&builder.master, build.id, &ask.said.place);
        let named = bot.named(&base, &builder, build.id, build.number);
        lines.push(Line::text("Watching until it finishes: ").line(named));
    }
    bot.reply(ask.said, Message::from(lines));
    Ok(())
}
