//! A Bot API server, and the people who use it. It enforces what the real one publishes ([`crate::rules`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::rules::{self, Pace, Refused, bad};

/// The bot's token.
pub const TOKEN: &str = "123456:ABC-very_secret";
/// The bot's name.
pub const NAME: &str = "ci_test_bot";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody.
#[derive(Clone, Copy)]
pub struct User {
    pub id: i64,
    pub name: &'static str,
}

pub const ANN: User = User { id: 9001, name: "Ann" };
pub const BOB: User = User { id: 9003, name: "Bob_*" };
/// A group in which both are.
pub const GROUP: i64 = -5001;

/// A message of the bot's.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: i64,
    pub chat: i64,
    /// As people see it.
    pub text: String,
    pub markup: Value,
    pub answers: Option<i64>,
}

#[derive(Default)]
struct State {
    updates: VecDeque<(i64, Value)>,
    next_update: i64,
    next_message: i64,
    next_press: i64,
    presses: BTreeSet<String>,
    /// The bot's, by number.
    messages: BTreeMap<i64, Message>,
    deleted: Vec<i64>,
    /// What a test has looked at, by chat.
    at: BTreeMap<i64, i64>,
    paces: BTreeMap<String, Pace>,
    /// Every request: method, what was asked, and the status of the answer.
    asked: Vec<(String, Value, u16)>,
    webhook: Option<(String, String)>,
    certificate: Option<String>,
    /// Of webhooks: where their host really is.
    leads_to: Option<u16>,
    /// The newest request for updates; an older one ends.
    poll: u64,
    /// Answers instead of what would be, by method: status and body.
    instead: BTreeMap<String, VecDeque<(u16, String)>>,
    down: bool,
}

/// The server.
#[derive(Clone)]
pub struct Fake {
    pub port: u16,
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
}

impl Fake {
    pub async fn start() -> Self {
        Self::on(0).await
    }

    /// At this port of 127.0.0.1.
    pub async fn on(port: u16) -> Self {
        reporter_host::transport::install_crypto();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let state = State { next_update: 700_000_001, next_message: 10, ..State::default() };
        let fake = Self { port: listener.local_addr().unwrap().port(), state: Arc::new(Mutex::new(state)), news: Arc::default() };
        let of = fake.clone();
        let take = async move |uri: Uri, headers: HeaderMap, body: Bytes| of.take(&uri, &headers, &body).await;
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        fake
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn take(&self, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> (StatusCode, String) {
        let mut segments = uri.path().trim_start_matches('/').splitn(2, '/');
        let (bot, method) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default().to_owned());
        let mut asked: Value = serde_json::from_slice(body).unwrap_or_else(|_| json!({}));
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned() {
            asked[name] = json!(value);
        }
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("multipart/form-data") {
            asked["certificate"] = json!(file(kind, &String::from_utf8_lossy(body)));
        }
        let answer = if bot != format!("bot{TOKEN}") {
            Err((401, "Unauthorized".to_owned(), None))
        } else if self.lock().down {
            return (StatusCode::BAD_GATEWAY, "<html>Bad Gateway</html>".into());
        } else if let Some((status, body)) = self.instead(&method) {
            self.lock().asked.push((method, asked, status));
            return (StatusCode::from_u16(status).unwrap(), body);
        } else if method == "getUpdates" {
            self.updates(&asked).await
        } else {
            self.lock().answer(&method, &asked)
        };
        let status = answer.as_ref().map_or_else(|(status, ..)| *status, |_| 200);
        self.lock().asked.push((method, asked, status));
        self.news.notify_waiters();
        let body = match answer {
            Ok(result) => json!({"ok": true, "result": result}),
            Err((code, description, after)) => {
                let mut body = json!({"ok": false, "error_code": code, "description": description});
                if let Some(after) = after {
                    body["parameters"] = json!({"retry_after": after});
                }
                body
            }
        };
        (StatusCode::from_u16(status).unwrap(), body.to_string())
    }

    fn instead(&self, method: &str) -> Option<(u16, String)> {
        self.lock().instead.get_mut(method)?.pop_front()
    }

    async fn updates(&self, asked: &Value) -> Result<Value, Refused> {
        let mine = {
            let mut state = self.lock();
            if state.webhook.is_some() {
                return Err((409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first".into(), None));
            }
            if let Some(offset) = asked["offset"].as_i64() {
                state.updates.retain(|(id, _)| *id >= offset);
            }
            state.poll += 1;
            state.poll
        };
        self.news.notify_waiters();
        let until = Instant::now() + Duration::from_secs(asked["timeout"].as_u64().unwrap_or_default());
        let limit = asked["limit"].as_u64().unwrap_or(100).clamp(1, 100) as usize;
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            {
                let state = self.lock();
                if state.poll != mine {
                    return Err((409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running".into(), None));
                }
                if !state.updates.is_empty() || Instant::now() >= until || state.down {
                    return Ok(state.updates.iter().take(limit).map(|(_, update)| update.clone()).collect());
                }
            }
            tokio::time::timeout(Duration::from_millis(200), news).await.ok();
        }
    }

    /// Something happens: an update is made of it, and waits for the bot.
    pub fn update(&self, mut update: Value) -> i64 {
        let id = {
            let mut state = self.lock();
            let id = state.next_update;
            state.next_update += 1;
            update["update_id"] = json!(id);
            state.updates.push_back((id, update));
            id
        };
        self.news.notify_waiters();
        id
    }

    /// Somebody writes something.
    pub fn says(&self, who: User, chat: i64, text: &str) {
        let id = self.lock().number();
        self.update(json!({"message": {"message_id": id, "from": from(who), "chat": place(chat), "date": 1, "text": text}}));
    }

    /// Somebody replies to a message of the bot's.
    pub fn replies(&self, who: User, chat: i64, to: &Message, text: &str) {
        let id = self.lock().number();
        let to = json!({"message_id": to.id, "from": {"id": 1, "is_bot": true, "first_name": "Bot"}, "chat": place(chat), "date": 1});
        self.update(json!({"message": {"message_id": id, "from": from(who), "chat": place(chat), "date": 1, "text": text, "reply_to_message": to}}));
    }

    /// The bot's next message in a chat, among those not looked at, that satisfies something; others before it are passed over.
    pub async fn so(&self, chat: i64, what: &str, fits: impl Fn(&Message) -> bool) -> Message {
        let waiting = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                {
                    let mut state = self.lock();
                    let after = state.at.get(&chat).copied().unwrap_or_default();
                    let new: Vec<Message> =
                        state.messages.range(after + 1..).map(|(_, message)| message.clone()).filter(|message| message.chat == chat).collect();
                    for message in new {
                        state.at.insert(chat, message.id);
                        if fits(&message) {
                            return message;
                        }
                    }
                }
                tokio::time::timeout(Duration::from_millis(300), news).await.ok();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(message) => message,
            Err(_) => {
                panic!("{chat} waited in vain for {what}; there was {:#?}", self.lock().messages.values().filter(|it| it.chat == chat).collect::<Vec<_>>())
            }
        }
    }

    /// The bot's next message in a chat.
    pub async fn next(&self, chat: i64) -> Message {
        self.so(chat, "a word", |_| true).await
    }

    /// The next message with this in it.
    pub async fn with(&self, chat: i64, part: &str) -> Message {
        self.so(chat, part, |message| message.text.contains(part)).await
    }

    /// Asks, and hears the answer.
    pub async fn asks(&self, who: User, chat: i64, text: &str) -> Message {
        self.says(who, chat, text);
        self.next(chat).await
    }

    /// Presses the button with this caption, or the first that has it in its own.
    pub fn press(&self, who: User, message: &Message, caption: &str) {
        let now = self.message(message.id);
        let buttons = now.markup["inline_keyboard"].as_array().into_iter().flatten().flat_map(|row| row.as_array().unwrap());
        let caption_of = |button: &&Value| button["text"].as_str().unwrap_or_default().to_owned();
        let exact = buttons.clone().find(|button| caption_of(button) == caption);
        let button = exact.or_else(|| buttons.clone().find(|button| caption_of(button).contains(caption)));
        let button = button.unwrap_or_else(|| panic!("no {caption} in {:?}", buttons.collect::<Vec<_>>()));
        self.presses(who, now.chat, message.id, button["callback_data"].as_str().unwrap());
    }

    /// Sends what a button of a message would carry, or what somebody makes up.
    pub fn presses(&self, who: User, chat: i64, message: i64, data: &str) {
        let id = {
            let mut state = self.lock();
            state.next_press += 1;
            let id = format!("press-{}", state.next_press);
            state.presses.insert(id.clone());
            id
        };
        self.update(json!({"callback_query": {"id": id, "from": from(who), "chat_instance": "1", "data": data,
                          "message": {"message_id": message, "chat": place(chat), "date": 1, "text": "menu"}}}));
    }

    /// A message as it is now.
    pub fn message(&self, id: i64) -> Message {
        self.lock().messages[&id].clone()
    }

    /// The captions of a message's buttons, as they are now; empty when they are gone.
    pub fn buttons(&self, id: i64) -> Vec<String> {
        let markup = self.message(id).markup;
        let rows = markup["inline_keyboard"].as_array().cloned().unwrap_or_default();
        rows.iter().flat_map(|row| row.as_array().unwrap().clone()).map(|button| button["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !so(self) {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
            "waited in vain until {what}: {:#?}",
            self.lock().asked.iter().rev().take(20).collect::<Vec<_>>()
        );
    }

    /// The requests of a method with the status of their answers.
    pub fn asked(&self, method: &str) -> Vec<(Value, u16)> {
        self.lock().asked.iter().filter(|(of, ..)| of == method).map(|(_, asked, status)| (asked.clone(), *status)).collect()
    }

    /// Everything that was refused.
    pub fn refused(&self) -> Vec<(String, Value, u16)> {
        self.lock().asked.iter().filter(|(.., status)| *status >= 400).cloned().collect()
    }

    /// The refusals of messages and of what is set up: of all but updates, and what may be done twice after a kill.
    pub fn refused_texts(&self) -> Vec<(String, Value, u16)> {
        let twice = ["getUpdates", "answerCallbackQuery", "editMessageReplyMarkup", "deleteMessage"];
        self.refused().into_iter().filter(|(method, ..)| !twice.contains(&method.as_str())).collect()
    }

    /// The texts of all messages in a chat.
    pub fn texts(&self, chat: i64) -> Vec<String> {
        self.lock().messages.values().filter(|message| message.chat == chat).map(|message| message.text.clone()).collect()
    }

    /// Whether a message was deleted.
    pub fn is_deleted(&self, id: i64) -> bool {
        self.lock().deleted.contains(&id)
    }

    /// The updates that the bot has not said it has.
    pub fn waiting(&self) -> usize {
        self.lock().updates.len()
    }

    /// The next request of this method is answered so.
    pub fn answer_instead(&self, method: &str, status: u16, body: &str) {
        self.lock().instead.entry(method.into()).or_default().push_back((status, body.into()));
    }

    /// Whether only a gateway answers.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
        self.news.notify_waiters();
    }

    /// The webhook's address and secret, and the certificate that came with them.
    pub fn webhook(&self) -> (Option<(String, String)>, Option<String>) {
        let state = self.lock();
        (state.webhook.clone(), state.certificate.clone())
    }

    /// Posts what waits to the webhook, whose proxy leads to this port, one after another, each until it is taken.
    pub fn calls(&self, port: u16) {
        let began = self.lock().leads_to.replace(port).is_none();
        if !began {
            return;
        }
        let fake = self.clone();
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            loop {
                let next = {
                    let state = fake.lock();
                    let to = state.leads_to.unwrap();
                    state.webhook.clone().and_then(|(url, secret)| Some((url, secret, state.updates.front().cloned()?, to)))
                };
                let Some((url, secret, (id, update), to)) = next else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let path = url::Url::parse(&url).unwrap().path().to_owned();
                let post = client.post(format!("http://127.0.0.1:{to}{path}")).header("X-Telegram-Bot-Api-Secret-Token", secret).json(&update);
                if post.send().await.is_ok_and(|answer| answer.status().is_success()) {
                    fake.lock().updates.retain(|(other, _)| *other != id);
                } else {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
    }
}

impl State {
    fn number(&mut self) -> i64 {
        self.next_message += 1;
        self.next_message
    }

    fn answer(&mut self, method: &str, asked: &Value) -> Result<Value, Refused> {
        match method {
            "getMe" => Ok(json!({"id": 123_456, "is_bot": true, "first_name": "CI", "username": NAME})),
            "deleteWebhook" => {
                self.webhook = None;
                Ok(json!(true))
            }
            "setWebhook" => {
                let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
                rules::webhook(&text("url"), &text("secret_token"))?;
                self.certificate = asked["certificate"].as_str().map(str::to_owned);
                self.webhook = Some((text("url"), text("secret_token")));
                // A request for updates that waits ends.
                self.poll += 1;
                Ok(json!(true))
            }
            "setMyCommands" => rules::commands(asked).map(|()| json!(true)),
            "setChatMenuButton" => match asked["chat_id"].as_i64() {
                Some(chat) if chat > 0 => Ok(json!(true)),
                _ => Err(bad("Bad Request: chat_id must be a private chat")),
            },
            "answerCallbackQuery" => match self.presses.remove(asked["callback_query_id"].as_str().unwrap_or_default()) {
                true => Ok(json!(true)),
                false => Err(bad("Bad Request: query is too old and response timeout expired or query ID is invalid")),
            },
            "sendMessage" => self.message(asked),
            "editMessageReplyMarkup" => self.edit(asked),
            "deleteMessage" => {
                let id = asked["message_id"].as_i64().unwrap_or_default();
                match self.messages.get(&id).filter(|it| json!(it.chat) == asked["chat_id"]) {
                    Some(_) if !self.deleted.contains(&id) => {
                        self.deleted.push(id);
                        Ok(json!(true))
                    }
                    _ => Err(bad("Bad Request: message to delete not found")),
                }
            }
            _ => Err((404, "Not Found".into(), None)),
        }
    }

    fn message(&mut self, asked: &Value) -> Result<Value, Refused> {
        let chat = match (&asked["chat_id"], asked["chat_id"].as_i64()) {
            (_, Some(chat)) => chat,
            (Value::String(name), None) if name == "@builds" => -1_000_777,
            _ => return Err(bad("Bad Request: chat not found")),
        };
        let shown = rules::text(asked)?;
        rules::keyboard(&asked["reply_markup"])?;
        self.paces.entry(chat.to_string()).or_default().one(chat < 0, Instant::now())?;
        let id = self.number();
        let message = Message { id, chat, text: shown, markup: asked["reply_markup"].clone(), answers: asked["reply_parameters"]["message_id"].as_i64() };
        self.messages.insert(id, message);
        Ok(json!({"message_id": id, "chat": place(chat), "date": 1, "text": asked["text"]}))
    }

    fn edit(&mut self, asked: &Value) -> Result<Value, Refused> {
        rules::keyboard(&asked["reply_markup"])?;
        let id = asked["message_id"].as_i64().unwrap_or_default();
        let message = self.messages.get_mut(&id).filter(|it| json!(it.chat) == asked["chat_id"] && !self.deleted.contains(&id));
        let message = message.ok_or_else(|| bad("Bad Request: message to edit not found"))?;
        if message.markup == asked["reply_markup"] {
            return Err(bad(
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
            ));
        }
        message.markup = asked["reply_markup"].clone();
        Ok(json!(true))
    }
}

fn from(who: User) -> Value {
    json!({"id": who.id, "is_bot": false, "first_name": who.name})
}

fn place(chat: i64) -> Value {
    if chat < 0 { json!({"id": chat, "type": "supergroup", "title": "Build group"}) } else { json!({"id": chat, "type": "private"}) }
}

/// The file in a form, with its part's headers.
fn file(kind: &str, body: &str) -> Option<String> {
    let boundary = kind.split("boundary=").nth(1)?.trim_matches('"');
    let part = body.split(&format!("--{boundary}")).find(|part| part.contains("name=\"certificate\"") && part.contains("filename="))?;
    let end = body.trim_end().ends_with(&format!("--{boundary}--"));
    end.then(|| part.split_once("\r\n\r\n").map(|(_, file)| file.trim().to_owned())).flatten()
}
