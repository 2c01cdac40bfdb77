//! Commands of IRC alone, and what people do to the bot.

use reporter_sdk::chat::{Ask, Bot, Channel, Command, Line, Message, Presenter as _, Refusal, Said};
use reporter_sdk::delivery::{Terms, Verdict};
use reporter_sdk::irc;
use reporter_sdk::prelude::*;
use serde::Serialize;

use crate::present::{ENDPOINT, Irc, fold, is_channel};

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
        let mut terms = Terms::titled(format!("{said} {channel}, asked for by {} on {}", ask.said.person.full, ask.said.place));
        if joined {
            let asked = Joining { joining: channel.clone(), place: ask.said.place.clone(), who: ask.said.person.name.clone() };
            terms = terms.tag(serde_json::to_string(&asked).unwrap_or_default());
            // Full, by invitation, without its key, for registered nicks: whoever asked is to know, and to mend it.
            for refusal in [403..=405, 471..=477, 489..=489] {
                terms = terms.rule(refusal, "", Verdict::Dead);
            }
        }
        Channel::set_left(&fold(channel), !joined);
        irc::membership(ENDPOINT, channel, None, joined, terms);
    }
    let mut to = ask.said.clone();
    if !joined && channels.iter().any(|channel| fold(channel) == to.place) {
        // The bot may be gone from there before it can say so.
        to.place.clone_from(&to.person.name);
    }
    bot.reply(&to, format!("I am {said} {}.", channels.join(", ")));
    Ok(())
}

/// Joining a channel, as its tag keeps it until the answer.
#[derive(Serialize, Deserialize)]
struct Joining {
    joining: String,
    place: String,
    who: String,
}

/// Tells whoever had a channel joined that the server does not allow it; none: the answer is to something else.
pub fn joined(bot: &Bot<Irc>, tag: &str, answer: &Answer) -> Option<Outcome> {
    let asked: Joining = serde_json::from_str(tag).ok()?;
    if answer.ended == "delivered" {
        return Some(Outcome::Skipped(format!("{} is joined", asked.joining)));
    }
    let channel = fold(&asked.joining);
    Channel::set_left(&channel, !bot.configured.contains(&channel));
    let why: String = String::from_utf8_lossy(&answer.body).chars().filter(|c| !c.is_control()).take(200).collect();
    let why = if why.is_empty() { "I could not do it in time".to_owned() } else { why };
    let line = Line::text(format!("{}: I am not in {}: {why}.", asked.who, asked.joining));
    bot.presenter.send(&asked.place, &line.into(), Terms::titled(format!("answer to {}", asked.who)));
    Some(Outcome::Sent)
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
