//! `list`.

use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal};
use crate::chat::read;
use crate::chat::text::{ITEMS, Line, Message};
use crate::chat::words::date;
use crate::cut;

/// Changes that are shown if nobody says how many, if somebody asks for all, and at most.
const CHANGES: (usize, usize, usize) = (10, 100, 500);
/// Characters of a comment that are shown.
const COMMENT: usize = 200;
/// Characters of an author, a repository and the like that are shown.
const AUTHOR: usize = 100;
/// Lines that a change takes: its comment, which may be a long one, and the rest.
const OF_CHANGE: usize = 3;

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
    found.all.retain(|builder| all || builder.online);
    if found.all.is_empty() {
        return Err(found.nothing(if all { "There are no builders." } else { "No builder has a connected worker. Say list all builders for the others." }));
    }
    for builder in found.all.iter().take(ITEMS) {
        line = line.item(&builder.called);
        if !builder.online {
            line = line.and(" [offline]");
        }
    }
    let line = and_more(line, found.all.len());
    bot.reply(ask.said, std::iter::once(line).chain(found.missing()).collect::<Vec<_>>());
    Ok(())
}

/// How many of a list are not shown.
fn and_more(line: Line, all: usize) -> Line {
    if all > ITEMS { line.and(format!(" and {} more", all - ITEMS)) } else { line }
}

fn workers<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>, all: bool) -> Result<(), Refusal> {
    let mut line = Line::text("I found these workers:");
    let mut found = 0;
    let builders = bot.builders()?;
    let masters = bot.masters()?;
    for master in masters.iter().filter(|master| !builders.away.contains(master)) {
        for worker in read::rows(master, &["workers"], &[])? {
            let on = worker["configured_on"].as_array().into_iter().flatten();
            let ours = on.filter(|on| builders.all.iter().any(|it| it.master == *master && it.id == read::number(on, "builderid"))).count() > 0;
            let configured = read::is_some(&worker["configured_on"]);
            if !ours && !(all && (bot.tags.is_empty() || !configured)) {
                continue;
            }
            found += 1;
            if found > ITEMS {
                continue;
            }
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
    if found == 0 {
        return Err(builders.nothing("There are no workers."));
    }
    bot.reply(ask.said, std::iter::once(and_more(line, found)).chain(builders.missing()).collect::<Vec<_>>());
    Ok(())
}

fn changes<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>, all: bool, number: Option<usize>) -> Result<(), Refusal> {
    let most = bot.presenter.most_lines().map_or(CHANGES.2, |lines| (lines / OF_CHANGE).clamp(1, CHANGES.2));
    let wanted = if all { CHANGES.1 } else { number.unwrap_or(CHANGES.0) };
    let limit = wanted.min(most);
    let mut lines = Vec::new();
    if all {
        let more = if limit < most { format!("; say how many if you want more, {most} at most") } else { String::new() };
        lines.push(Line::text(format!("There may be thousands of changes. These are the last {limit}{more}.")));
    } else if limit < wanted {
        lines.push(Line::text(format!("I list {limit} changes at most, so these are the last {limit}; {} that you asked for are left out.", wanted - limit)));
    }
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for master in bot.masters()? {
        match read::rows(&master, &["changes"], &[("order", "-changeid"), ("limit", &limit.to_string())]) {
            Ok(changes) => found.extend(changes),
            Err(refusal) => silent.extend(refusal.0.lines),
        }
    }
    found.sort_by_key(|change| read::number(change, "when_timestamp"));
    let found = &found[found.len().saturating_sub(limit)..];
    if found.is_empty() {
        let nothing = Some(Line::text("There are no changes.")).filter(|_| silent.is_empty());
        return Err(Refusal(nothing.into_iter().chain(silent).collect::<Vec<_>>().into()));
    }
    lines.push(Line::text("I found these recent changes:"));
    for change in found {
        let text = |key: &str| change[key].as_str().unwrap_or_default();
        let comment = text("comments").lines().next().unwrap_or_default();
        lines.push(Line::default().link(cut::to_chars(comment, COMMENT), text("revlink")));
        let mut about = format!("    Author: {}, date: {}", cut::to_chars(text("author"), AUTHOR), date(read::number(change, "when_timestamp")));
        for (title, key) in [("repository", "repository"), ("branch", "branch"), ("revision", "revision")] {
            if !text(key).is_empty() {
                about.push_str(&format!(", {title}: {}", cut::to_chars(text(key), AUTHOR)));
            }
        }
        lines.push(Line::text(about));
    }
    lines.extend(silent);
    bot.reply(ask.said, Message::from(lines));
    Ok(())
}
