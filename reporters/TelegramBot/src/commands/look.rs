//! `list`, `status`, `last` and `watch`.

use reporter_sdk::chat::{Ask, Bot, Command, Message, Refusal, quote, rows};

use super::{Done, button, without_buttons};
use crate::present::Telegram;

/// Changes that are listed without asking whether that many are wanted, and at most.
const CHANGES: (usize, usize) = (50, 500);

pub fn commands() -> Vec<Command<Telegram>> {
    vec![
        Command {
            name: "list",
            doc: "list configured builders, workers or recent changes",
            usage: "list [[all|N] builders|workers|changes] - List configured builders (all: those without workers too), workers (all: those of no builder too), or N recent changes",
            dangerous: false,
            run: list,
        },
        Command {
            name: "status",
            doc: "list status of a builder (or all builders)",
            usage: "status [BUILDER] - List the status of a builder, or of all",
            dangerous: false,
            run: status,
        },
        Command {
            name: "last",
            doc: "list last build status for a builder",
            usage: "last [BUILDER] - List the result of the last build of a builder, or of all",
            dangerous: false,
            run: last,
        },
        Command {
            name: "watch",
            doc: "announce the completion of an active build",
            usage: "watch [BUILDER] - Announce the end of the builds that run on it",
            dangerous: false,
            run: watch,
        },
    ]
}

fn list(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    let words = ask.words()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            let mut message = Message::from("What is to be listed?");
            for (caption, what) in [("👷 Builders", "builders"), ("⚙ Workers", "workers")] {
                let mut row = button(caption, format!("/list {what}"));
                row.extend(button(format!("{caption} (all)"), format!("/list all {what}")));
                message = message.row(row);
            }
            bot.reply(ask.said, message.row(button("📄 Changes (last 10)", "/list changes")));
            Ok(())
        }
        ["all", "changes"] => {
            let mut found = 0;
            for master in bot.masters()? {
                found += rows(&master, &["changes"], &[("order", "-changeid"), ("limit", &CHANGES.1.to_string())])?.len();
            }
            let found = found.min(CHANGES.1);
            if found <= CHANGES.0 {
                return bot.core("list", &Ask { said: ask.said, args: &format!("{found} changes") });
            }
            let message = Message::from(format!("I found {found} changes. Are all of them wanted?"));
            let message = message.row(button("‼ Yes, all of them", format!("/list {found} changes")));
            bot.reply(ask.said, message.row(button(format!("✅ No, the last {}", CHANGES.0), format!("/list {} changes", CHANGES.0))));
            Ok(())
        }
        _ => {
            if matches!(words[..], [number, "changes"] if number.parse::<usize>().is_ok()) {
                without_buttons(ask);
            }
            bot.core("list", ask)
        }
    }
}

/// Without an argument, the page says, it is about every builder.
fn all(ask: &Ask<'_>) -> String {
    if ask.args.is_empty() { "all".into() } else { ask.args.to_owned() }
}

fn status(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    bot.core("status", &Ask { said: ask.said, args: &all(ask) })
}

fn last(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    bot.core("last", &Ask { said: ask.said, args: &all(ask) })
}

fn watch(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    if !ask.args.is_empty() {
        return bot.core("watch", ask);
    }
    let mut message = Message::from("Which builder do you want to watch?");
    for name in running(bot)? {
        message = message.row(button(format!("🔎 {name}"), format!("/watch {}", quote(&name))));
    }
    bot.reply(ask.said, message);
    Ok(())
}

/// The names of the builders on which something runs.
///
/// # Errors
///
/// Nothing runs, or a master cannot be asked.
pub fn running(bot: &Bot<Telegram>) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::new();
    let builders = bot.builders()?;
    let running = if builders.all.is_empty() { Vec::new() } else { bot.running(&builders.all)? };
    for build in running {
        if !names.contains(&build.builder.called) {
            names.push(build.builder.called);
        }
    }
    if names.is_empty() { Err(builders.nothing("There are no currently running builds.")) } else { Ok(names) }
}
