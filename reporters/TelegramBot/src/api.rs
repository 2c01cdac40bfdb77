//! Requests of the Bot API, and the terms on which they go out.
//!
//! <https://core.telegram.org/bots/api>

use reporter_sdk::delivery::{Terms, Verdict};
use reporter_sdk::http::{self, Request};
use reporter_sdk::json_text;
use serde_json::{Value, json};

/// The endpoint of private chats, of updates, and of what is in no chat.
pub const CHATS: &str = "chats";
/// The endpoint of groups and channels, which get fewer messages.
pub const GROUPS: &str = "groups";
/// Seconds after which nobody waits any more for what a pressed button shows.
const PRESSED: u32 = 60;
/// Seconds after which a change of a keyboard is of no use.
const CHANGED: u32 = 600;

/// The tag of the answer that says who the bot is.
pub const ME: &str = "me";

/// Numbers of groups and channels are negative, and a channel may have a name.
pub fn is_group(place: &str) -> bool {
    place.starts_with(['-', '@'])
}

fn endpoint(place: &str) -> &'static str {
    if is_group(place) { GROUPS } else { CHATS }
}

/// A chat as the API wants it: a number, or `@name`.
pub fn chat_id(place: &str) -> Value {
    place.parse::<i64>().map_or_else(|_| json!(place), |number| json!(number))
}

fn request(endpoint: &str, method: &str, body: &Value) -> Request {
    Request::new(endpoint, "POST", [method]).json(body)
}

/// What is said in one chat goes one after another; too much in one chat holds up no other.
fn in_chat(place: &str, terms: Terms) -> Terms {
    terms.lane(place).rule(429..=429, "", Verdict::Retry)
}

/// A message.
#[derive(Debug, Default)]
pub struct Text<'a> {
    /// In MarkdownV2.
    pub text: &'a str,
    /// The message that it answers.
    pub answers: Option<i64>,
    /// Buttons, or the wish for an answer.
    pub markup: Option<Value>,
}

/// Queues a message.
pub fn say(place: &str, message: &Text<'_>, terms: Terms) {
    let mut body = json!({"chat_id": chat_id(place), "text": message.text, "parse_mode": "MarkdownV2", "link_preview_options": {"is_disabled": true}});
    if let Some(id) = message.answers {
        body["reply_parameters"] = json!({"message_id": id, "allow_sending_without_reply": true});
    }
    if let Some(markup) = &message.markup {
        body["reply_markup"] = markup.clone();
    }
    http::send(request(endpoint(place), "sendMessage", &body), in_chat(place, terms));
}

/// Queues another keyboard for a message; none: it has no buttons any more.
pub fn change_keyboard(place: &str, message: i64, keyboard: Option<Value>, who: &str) {
    let mut body = json!({"chat_id": chat_id(place), "message_id": message});
    if let Some(keyboard) = keyboard {
        body["reply_markup"] = keyboard;
    }
    let terms = Terms::titled(format!("buttons for {who}"))
        .supersede(format!("keyboard/{place}/{message}"))
        .expire_after(CHANGED)
        // It is so already, or there is nothing any more whose buttons could be changed.
        .rule(400..=400, "not modified", Verdict::Done)
        .rule(400..=400, "to edit not found", Verdict::Done)
        .rule(400..=400, "can't be edited", Verdict::Done);
    http::send(request(endpoint(place), "editMessageReplyMarkup", &body), in_chat(place, terms));
}

/// Queues the end of a message of the bot's own.
pub fn delete(place: &str, message: i64, who: &str) {
    let body = json!({"chat_id": chat_id(place), "message_id": message});
    let terms = Terms::titled(format!("end of a menu for {who}")).expire_after(CHANGED).rule(400..=400, "message", Verdict::Done);
    http::send(request(endpoint(place), "deleteMessage", &body), in_chat(place, terms));
}

/// Queues the sign that a pressed button was noticed, with a word if there is one.
pub fn noticed(press: &str, word: Option<&str>, who: &str) {
    let mut body = json!({"callback_query_id": press});
    if let Some(word) = word {
        body["text"] = json!(word);
    }
    // After a while Telegram takes no answer any more, and nobody waits for one.
    let terms = Terms::titled(format!("button of {who}")).expire_after(PRESSED).rule(400..=400, "query", Verdict::Done);
    http::send(request(CHATS, "answerCallbackQuery", &body), terms);
}

/// Queues the list of commands that people are shown.
pub fn set_commands(commands: &[(&str, &str)]) {
    let list: Vec<Value> = commands.iter().map(|(command, description)| json!({"command": command, "description": description})).collect();
    http::send(request(CHATS, "setMyCommands", &json!({"commands": list})), Terms::titled("list of commands").supersede("commands").lane("commands"));
}

/// Queues a private chat's button for commands.
pub fn set_menu(place: &str) {
    let body = json!({"chat_id": chat_id(place), "menu_button": {"type": "commands"}});
    http::send(request(endpoint(place), "setChatMenuButton", &body), Terms::titled("button for commands").supersede(format!("menu/{place}")));
}

/// Queues the question who the bot is.
pub fn ask_who() {
    http::send(Request::new(CHATS, "POST", ["getMe"]), Terms::titled("the bot's name").supersede(ME).tag(ME));
}

/// The settings of an endpoint that asks for updates.
pub fn polling(timeout: u32, pause: u32) -> Value {
    let body = json!({"timeout": timeout, "limit": 50, "allowed_updates": KINDS});
    json!({"poll": {
        "before": {"method": "POST", "path": ["deleteWebhook"]},
        "request": {"method": "POST", "path": ["getUpdates"], "body": {"json": json_text(&body)}},
        "items": "/result", "number": "update_id", "next": "offset", "wait": timeout, "pause": pause
    }})
}

/// The settings of an endpoint that is called with updates.
pub fn webhook(url: &str, certificate: Option<&str>, pause: u32) -> Value {
    // One at a time, so that what is said first is heard first.
    let query = json!([["url", "{url}"], ["secret_token", "{secret}"], ["max_connections", "1"], ["allowed_updates", json_text(&json!(KINDS))]]);
    let mut register = json!({"method": "POST", "path": ["setWebhook"], "query": query});
    if let Some(certificate) = certificate {
        let file = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"certificate\"; filename=\"certificate.pem\"\r\nContent-Type: application/x-pem-file\r\n\r\n{}\n\r\n--{BOUNDARY}--\r\n",
            certificate.trim_end()
        );
        register["headers"] = json!([["Content-Type", format!("multipart/form-data; boundary={BOUNDARY}")]]);
        register["body"] = json!({"text": file});
    }
    json!({"webhook": {"url": url, "register": register, "secret_header": "X-Telegram-Bot-Api-Secret-Token", "number": "update_id", "pause": pause}})
}

/// Kinds of update that the bot hears.
const KINDS: [&str; 2] = ["message", "callback_query"];
/// Divides the parts of a form; what is base64 never has it.
const BOUNDARY: &str = "----reporter-host-certificate";
