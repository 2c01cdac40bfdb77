//! `hello`, `version`, `source`, `mute` and `unmute`.

use crate::chat::bot::{Ask, Bot, Command, Presenter, Refusal};
use crate::chat::channel::Channel;
use crate::chat::read;

/// The home page of Buildbot.
const HOME: &str = "https://buildbot.net/";

pub fn commands<P: Presenter>() -> [Command<P>; 5] {
    [
        Command { name: "hello", doc: "say hello", usage: "", dangerous: false, run: hello },
        Command {
            name: "version",
            doc: "show the versions of bot and master",
            usage: "version - Show the versions of bot and master",
            dangerous: false,
            run: version,
        },
        Command { name: "source", doc: "show Buildbot's home page", usage: "source - Show the address of Buildbot's home page", dangerous: false, run: source },
        Command { name: "mute", doc: "", usage: "mute - Say nothing here until unmute", dangerous: false, run: mute },
        Command { name: "unmute", doc: "", usage: "unmute - Speak here again", dangerous: false, run: unmute },
    ]
}

fn hello<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    bot.reply(ask.said, bot.words().hello(&ask.said.person.name));
    Ok(())
}

fn version<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let mut masters = Vec::new();
    for name in bot.masters().unwrap_or_default() {
        let config = read::rows(&name, &["config"], &[]).unwrap_or_default();
        let versions = config.first().and_then(|config| config["versions"].as_array()).into_iter().flatten();
        let version = versions.filter(|pair| pair[0] == "Buildbot").find_map(|pair| pair[1].as_str().map(str::to_owned));
        masters.push(match version {
            Some(version) => format!("{name} is Buildbot {version}"),
            None => format!("the version of {name} is not known"),
        });
    }
    let masters = if masters.is_empty() { String::new() } else { format!("; {}", masters.join(", ")) };
    bot.reply(ask.said, format!("This is reporter-host {}{masters}.", env!("CARGO_PKG_VERSION")));
    Ok(())
}

fn source<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    bot.reply(ask.said, format!("Buildbot's home page is {HOME}"));
    Ok(())
}

fn mute<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let said = ask.said;
    if !bot.may_change(said, "mute") {
        return Err(Refusal::new(format!("Only channel operators, and those whom the settings name for mute, can mute me here, {}.", said.person.name)));
    }
    let mut channel = Channel::load(&said.place);
    channel.muted = true;
    channel.save_beside(&said.place, &bot.configured)?;
    bot.reply(said, "I am silent here from now on. Say unmute to have me back.");
    Ok(())
}

fn unmute<P: Presenter>(bot: &Bot<P>, ask: &Ask<'_>) -> Result<(), Refusal> {
    let said = ask.said;
    let mut channel = Channel::load(&said.place);
    if !channel.muted {
        return Err(Refusal::new("Nobody has muted me here."));
    }
    // Whoever may not do it hears nothing: the channel is muted.
    if bot.may_change(said, "unmute") {
        channel.muted = false;
        channel.save_beside(&said.place, &bot.configured)?;
        bot.reply(said, "I am back.");
    }
    Ok(())
}
