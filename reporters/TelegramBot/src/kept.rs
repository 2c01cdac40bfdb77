//! What is kept between messages: what stands behind buttons, whom something was asked, and who says how much.
//!
//! All of it is bounded, the oldest goes first: anybody may write to a bot.

use std::collections::BTreeMap;

use reporter_sdk::chat::quote;
use reporter_sdk::services::state;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of what a button may carry itself.
const DATA: usize = 64;
/// Bytes of all commands that stand behind buttons.
const BEHIND: usize = 12 << 10;
/// Bytes of one.
pub const COMMAND: usize = 1_500;
/// Bytes of all questions.
const QUESTIONS: usize = 6 << 10;
/// Seconds after which nobody answers a question any more: what they write then is about something else.
const ANSWERED_WITHIN: u64 = 900;
/// People whose pace is remembered.
const PEOPLE: usize = 60;
/// Messages that somebody may send at once; after that it is one a second.
const AT_ONCE: f64 = 20.0;

/// Where the rest of a command goes that a button completes: nothing that anybody can write.
pub const HOLE: &str = "\u{1}";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Behind {
    next: u64,
    kept: Vec<(u64, String)>,
}

fn read<T: DeserializeOwned + Default>(key: &str) -> T {
    state::get(key).and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default()
}

fn write<T: Serialize>(key: &str, value: &T) {
    state::set(key, serde_json::to_string(value).ok().as_deref());
}

/// What a button carries for a command: the command, or `#NUMBER` if it is too long.
pub fn data(command: &str) -> String {
    if command.len() <= DATA && command.starts_with('/') { command.to_owned() } else { format!("#{}", number(command)) }
}

/// What a button carries for a command of which the buttons of a keyboard differ in one place: `#NUMBER REST`.
pub fn data_in(frame: &str, rest: &str) -> String {
    let whole = frame.replacen(HOLE, rest, 1);
    let short = format!("#{} {rest}", number(frame));
    if short.len() <= DATA { short } else { data(&whole) }
}

/// The number of what is kept. Numbers are not given twice, so that an old button does nothing new.
fn number(text: &str) -> u64 {
    let mut behind: Behind = read("behind");
    if let Some((number, _)) = behind.kept.iter().find(|(_, kept)| kept == text) {
        return *number;
    }
    let number = behind.next;
    behind.next += 1;
    behind.kept.push((number, text.to_owned()));
    while behind.kept.iter().map(|(_, kept)| kept.len() + 20).sum::<usize>() > BEHIND && behind.kept.len() > 1 {
        behind.kept.remove(0);
    }
    write("behind", &behind);
    number
}

/// The command behind a button; none: it is not kept any more, or never was.
pub fn command(data: &str) -> Option<String> {
    let Some(short) = data.strip_prefix('#') else { return data.starts_with('/').then(|| data.to_owned()) };
    let (number, rest) = short.split_once(' ').map_or((short, None), |(number, rest)| (number, Some(rest)));
    let number: u64 = number.parse().ok()?;
    let behind: Behind = read("behind");
    let (_, kept) = behind.kept.into_iter().find(|(of, _)| *of == number)?;
    Some(match rest {
        Some(rest) => kept.replacen(HOLE, rest, 1),
        None => kept,
    })
}

/// Buttons that were made for this do nothing any more.
pub fn forget(frame: &str) {
    let mut behind: Behind = read("behind");
    behind.kept.retain(|(_, kept)| kept != frame);
    write("behind", &behind);
}

/// A question that somebody was asked: what they write next completes a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Question {
    chat: String,
    who: String,
    /// The command up to the answer.
    command: String,
    /// What the answer's word begins with: `branch=`.
    prefix: String,
    /// When it was asked, in seconds since 1970.
    #[serde(default)]
    at: u64,
    /// The message that asks, once Telegram has said its number.
    #[serde(default)]
    message: Option<i64>,
}

/// What the tag of a question's message begins with.
const TAG: &str = "question";

/// The tag for the message that asks, by which [`is_message`] finds the question again.
pub fn tag(chat: &str, who: &str, at: u64) -> String {
    format!("{TAG}/{at}/{who}/{chat}")
}

/// Whether a tag is one of a question; if so, it is asked by this message.
pub fn is_message(tag: &str, message: Option<i64>) -> bool {
    let Some((TAG, rest)) = tag.split_once('/') else { return false };
    let mut questions: Vec<Question> = read("questions");
    let of = questions.iter_mut().find(|it| format!("{}/{}/{}", it.at, it.who, it.chat) == rest);
    if let (Some(question), Some(_)) = (of, message) {
        question.message = message;
        write("questions", &questions);
    }
    true
}

/// Remembers a question; an earlier one to the same person in the same chat is forgotten.
pub fn ask(chat: &str, who: &str, at: u64, command: String, prefix: String) {
    let mut questions: Vec<Question> = read("questions");
    questions.retain(|it| !(it.chat == chat && it.who == who));
    questions.push(Question { chat: chat.into(), who: who.into(), command, prefix, at, message: None });
    while questions.iter().map(|it| it.command.len() + it.prefix.len() + it.chat.len() + it.who.len() + 100).sum::<usize>() > QUESTIONS && questions.len() > 1 {
        questions.remove(0);
    }
    write("questions", &questions);
}

/// Nobody is asked any more. Answers with whether anybody was.
pub fn drop_question(chat: &str, who: &str) -> bool {
    let mut questions: Vec<Question> = read("questions");
    let before = questions.len();
    questions.retain(|it| !(it.chat == chat && it.who == who));
    if questions.len() < before {
        write("questions", &questions);
    }
    questions.len() < before
}

/// The command that an answer completes, if something was asked not long before `at` (seconds since 1970). In a group only what replies to the
/// bot's message answers it: `replies_to` is the message that is replied to, and none in private.
pub fn answer(chat: &str, who: &str, text: &str, at: u64, replies_to: Option<&Value>) -> Option<String> {
    let questions: Vec<Question> = read("questions");
    let question = questions.into_iter().find(|it| it.chat == chat && it.who == who)?;
    let answers = replies_to.is_none_or(|message| {
        let id = message["message_id"].as_i64();
        message["from"]["is_bot"].as_bool() == Some(true) && (question.message.is_none() || question.message == id)
    });
    let late = at.saturating_sub(question.at) > ANSWERED_WITHIN;
    if late || answers {
        drop_question(chat, who);
    }
    (answers && !late).then(|| format!("{} {}", question.command, quote(&format!("{}{text}", question.prefix))))
}

/// Whether somebody has said too much: more than twenty things at once, and then more than one a second. `at` is in seconds.
pub fn too_much(who: &str, at: u64) -> bool {
    let mut people: BTreeMap<String, (f64, u64)> = read("pace");
    let (left, before) = people.get(who).copied().unwrap_or((AT_ONCE, at));
    let left = (left + at.saturating_sub(before) as f64).min(AT_ONCE);
    let too_much = left < 1.0;
    people.insert(who.to_owned(), (if too_much { left } else { left - 1.0 }, at));
    people.retain(|_, (left, then)| *left + (at.saturating_sub(*then) as f64) < AT_ONCE);
    while people.len() > PEOPLE {
        people.pop_first();
    }
    write("pace", &people);
    too_much
}

#[cfg(test)]
mod tests {
    use reporter_sdk::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn buttons_carry_commands_or_their_numbers() {
        let long = format!("/watch '{}'", "ö".repeat(40));
        assert_eq!(data("/list builders"), "/list builders");
        assert_eq!(command("/list builders").as_deref(), Some("/list builders"));
        let carried = data(&long);
        assert!(carried.len() <= DATA && carried == data(&long), "{carried}");
        assert_eq!(command(&carried).as_deref(), Some(long.as_str()));
        let frame = format!("/force f {HOLE} linux {}", "x".repeat(100));
        let asks = data_in(&frame, "ask branch");
        assert!(asks.len() <= DATA && command(&asks).unwrap().starts_with("/force f ask branch linux xxx"));
        let wide = data_in(&frame, &"y".repeat(80));
        assert!(wide.len() <= DATA && command(&wide).unwrap().contains(&"y".repeat(80)));
        forget(&frame);
        assert_eq!(command(&asks), None);
        for forged in ["#", "#x", "#99999", "#-1 a", "#18446744073709551616", "force", "", "\u{0}"] {
            assert_eq!(command(forged), None, "{forged:?}");
        }
        let first = data(&"/a".repeat(100));
        for n in 0..200 {
            data(&format!("/{n}{}", "z".repeat(300)));
        }
        assert_eq!(command(&first), None, "the oldest goes");
        assert!(testing::state()["behind"].len() < 20 << 10);
    }

    #[test]
    fn an_answer_completes_a_command_once() {
        let reply = |bot: bool, id: i64| json!({"message_id": id, "from": {"is_bot": bot}});
        let stop = || ask("-5", "7", 1_000, "/stop build linux".into(), String::new());
        stop();
        ask("-5", "8", 1_000, "/force f config linux".into(), "branch=".into());
        assert_eq!(answer("-5", "9", "x", 1_001, Some(&reply(true, 4))), None);
        assert_eq!(answer("-5", "7", "x", 1_001, Some(&Value::Null)), None, "it replies to nothing");
        assert_eq!(answer("-5", "7", "x", 1_001, Some(&reply(false, 4))), None, "it replies to somebody");
        assert_eq!(answer("-5", "7", "it's broken", 1_001, Some(&reply(true, 4))).as_deref(), Some(r"/stop build linux 'it'\''s broken'"));
        assert_eq!(answer("-5", "7", "x", 1_001, Some(&reply(true, 4))), None);
        stop();
        assert!(is_message(&tag("-5", "7", 999), Some(3)) && is_message(&tag("-5", "7", 1_000), Some(5)) && !is_message("me", Some(6)));
        assert_eq!(answer("-5", "7", "x", 1_001, Some(&reply(true, 4))), None, "it replies to another message of the bot");
        assert!(answer("-5", "7", "x", 1_900, Some(&reply(true, 5))).is_some());
        stop();
        assert_eq!(answer("-5", "7", "x", 1_901, None), None, "too late");
        assert_eq!(answer("-5", "7", "x", 1_002, None), None, "it is forgotten");
        assert!(drop_question("-5", "8") && !drop_question("-5", "8"));
        for n in 0..500 {
            ask("1", &n.to_string(), 1, "/x".repeat(50), String::new());
        }
        assert!(testing::state()["questions"].len() < 10 << 10);
    }

    #[test]
    fn nobody_is_heard_who_says_too_much() {
        let heard = (0..100).filter(|_| !too_much("7", 1_000)).count();
        assert_eq!(heard, 20);
        assert!(!too_much("8", 1_000), "somebody else");
        assert!(!too_much("7", 1_001) && too_much("7", 1_001), "one a second");
        for who in 0..1_000 {
            too_much(&who.to_string(), 2_000);
        }
        assert!(testing::state()["pace"].len() < 4 << 10);
    }
}
