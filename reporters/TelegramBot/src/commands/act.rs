//! `stop` and `shutdown`.

use reporter_sdk::chat::{Ask, Bot, Command, Line, Message, quote, shutdown_state};

use super::{Done, ask_for, button, without_buttons};
use crate::present::Telegram;

pub fn commands() -> Vec<Command<Telegram>> {
    vec![
        Command {
            name: "stop",
            doc: "stop a running build",
            usage: "stop [build BUILDER [REASON]] - Stop the builds that run on it",
            dangerous: true,
            run: stop,
        },
        Command {
            name: "shutdown",
            doc: "shutdown the buildbot master",
            usage: "shutdown [check|start|stop|now] - Shut the buildbot master down",
            dangerous: true,
            run: shutdown,
        },
    ]
}

fn stop(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    let words = ask.words()?;
    match &words[..] {
        [] => {
            let mut message = Message::from("Which build is to be stopped?");
            for name in super::look::running(bot)? {
                message = message.row(button(format!("🚫 {name}"), format!("/stop build {}", quote(&name))));
            }
            bot.reply(ask.said, message);
            Ok(())
        }
        [build, name] if build == "build" => {
            let builder = bot.builder_to_change(name)?;
            if bot.running(std::slice::from_ref(&builder))?.is_empty() {
                return Err(Line::text("No build is running on ").name(name).and(" now.").into());
            }
            without_buttons(ask);
            ask_for(bot, ask, &format!("tell the reason to stop the build on {name}"), format!("/stop build {}", quote(name)), String::new())
        }
        _ => bot.core("stop", ask),
    }
}

fn shutdown(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    if !ask.args.is_empty() {
        if !ask.args.starts_with("check") {
            without_buttons(ask);
        }
        return bot.core("shutdown", ask);
    }
    let masters = bot.masters()?;
    let mut message = Message::default();
    for master in &masters {
        let state = match shutdown_state(master) {
            Ok(state) => state,
            // The others can be shut down all the same.
            Err(refusal) if masters.len() > 1 => {
                message.lines.extend(refusal.0.lines);
                continue;
            }
            Err(refusal) => return Err(refusal),
        };
        message.lines.push(Line::text("The master ").name(master).and(format!(" is {state}.")));
        // With several masters it has to be said which.
        let (of, named) = if masters.len() > 1 { (format!(" {}", quote(master)), format!(" {master}")) } else { Default::default() };
        let shuts_down = state.starts_with("shutting");
        let mut row = if shuts_down {
            button(format!("🔙 Stop shutdown{named}"), format!("/shutdown stop{of}"))
        } else {
            button(format!("↘️ Begin shutdown{named}"), format!("/shutdown start{of}"))
        };
        row.extend(button(format!("‼️ Shut down now{named}"), format!("/shutdown now{of}")));
        message = message.row(row);
    }
    message.lines.push(Line::text("What is to be done?"));
    bot.reply(ask.said, message);
    Ok(())
}
