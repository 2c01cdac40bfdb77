//! Lines: what is in those that come, and how long those may be that go.

use irc::proto::{Command, Message, Prefix};

use super::super::IrcVerb;

/// Bytes of a line with CR and LF (RFC 1459, 2.3).
const LINE: usize = 512;

/// A line that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Came {
    /// The command in capitals, or three digits.
    pub command: String,
    /// Its parameters.
    pub params: Vec<String>,
    /// Who sent it: nick (or server), user and host.
    pub from: (String, String, String),
    tags: Vec<(String, String)>,
}

impl Came {
    pub fn of(message: &Message) -> Self {
        let text = String::from(&message.command);
        let (front, last) = match text.split_once(" :") {
            Some((front, last)) => (front, Some(last)),
            None => (text.as_str(), None),
        };
        let mut words = front.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
        let command = words.next().unwrap_or_default().to_uppercase();
        let params = words.chain(last.map(str::to_owned)).collect();
        let from = match &message.prefix {
            Some(Prefix::Nickname(nick, user, host)) => (nick.clone(), user.clone(), host.clone()),
            Some(Prefix::ServerName(name)) => (name.clone(), String::new(), String::new()),
            None => Default::default(),
        };
        let tags = message.tags.iter().flatten().map(|tag| (tag.0.clone(), tag.1.clone().unwrap_or_default())).collect();
        Self { command, params, from, tags }
    }

    /// A tag's value; empty for one without.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter, or nothing.
    pub fn param(&self, n: usize) -> &str {
        self.params.get(n).map_or("", String::as_str)
    }

    /// The last parameter.
    pub fn last(&self) -> &str {
        self.params.last().map_or("", String::as_str)
    }

    /// The number, if it is a numeric.
    pub fn numeric(&self) -> Option<u16> {
        if self.command.len() == 3 { self.command.parse().ok() } else { None }
    }
}

/// A command to send. The codec cuts at the first line break, so that none can follow it.
pub(super) fn command(name: &str, params: &[&str]) -> Message {
    Message::from(Command::Raw(name.to_owned(), params.iter().map(|&param| param.to_owned()).collect()))
}

/// A text as one line of this kind.
pub(super) fn said(verb: IrcVerb, target: &str, text: &str) -> Message {
    match verb {
        IrcVerb::Message => command("PRIVMSG", &[target, text]),
        IrcVerb::Notice => command("NOTICE", &[target, text]),
        IrcVerb::Action => command("PRIVMSG", &[target, &format!("\u{1}ACTION {text}\u{1}")]),
    }
}

/// Channels in one JOIN: servers take more or fewer, and leave out what is too much for them.
const JOINED: usize = 10;

/// The JOINs of channels with their keys, in as few lines as they fit into.
pub(super) fn joins<'a>(channels: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Vec<Message> {
    let (with_key, without): (Vec<_>, Vec<_>) = channels.into_iter().partition(|(_, key)| key.is_some());
    let mut lines: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    // A channel's key is known by its place, so those that have one come first.
    for (name, key) in with_key.into_iter().chain(without) {
        let size = |parts: &[&str]| parts.iter().map(|part| part.len() + 1).sum::<usize>();
        let key_size = key.map_or(0, |key| key.len() + 1);
        let fits = |(names, keys): &&mut (Vec<&str>, Vec<&str>)| {
            // A key with a comma would be two.
            let alone = keys.iter().chain(&key).any(|key| key.contains(','));
            names.len() < JOINED && !alone && "JOIN \r\n".len() + size(names) + name.len() + 1 + size(keys) + key_size <= LINE
        };
        match lines.last_mut().filter(fits) {
            Some((names, keys)) => {
                names.push(name);
                keys.extend(key);
            }
            None => lines.push((vec![name], key.into_iter().collect())),
        }
    }
    let line = |(names, keys): (Vec<&str>, Vec<&str>)| {
        if keys.is_empty() { command("JOIN", &[&names.join(",")]) } else { command("JOIN", &[&names.join(","), &keys.join(",")]) }
    };
    lines.into_iter().map(line).collect()
}

/// The pieces of a text that each fit into a line. `own` is how many bytes the server puts in front for others: `nick!user@host`.
pub(super) fn pieces(verb: IrcVerb, target: &str, text: &str, own: usize) -> Vec<String> {
    let frame = match verb {
        IrcVerb::Message => "PRIVMSG  :".len(),
        IrcVerb::Notice => "NOTICE  :".len(),
        IrcVerb::Action => "PRIVMSG  :\u{1}ACTION \u{1}".len(),
    };
    let room = LINE.saturating_sub(":  \r\n".len() + own + frame + target.len()).max(64);
    text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).flat_map(|line| split(line, room)).collect()
}

/// Between words; and between characters where a word is longer than the room.
fn split(line: &str, room: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while rest.len() > room {
        let most = rest.floor_char_boundary(room);
        let before = if rest.as_bytes()[most] == b' ' { Some(most) } else { rest[..most].rfind(' ').filter(|at| *at > 0) };
        let cut = before.unwrap_or(most);
        let (piece, later) = rest.split_at(cut);
        pieces.push(piece.trim_end().to_owned());
        rest = later.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn came(line: &str) -> Came {
        Came::of(&line.parse().unwrap())
    }

    #[test]
    fn lines_are_taken_apart() {
        let line = came("@account=al;label=7;x :al!~u@h PRIVMSG #c :hello  there :)\r\n");
        assert_eq!((line.command.as_str(), line.param(0), line.param(1)), ("PRIVMSG", "#c", "hello  there :)"));
        assert_eq!(line.from, ("al".into(), "~u".into(), "h".into()));
        assert_eq!((line.tag("account"), line.tag("x"), line.tag("y")), (Some("al"), Some(""), None));
        assert_eq!(came(":srv 353 me = #c :@a +b").params, ["me", "=", "#c", "@a +b"]);
        assert_eq!(came(":srv 900 me me!u@h al :You are logged in").numeric(), Some(900));
        assert_eq!(came("PING :x y").last(), "x y");
        assert_eq!(came("PRIVMSG #c ::)").last(), ":)");
        assert_eq!(came(":srv CAP * LS * :a b").params, ["*", "LS", "*", "a b"]);
    }

    #[test]
    fn texts_become_lines() {
        let lines = |text: &str| pieces(IrcVerb::Message, "#c", text, 20);
        assert_eq!(lines("a\n\n  \nb  \n"), ["a", "b"]);
        let words = "word ".repeat(200);
        let split = lines(&words);
        assert!(split.iter().all(|line| line.split(' ').all(|word| word == "word")), "no word is torn: {split:?}");
        assert_eq!(split.join(" "), words.trim_end());
        for verb in [IrcVerb::Message, IrcVerb::Notice, IrcVerb::Action] {
            let all = pieces(verb, "#channel", &"ü".repeat(2_000), 80);
            let lengths: Vec<usize> = all.iter().map(|piece| said(verb, "#channel", piece).to_string().len() + 80 + 2).collect();
            assert!(lengths.iter().all(|length| *length <= 512) && lengths[..lengths.len() - 1].iter().all(|length| *length > 505), "{lengths:?}");
        }
        assert_eq!(said(IrcVerb::Message, "#c", ":)").to_string(), "PRIVMSG #c ::)\r\n");
        assert_eq!(said(IrcVerb::Action, "#c", "waves").to_string(), "PRIVMSG #c :\u{1}ACTION waves\u{1}\r\n");
    }

    #[test]
    fn channels_are_joined_in_few_lines() {
        let joined =
            |channels: &[(&str, Option<&str>)]| joins(channels.iter().copied()).iter().map(|line| line.to_string().trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(joined(&[("#a", None), ("#b", Some("k1")), ("#c", None), ("#d", Some("k2"))]), ["JOIN #b,#d,#a,#c k1,k2"]);
        assert_eq!(joined(&[("#a", Some("x,y")), ("#b", Some("z")), ("#c", None)]), ["JOIN #a x,y", "JOIN #b,#c z"]);
        assert_eq!(joined(&[]), [""; 0]);
        let many: Vec<String> = (0..25).map(|n| format!("#c{n:02}")).collect();
        let lines = joins(many.iter().map(|name| (name.as_str(), None)));
        assert_eq!(lines.iter().map(|line| line.to_string().matches('#').count()).collect::<Vec<_>>(), [10, 10, 5]);
        let long: Vec<(String, String)> = (0..8).map(|n| (format!("#{n}{}", "c".repeat(97)), "k".repeat(70))).collect();
        let lines = joins(long.iter().map(|(name, key)| (name.as_str(), Some(key.as_str()))));
        assert_eq!(lines.len(), 4);
        for line in lines.iter().map(ToString::to_string) {
            let words: Vec<&str> = line.trim_end().split(' ').collect();
            assert!(line.len() <= LINE && words[1].split(',').count() == words[2].split(',').count(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_blanks(text in "(\\PC| |é|🎉){0,2000}", own in 0usize..400) {
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let all = pieces(IrcVerb::Message, "#c", &text, own);
            prop_assert_eq!(bare(&all.concat()), bare(&text));
            for piece in all {
                prop_assert!(piece.len() <= (512 - 5 - own - 12).max(64), "{}", piece.len());
            }
        }
    }
}
