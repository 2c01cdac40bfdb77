//! `start`, `getid` and `nay`.

use reporter_sdk::chat::{Ask, Bot, Command, Line, Message};

use super::Done;
use crate::present::Telegram;
use crate::{api, kept, said};

pub fn commands() -> Vec<Command<Telegram>> {
    vec![
        Command { name: "start", doc: "", usage: "start - Say hello, and what can be done", dangerous: false, run: start },
        Command {
            name: "getid",
            doc: "get user and chat ID",
            usage: "getid - Tell your number and the chat's, for authz and chat_ids",
            dangerous: false,
            run: getid,
        },
        Command { name: "nay", doc: "forget the current command", usage: "nay - Never mind the command that we are talking about", dangerous: false, run: nay },
    ]
}

fn start(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    if ask.said.private {
        api::set_menu(&ask.said.place);
    }
    bot.reply(ask.said, bot.words().hello(&ask.said.person.name));
    bot.core("help", &Ask { said: ask.said, args: "" })
}

fn getid(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    let number = said::number(ask.said);
    let mut lines = vec![Line::text(format!("{}, your ID is ", ask.said.person.name)).name(number).and(".")];
    if !ask.said.private {
        lines.push(Line::text("This group's ID is ").name(&ask.said.place).and("."));
    }
    bot.reply(ask.said, Message::from(lines));
    Ok(())
}

fn nay(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    kept::drop_question(&ask.said.place, &said::number(ask.said));
    let answered = &ask.said.more["replies_to"];
    // Of somebody else's message the buttons are not the bot's to take.
    if answered.get("reply_markup").is_some_and(|it| !it.is_null())
        && let Some(id) = answered["message_id"].as_i64()
    {
        api::change_keyboard(&ask.said.place, id, None, &ask.said.person.name);
    }
    bot.reply(ask.said, format!("Never mind, {}.", ask.said.person.name));
    Ok(())
}
