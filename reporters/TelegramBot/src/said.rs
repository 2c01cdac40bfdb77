//! What Telegram says somebody said.

use reporter_sdk::chat::{Identity, Person, Said};
use serde_json::Value;

/// Said with a message, or with a button of a message of the bot's own.
///
/// # Errors
///
/// Why it is nothing for the bot.
pub fn said(from: &Value, message: &Value, text: &str, pressed: bool, at: u64) -> Result<Said, &'static str> {
    let Some(id) = from["id"].as_i64() else { return Err("nobody said it") };
    if from["is_bot"].as_bool() == Some(true) {
        return Err("a bot said it");
    }
    // Anonymous administrators and channels share one number each.
    let anonymous = !pressed && message.get("sender_chat").is_some_and(|chat| !chat.is_null());
    let Some(place) = message["chat"]["id"].as_i64() else { return Err("it was said nowhere") };
    let part = |key: &str| from[key].as_str().unwrap_or_default().trim();
    let mut name = [part("first_name"), part("last_name")].join(" ").trim().to_owned();
    if name.is_empty() {
        name = id.to_string();
    }
    if !part("username").is_empty() {
        name.push_str(&format!(" (@{})", part("username")));
    }
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let identity = Identity { sure: (!anonymous).then(|| id.to_string()), claimed: None };
    let advice = if anonymous { "I do not know who you are: you write anonymously." } else { "" };
    let person = Person { identity, full: format!("{name} (user {id})"), name, operator: true, advice };
    let private = message["chat"]["type"].as_str() == Some("private");
    let room =
        message["chat"]["title"].as_str().filter(|_| !private).map(|title| format!("'{}'", title.chars().filter(|c| !c.is_control()).collect::<String>()));
    Ok(Said {
        person,
        place: place.to_string(),
        private,
        room: room.unwrap_or_default(),
        text: plain(text),
        id: message["message_id"].as_i64().map(|id| id.to_string()).unwrap_or_default(),
        pressed,
        more: serde_json::json!({"from": from, "replies_to": message["reply_to_message"]}),
        at,
    })
}

/// A text as somebody can write it: line breaks, and no other control characters.
pub fn plain(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

/// The number of who said it.
pub fn number(said: &Said) -> String {
    said.more["from"]["id"].as_i64().map(|id| id.to_string()).unwrap_or_default()
}
