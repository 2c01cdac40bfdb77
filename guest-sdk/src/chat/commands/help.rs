//! `help` and `commands`.

use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal, readable};
use crate::chat::text::{Line, Message};

pub fn commands<P: Presenter>() -> [Command<P>; 2] {
    [
        Command { name: "commands", doc: "list available commands", usage: "commands - List available commands", dangerous: false, run: list },
        Command {
            name: "help",
            doc: "give help for a command or one of its arguments",
            usage: "help [COMMAND [ARGUMENT]] - Give help for a command or one of its arguments",
            dangerous: false,
            run: help,
        },
    ]
}

/// What an argument of a command is for.
const ARGUMENTS: [(&str, &str, &str); 4] = [
    ("shutdown", "check", "shutdown check - Say whether the master is running or shutting down"),
    ("shutdown", "start", "shutdown start - Begin a clean shutdown: running builds end, no others begin"),
    ("shutdown", "stop", "shutdown stop - Take a clean shutdown back"),
    ("shutdown", "now", "shutdown now - End the master at once, without waiting for builds"),
];

fn list<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    if ask.args.eq_ignore_ascii_case("botfather") {
        let lines = bot.commands().into_iter().filter(|it| !it.doc.is_empty() && it.name != "start").map(|it| Line::text(format!("{} - {}", it.name, it.doc)));
        bot.reply(ask.said, lines.collect::<Vec<_>>());
    } else {
        bot.reply(ask.said, format!("Commands: {}", bot.names().join(", ")));
    }
    Ok(())
}

fn help<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let prefix = bot.presenter.prefix();
    let words = ask.words()?;
    let Some(word) = words.first() else {
        let lines = bot.commands().into_iter().filter(|it| !it.doc.is_empty()).map(|it| Line::text(format!("{prefix}{} - {}", it.name, it.doc)));
        bot.reply(ask.said, Message::from(lines.collect::<Vec<_>>()));
        return Ok(());
    };
    let name = word.strip_prefix(prefix).unwrap_or(word).to_lowercase();
    let Some(command) = bot.command(&name) else {
        return Err(Line::text("There is no command ").name(readable(&name)).and(format!(". Say {prefix}commands for those there are.")).into());
    };
    if name == "commands" && words.len() == 1 {
        bot.reply(ask.said, vec![usage(prefix, command.usage), Line::text(format!("Commands: {}", bot.names().join(", ")))]);
        return Ok(());
    }
    let argument = words.get(1).and_then(|argument| ARGUMENTS.iter().find(|(of, word, _)| *of == name && word == argument));
    match (argument, command.usage) {
        (Some((.., text)), _) => bot.reply(ask.said, usage(prefix, text)),
        (None, "") => bot.reply(ask.said, format!("{prefix}{name} takes no arguments.")),
        (None, text) => bot.reply(ask.said, usage(prefix, text)),
    }
    Ok(())
}

fn usage(prefix: &str, text: &str) -> Line {
    Line::text(format!("Usage: {prefix}{text}"))
}
