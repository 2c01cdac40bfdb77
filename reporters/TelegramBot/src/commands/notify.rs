//! `notify`: a keyboard on which events are switched.

use reporter_sdk::chat::{Ask, Bot, Button, Channel, Command, EventWord, Message};

use super::{Done, pressed};
use crate::api;
use crate::present::{Telegram, keyboard};

/// Events in the order of the keyboard, two in a row.
const ROWS: [[&str; 2]; 6] =
    [["started", "finished"], ["success", "failure"], ["warnings", "exception"], ["problem", "recovery"], ["worse", "better"], ["cancelled", "worker"]];

pub fn commands() -> Vec<Command<Telegram>> {
    vec![Command {
        name: "notify",
        doc: "notify me about build events",
        usage: "notify [on|off|list [EVENT]...] - Announce build events here, or stop that; an event is one of started, finished, success, warnings, failure, \
                exception, cancelled, problem, recovery, worse, better, worker",
        dangerous: false,
        run: notify,
    }]
}

fn notify(bot: &Bot<Telegram>, ask: &Ask<'_>) -> Done {
    if ask.args.is_empty() {
        let message = Message { buttons: buttons(&ask.said.place), ..Message::from("These events can be announced here. Press one to switch it on or off.") };
        bot.reply(ask.said, message);
        return Ok(());
    }
    let hides = ask.args == "list";
    if let Some(message) = pressed(ask).filter(|_| hides) {
        api::delete(&ask.said.place, message, &ask.said.person.name);
    }
    bot.core("notify", ask)?;
    if let Some(message) = pressed(ask).filter(|_| !hides) {
        api::change_keyboard(&ask.said.place, message, Some(keyboard(&buttons(&ask.said.place))), &ask.said.person.name);
    }
    Ok(())
}

fn buttons(place: &str) -> Vec<Vec<Button>> {
    let channel = Channel::load(place);
    let one = |event: &str| {
        let on = channel.notify.iter().any(|word| word.as_str() == event);
        let (sign, action) = if on { ("🔔", "off") } else { ("🔕", "on") };
        let (first, rest) = event.split_at(1);
        Button { caption: format!("{}{rest} {sign}", first.to_uppercase()), command: format!("/notify {action}-quiet {event}") }
    };
    debug_assert!(EventWord::all().iter().all(|event| ROWS.concat().contains(event)));
    let mut rows: Vec<Vec<Button>> = ROWS.iter().map(|row| row.iter().map(|event| one(event)).collect()).collect();
    rows.push(super::button("Hide…", "/notify list"));
    rows
}
