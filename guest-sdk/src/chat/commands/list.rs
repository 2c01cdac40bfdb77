//! `list`.

use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal};
use crate::chat::read;
use crate::chat::text::{Line, Message};
use crate::chat::words::date;
use crate::cut;

/// Changes that are shown if nobody says how many, if somebody asks for all, and at most.
const CHANGES: (usize, usize, usize) = (10, 100, 500);
/// Characters of a comment that are shown.
const COMMENT: usize = 200;

pub fn commands<P: Presenter>() -> [Command<P>; 1] {
    [Command {
        name: "list",
        doc: "list configured builders, workers or recent changes",
        usage: "list [all|N] builders|workers|changes - List configured builders (all: those without workers too), workers (all: those of no builder too), or N recent changes",
        dangerous: false,
        run: list,
    }]
}

fn list<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let words = ask.words()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (how_many, what) = match words[..] {
        [what] => (None, what),
        [how_many, what] if how_many == "all" || how_many.parse::<usize>().is_ok() => (Some(how_many), what),
        _ => return Err(try_this(bot)),
    };
    let all = how_many == Some("all");
    let number = how_many.and_then(|number| number.parse::<usize>().ok());
    match what {
        "builders" => builders(bot, ask, all),
        "workers" => workers(bot, ask, all),
        "changes" => changes(bot, ask, all, number),
        _ => Err(try_this(bot)),
    }
}

fn try_this<P: Presenter>(bot: &Bot<P>) -> Refusal {
    Refusal::new(format!("Try '{}list [all|N] builders|workers|changes'.", bot.presenter.prefix()))
}

fn builders<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>, all: bool) -> Result<(), Refusal> {
    let mut line = Line::text("I found these builders:");
    let mut found = bot.builders()?;
    found.retain(|builder| all || builder.online);
    if found.is_empty() {
        return Err(Refusal::new(if all { "There are no builders." } else { "No builder has a connected worker. Say list all builders for the others." }));
    }
    for builder in found {
        line = line.item(builder.name);
        if !builder.online {
            line = line.and(" [offline]");
        }
    }
    bot.reply(ask.said, line);
    Ok(())
}

fn workers<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>, all: bool) -> Result<(), Refusal> {
    let mut line = Line::text("I found these workers:");
    let mut any = false;
    let builders = bot.builders()?;
    for master in bot.masters()? {
        for worker in read::rows(&master, &["workers"], &[])? {
            let on = worker["configured_on"].as_array().into_iter().flatten();
            let ours = on.filter(|on| builders.iter().any(|it| it.master == master && it.id == read::number(on, "builderid"))).count() > 0;
            let configured = read::is_some(&worker["configured_on"]);
            if !ours && !(all && (bot.tags.is_empty() || !configured)) {
                continue;
            }
            any = true;
            line = line.item(worker["name"].as_str().unwrap_or_default());
            if !configured {
                line = line.and(" [offline]");
            } else if !read::is_some(&worker["connected_to"]) {
                line = line.and(" [disconnected]");
            } else if worker["paused"].as_bool() == Some(true) {
                line = line.and(" [paused]");
            }
        }
    }
    if !any {
        return Err(Refusal::new("There are no workers."));
    }
    bot.reply(ask.said, line);
    Ok(())
}

fn changes<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>, all: bool, number: Option<usize>) -> Result<(), Refusal> {
    let limit = if all { CHANGES.1 } else { number.unwrap_or(CHANGES.0).min(CHANGES.2) };
    let mut lines = Vec::new();
    if all {
        lines.push(Line::text(format!("There may be thousands of changes. These are the last {limit}; say how many if you want more, {} at most.", CHANGES.2)));
    }
    let mut found = Vec::new();
    for master in bot.masters()? {
        found.extend(read::rows(&master, &["changes"], &[("order", "-changeid"), ("limit", &limit.to_string())])?);
    }
    found.sort_by_key(|change| read::number(change, "when_timestamp"));
    let found = &found[found.len().saturating_sub(limit)..];
    if found.is_empty() {
        return Err(Refusal::new("There are no changes."));
    }
    lines.push(Line::text("I found these recent changes:"));
    for change in found {
        let text = |key: &str| change[key].as_str().unwrap_or_default();
        let comment = text("comments").lines().next().unwrap_or_default();
        lines.push(Line::default().link(cut::to_chars(comment, COMMENT), text("revlink")));
        lines.push(Line::text(format!("Author: {}", text("author"))));
        lines.push(Line::text(format!("Date: {}", date(read::number(change, "when_timestamp")))));
        for (title, key) in [("Repository", "repository"), ("Branch", "branch"), ("Revision", "revision")] {
            if !text(key).is_empty() {
                lines.push(Line::text(format!("{title}: {}", text(key))));
            }
        }
    }
    bot.reply(ask.said, Message::from(lines));
    Ok(())
}
