//! Commands of IRC alone, and what people do to the bot.

use reporter_sdk::chat::{Ask, Bot, Channel, Command, Message, Presenter as _, Refusal, Said};
use reporter_sdk::delivery::Terms;
use reporter_sdk::irc;
use reporter_sdk::prelude::*;

use crate::present::{ENDPOINT, Irc, is_channel};

/// Bytes of a channel's name (RFC 1459, 1.3).
const NAME: usize = 200;

/// All of them.
pub fn own() -> Vec<Command<Irc>> {
    vec![
        Command { name: "join", doc: "join a channel", usage: "join CHANNEL... - Join channels", dangerous: true, run: join },
        Command { name: "leave", doc: "leave a channel", usage: "leave CHANNEL... - Leave channels", dangerous: true, run: leave },
        Command { name: "dance", doc: "dance, dance academy...", usage: "", dangerous: false, run: dance },
        Command { name: "destroy", doc: "", usage: "destroy SOMETHING - Threaten it", dangerous: false, run: destroy },
        Command { name: "hustle", doc: "", usage: "", dangerous: false, run: hustle },
    ]
}

fn join(bot: &Bot<Irc>, ask: &Ask<'_>) -> Result<(), Refusal> {
    membership(bot, ask, true)
}

fn leave(bot: &Bot<Irc>, ask: &Ask<'_>) -> Result<(), Refusal> {
    membership(bot, ask, false)
}

fn membership(bot: &Bot<Irc>, ask: &Ask<'_>, joined: bool) -> Result<(), Refusal> {
    let (word, said) = if joined { ("join", "joining") } else { ("leave", "leaving") };
    let names = ask.words()?;
    if names.is_empty() {
        return Err(Refusal::new(format!("Try '{word} CHANNEL...'.")));
    }
    let mut channels = Vec::new();
    for name in names {
        let channel = if is_channel(&name) { name } else { format!("#{name}") };
        if channel.len() < 2 || channel.len() > NAME || channel.contains(|c: char| c.is_control() || c.is_whitespace() || c == ',') {
            return Err(Refusal::new("That is no channel's name."));
        }
        channels.push(channel);
    }
    for channel in &channels {
        let title = format!("{said} {channel}, asked for by {} on {}", ask.said.person.full, ask.said.place);
        irc::membership(ENDPOINT, channel, None, joined, Terms::titled(title));
    }
    bot.reply(ask.said, format!("I am {said} {}.", channels.join(", ")));
    Ok(())
}

fn dance(bot: &Bot<Irc>, ask: &Ask<'_>) -> Result<(), Refusal> {
    bot.reply(ask.said, "<(^.^<)\n<(^.^)>\n(>^.^)>\n(7^.^)7\n(>^.^<)");
    Ok(())
}

fn destroy(bot: &Bot<Irc>, ask: &Ask<'_>) -> Result<(), Refusal> {
    if ask.args.is_empty() {
        return Err(Refusal::new("Destroy what?"));
    }
    bot.reply(ask.said, Message::action("readies phasers"));
    Ok(())
}

fn hustle(bot: &Bot<Irc>, ask: &Ask<'_>) -> Result<(), Refusal> {
    bot.reply(ask.said, Message::action("does the hustle"));
    Ok(())
}

/// Somebody did something to the bot: `/me hugs bot`.
pub fn acted(bot: &Bot<Irc>, said: &Said, me: &str) -> Result<Outcome, Failure> {
    let mut words = said.text.split_whitespace().rev();
    let to_me = words.next().is_some_and(|last| last.trim_end_matches(['.', '!']).eq_ignore_ascii_case(me));
    let Some(verb) = words.next().filter(|verb| to_me && verb.ends_with('s')) else {
        return Ok(Outcome::Skipped("nobody did anything to the bot".into()));
    };
    if Channel::load(&said.place).muted {
        return Ok(Outcome::Skipped(format!("{} is muted", said.place)));
    }
    let name = &said.person.name;
    let back = match verb {
        "kicks" => "kicks back".to_owned(),
        "threatens" => format!("looks {name} in the eye"),
        _ => format!("{} {name} too", verb.chars().filter(|c| !c.is_control()).take(30).collect::<String>()),
    };
    bot.presenter.send(&said.place, &Message::action(back), Terms::titled(format!("answer to {}", said.who())).expire_after(600));
    Ok(Outcome::Sent)
}
