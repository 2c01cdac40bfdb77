//! The arguments, and the plan that they make.

use reporter_sdk::chat::{Authz, Bot, EventWord, User};
use reporter_sdk::endpoint::{BaseUrl, HttpSettings};
use reporter_sdk::prelude::*;
use reporter_sdk::settings::{OneOrMany, Table};
use serde_json::{Value, json};

use crate::TelegramBot;
use crate::api::{self, CHATS, GROUPS, chat_id, is_group};
use crate::present::Telegram;

const TELEGRAM: &str = "https://api.telegram.org";
/// Ports at which Telegram calls webhooks.
const PORTS: [u16; 4] = [443, 80, 88, 8443];
/// Seconds that Telegram waits for something new before it answers.
const POLL_TIMEOUT: u32 = 120;
const LONGEST_TIMEOUT: u32 = 600;
/// Seconds before the next try.
const RETRY_DELAY: u32 = 30;
const LONGEST_DELAY: u32 = 3_600;
/// Messages to all chats together: about 30 a second (<https://core.telegram.org/bots/faq>).
const PER_MINUTE: u32 = 1_500;

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// The bot's token, as BotFather gave it
    bot_token: String,
    /// The bot's username, as BotFather knows it (default: Telegram is asked)
    #[serde(default)]
    bot_username: Option<String>,
    /// Chats that are told what notify_events says: numbers, or the names of channels ("@channel")
    #[serde(default)]
    chat_ids: Option<OneOrMany<ChatId>>,
    /// Who may use which commands: a table of commands ("force, stop"; "" for harmless ones, "!" for dangerous ones, "*" for all) and true, false, a user's number or a list of numbers
    #[serde(default)]
    authz: Option<Table>,
    /// Tags: only builders that have one of them are spoken of
    #[serde(default)]
    tags: Option<OneOrMany<String>>,
    /// Events that are announced in the chats: started, finished, success, warnings, failure, exception, cancelled, problem, recovery, worse, better, worker, or a change as failureToSuccess
    #[serde(default)]
    notify_events: Option<OneOrMany<String>>,
    /// Whether the authors of changes are named when a build does not succeed (default false)
    #[serde(default, rename = "showBlameList")]
    show_blame_list: bool,
    /// Whether a build is named by its revisions instead of its number (default false)
    #[serde(default, rename = "useRevisions")]
    use_revisions: bool,
    /// Whether Telegram posts what is said to webhookUrl, instead of being asked (default false)
    #[serde(default, rename = "useWebhook")]
    use_webhook: bool,
    /// The public address that leads to the host's webhooks: https, at port 443, 80, 88 or 8443
    #[serde(default, rename = "webhookUrl")]
    webhook_url: Option<String>,
    /// The content of the certificate at webhookUrl (PEM), if it is self-signed
    #[serde(default)]
    certificate: Option<String>,
    /// Seconds that Telegram waits for something new before it answers (default 120)
    #[serde(default, rename = "pollTimeout")]
    poll_timeout: Option<u32>,
    /// Seconds before Telegram is asked again when it could not be reached (default 30)
    #[serde(default, rename = "retryDelay")]
    retry_delay: Option<u32>,
    /// A Bot API server of one's own (default "https://api.telegram.org")
    #[serde(default)]
    base_url: Option<String>,
    #[serde(flatten)]
    http: HttpSettings,
}

/// A chat's number, or a channel's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum ChatId {
    Number(i64),
    Name(String),
}

impl JsonSchema for ChatId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ChatId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": ["integer", "string"]})
    }
}

/// Users in `authz`: names can be given to somebody else.
struct Id;

impl User for Id {
    fn user(value: &Value) -> Option<String> {
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
        (number > 0).then(|| number.to_string())
    }
    const FORM: &'static str = "numbers of users (names do not count: the command /getid tells the number)";
}

impl Settings {
    /// Checks everything, and makes the bot and its plan. `bot` is what a component of one's own begins with.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings.
    pub fn compile(self, mut bot: Bot<Telegram>) -> Result<(TelegramBot, Plan), Problems> {
        let mut problems = Problems::default();
        let base = problems.take(BaseUrl::api(self.base_url.as_deref(), TELEGRAM, "/base_url"));
        let token = self.bot_token.trim();
        if token.is_empty() || token.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#%".contains(c)) {
            problems.add("/bot_token", "this is the token that BotFather gave, as 123456:ABC-DEF: write bot_token = { secret = \"…\" }");
        }
        let name = self.bot_username.as_deref().map(|name| name.trim().trim_start_matches('@'));
        if name.is_some_and(|name| name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')) {
            problems.add("/bot_username", "a username has letters, digits and underscores; leave it out to have Telegram asked for it");
        }
        let mut places = Vec::new();
        for (n, chat) in self.chat_ids.iter().flat_map(|chats| chats.iter()).enumerate() {
            match chat {
                ChatId::Number(number) if *number != 0 => places.push(number.to_string()),
                ChatId::Name(name) if name.parse::<i64>().is_ok_and(|number| number != 0) => places.push(name.clone()),
                ChatId::Name(name) if name.len() > 1 && name.starts_with('@') && !name.contains(char::is_whitespace) => places.push(name.clone()),
                _ => problems.add(format!("/chat_ids/{n}"), "a chat is a number, which the command /getid tells, or a channel's name: \"@channel\""),
            }
        }
        let events = problems.take(EventWord::parse_all(self.notify_events.as_ref(), "/notify_events"));
        let commands = bot.commands();
        let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
        bot.authz = match &self.authz {
            Some(authz) => problems.take(Authz::parse::<Id>(authz, &names)),
            None => Authz::default(),
        };
        let updates = problems.take(self.updates());
        bot.tags = self.tags.as_ref().map(|tags| tags.items.clone()).unwrap_or_default();
        (bot.notify_events, bot.configured) = (events, places.clone());
        (bot.use_revisions, bot.show_blame_list) = (self.use_revisions, self.show_blame_list);
        let url = BaseUrl { url: format!("{}/bot{token}", base.url), ..base };
        let endpoint = |limits: Value| {
            let mut endpoint = url.endpoint(None, &self.http);
            endpoint.insert("most_per_minute".into(), json!(PER_MINUTE));
            endpoint.insert("lane_limits".into(), limits);
            endpoint.insert("probe".into(), json!(["getMe"]));
            endpoint
        };
        // A message a second and short bursts in every chat, twenty a minute in a group (<https://core.telegram.org/bots/faq>).
        let mut chats = endpoint(json!([{"most": 3, "seconds": 3}]));
        chats.insert("updates".into(), updates);
        let groups = endpoint(json!([{"most": 3, "seconds": 3}, {"most": 20, "seconds": 61}]));
        let mut plan =
            Plan::events(Bot::<Telegram>::EVENTS).endpoint(CHATS, "http", Value::Object(chats)).endpoint(GROUPS, "http", Value::Object(groups)).uses(["state"]);
        if let Some(first) = places.first() {
            let body = reporter_sdk::json_text(&json!({"chat_id": chat_id(first), "text": "{text}"}));
            let message = json!({"method": "POST", "path": ["sendMessage"], "body": {"json": body}});
            plan = plan.fallback(if is_group(first) { GROUPS } else { CHATS }, message);
        }
        problems.or((TelegramBot { bot, username: name.map(str::to_owned) }, plan))
    }

    /// How what is said is had.
    fn updates(&self) -> Result<Value, Problems> {
        let mut problems = Problems::default();
        let pause = self.retry_delay.unwrap_or(RETRY_DELAY);
        if !(1..=LONGEST_DELAY).contains(&pause) {
            problems.add("/retryDelay", format!("write 1 to {LONGEST_DELAY} seconds"));
        }
        let timeout = self.poll_timeout.unwrap_or(POLL_TIMEOUT);
        if timeout > LONGEST_TIMEOUT {
            problems.add("/pollTimeout", format!("write 0 to {LONGEST_TIMEOUT} seconds"));
        }
        let certificate = self.certificate.as_deref().map(str::trim);
        if certificate.is_some_and(|text| !text.starts_with("-----BEGIN CERTIFICATE-----") || text.contains("PRIVATE KEY")) {
            problems.add("/certificate", "this is the certificate's own text, from -----BEGIN CERTIFICATE----- on, without its key");
        }
        if !self.use_webhook {
            for (setting, given) in [("/webhookUrl", self.webhook_url.is_some()), ("/certificate", certificate.is_some())] {
                if given {
                    problems.add(setting, format!("{} is for a webhook: write useWebhook = true, or leave it out", &setting[1..]));
                }
            }
            return problems.or(api::polling(timeout, pause));
        }
        let Some(url) = &self.webhook_url else {
            problems.add("/useWebhook", "write webhookUrl = \"https://…\", the public address that leads to the host's webhooks");
            return problems.or(Value::Null);
        };
        let url = url.trim();
        match BaseUrl::parse(url, "/webhookUrl") {
            Err(wrong) => problems.0.extend(wrong.0),
            Ok(base) if !base.url.to_ascii_lowercase().starts_with("https://") => {
                problems.add("/webhookUrl", "Telegram only calls https: write https://, and have a proxy with a certificate before the host");
            }
            Ok(base) if !base.query.is_empty() => problems.add("/webhookUrl", "a webhook's address has no query here"),
            Ok(base) => {
                if port(&base.url).is_none_or(|port| !PORTS.contains(&port)) {
                    problems.add("/webhookUrl", "Telegram only calls the ports 443, 80, 88 and 8443: write https://host:8443/…, or no port for 443");
                }
            }
        }
        problems.or(api::webhook(url, certificate, pause))
    }
}

/// The port of an https address; none: it has one that is no number.
fn port(url: &str) -> Option<u16> {
    let authority = url.split("://").nth(1)?.split('/').next()?;
    let after = authority.rsplit(']').next().unwrap_or(authority);
    match after.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(443),
    }
}
