//! `notify`.

use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal, readable};
use crate::chat::channel::Channel;
use crate::chat::events::EventWord;

pub fn commands<P: Presenter>() -> [Command<P>; 1] {
    [Command {
        name: "notify",
        doc: "notify me about build events",
        usage: "notify on|off|list [EVENT]... - Announce build events here, or stop that; an event is one of started, finished, success, warnings, failure, \
                exception, cancelled, problem, recovery, worse, better, worker",
        dangerous: false,
        run: notify,
    }]
}

fn notify<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let words = ask.words()?;
    let (action, words) = words.split_first().ok_or_else(|| try_this(bot))?;
    let said = ask.said;
    let (action, quiet) = match action.to_lowercase().as_str() {
        "on" => (true, false),
        "on-quiet" => (true, true),
        "off" => (false, false),
        "off-quiet" => (false, true),
        "list" => {
            list(bot, ask, &Channel::load(&said.place));
            return Ok(());
        }
        _ => return Err(try_this(bot)),
    };
    if !bot.may_change(said, "notify") {
        return Err(Refusal::new(format!(
            "Only channel operators, and those whom the settings name for notify, can change what is announced here, {}.",
            said.person.name
        )));
    }
    if !bot.authz.knows(&said.person.identity) {
        return Err(Refusal::new(format!("I remember nothing for you, {}: the settings name those whom I serve.", said.person.name)));
    }
    let mut events = Vec::new();
    for word in words {
        let event = EventWord::parse(word);
        events.push(event.ok_or_else(|| Refusal::new(format!("There is no event {}; there are {}.", readable(word), EventWord::all().join(", "))))?);
    }
    let mut channel = Channel::load(&said.place);
    match (action, events.is_empty()) {
        (true, true) => channel.notify.extend(["started", "finished"].into_iter().filter_map(EventWord::parse)),
        (true, false) => channel.notify.extend(events),
        (false, true) => channel.notify.clear(),
        (false, false) => channel.notify.retain(|event| !events.contains(event)),
    }
    channel.save_beside(&said.place, &bot.configured)?;
    if !quiet {
        list(bot, ask, &channel);
    }
    Ok(())
}

fn list<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>, channel: &Channel) {
    if channel.notify.is_empty() {
        bot.reply(ask.said, "No events are announced here.");
        return;
    }
    let words: Vec<&str> = channel.notify.iter().map(EventWord::as_str).collect();
    bot.reply(ask.said, format!("These events are announced here: {}.", words.join(", ")));
}

fn try_this<P: Presenter>(bot: &Bot<P>) -> Refusal {
    Refusal::new(format!("Try '{}notify on|off|list [EVENT]...'; the events are {}.", bot.presenter.prefix(), EventWord::all().join(", ")))
}
