//! What goes over the wire, recorded or ours, as one JSON value, so that two of them can be held against each other.
//!
//! Left out, as the recordings' README says: the order of headers, User-Agent, dates, message ids, boundaries. Source stamps are a set,
//! which Buildbot tells in changing orders.

use mail_parser::{Address, HeaderValue, MessageParser, MimeHeaders, PartType};
use reporter_host_tests::gerrit;
use serde_json::{Map, Value, json};

/// Headers of HTTP that the libraries write, and those that only say that a delivery is the same as an earlier one.
const OF_LIBRARIES: &[&str] = &[
    "content-length",
    "accept-encoding",
    "accept",
    "host",
    "user-agent",
    "connection",
    "transfer-encoding",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
];
/// Headers of a mail that say nothing about what is reported.
const OF_MAIL: &[&str] = &["content-transfer-encoding", "mime-version", "date", "message-id", "content-type", "from", "to", "cc", "subject"];

/// Something sent.
#[derive(Clone, Debug)]
pub enum Sent {
    /// `{"method", "path", "query", "headers", "json" | "form" | "text"}`
    Http(Value),
    /// `{"from", "recipients", "headers", "to", "cc", "subject", "type", "text", "attachments"}`
    Mail(Value),
    /// `{"user", "port", "words"}`
    Ssh(Value),
}

/// The command that only asks; how often it is asked is nobody's business.
pub const VERSION: &str = "gerrit version";

impl Sent {
    /// From a recorded file; none for what is not sent by reporters of builds, and for questions.
    pub fn recorded(whole: &Value) -> Option<Self> {
        match whole["kind"].as_str() {
            Some("http") => {
                let headers = array(&whole["headers"]).iter().filter_map(Value::as_str).filter_map(|line| line.split_once(": "));
                let mut sent =
                    json!({"method": whole["method"], "path": whole["path"], "query": sorted(whole["query"].clone()), "headers": headers_of(headers)});
                let body = if whole.get("json").is_some() {
                    ("json", &whole["json"])
                } else if whole.get("form").is_some() {
                    ("form", &whole["form"])
                } else {
                    ("text", &whole["body"])
                };
                sent[body.0] = if body.1.is_null() { json!("") } else { body.1.clone() };
                order_sourcestamps(&mut sent);
                Some(Self::Http(sent))
            }
            Some("mail") => {
                let to: Vec<&str> = array(&whole["rcpt_tos"]).iter().filter_map(Value::as_str).collect();
                Some(Self::mail(whole["mail_from"].as_str().unwrap_or_default(), &to, whole["raw"].as_str().unwrap_or_default().as_bytes()))
            }
            Some("ssh") => {
                let argv: Vec<&str> = array(&whole["argv"]).iter().filter_map(Value::as_str).collect();
                let command = argv.iter().position(|word| *word == "gerrit")?;
                let (user, _) = argv.iter().find_map(|word| word.split_once('@'))?;
                let port = argv.iter().position(|word| *word == "-p").and_then(|n| argv.get(n + 1)?.parse().ok())?;
                // ssh puts blanks between its arguments, and the server reads one line.
                Self::ssh(user, port, &argv[command..].join(" "))
            }
            _ => None,
        }
    }

    /// A command that arrived, unless it is a question.
    pub fn ssh(user: &str, port: u16, line: &str) -> Option<Self> {
        (line != VERSION).then(|| Self::Ssh(json!({"user": user, "port": port, "words": gerrit::options(gerrit::split(line))})))
    }

    /// A request that arrived.
    pub fn http(method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> Self {
        let url = url::Url::parse(&format!("http://recorder{target}")).unwrap_or_else(|_| url::Url::parse("http://recorder/").expect("a URL"));
        let query: Vec<Value> = url.query_pairs().map(|(name, value)| json!([name, value])).collect();
        let mut sent = json!({"method": method, "path": url.path(), "query": sorted(Value::Array(query)), "headers": headers_of(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))});
        let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map_or("", |(_, value)| value.as_str());
        if content_type.starts_with("application/json") {
            sent["json"] = serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)));
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            sent["form"] = url::form_urlencoded::parse(body).map(|(name, value)| json!([name, value])).collect();
        } else {
            sent["text"] = json!(String::from_utf8_lossy(body));
        }
        order_sourcestamps(&mut sent);
        Self::Http(sent)
    }

    /// A mail that arrived.
    pub fn mail(from: &str, recipients: &[&str], raw: &[u8]) -> Self {
        let mut recipients = recipients.to_vec();
        recipients.sort_unstable();
        let Some(message) = MessageParser::default().default_header_text().parse(raw) else {
            return Self::Mail(json!({"from": from, "recipients": recipients, "unreadable": String::from_utf8_lossy(raw)}));
        };
        let mut headers = Map::new();
        for header in message.headers() {
            let name = header.name().to_ascii_lowercase();
            if !OF_MAIL.contains(&name.as_str()) {
                headers.insert(name, json!(header_text(header.value())));
            }
        }
        let mut texts = Vec::new();
        let mut attachments = Vec::new();
        for part in &message.parts {
            let text = match &part.body {
                PartType::Text(text) | PartType::Html(text) => text.replace("\r\n", "\n"),
                PartType::Binary(bytes) | PartType::InlineBinary(bytes) => String::from_utf8_lossy(bytes).replace("\r\n", "\n"),
                _ => continue,
            };
            match part.attachment_name() {
                Some(name) => attachments.push(json!([name, text.trim_end_matches('\n')])),
                None => texts.push((matches!(part.body, PartType::Html(_)), text)),
            }
        }
        let html = texts.first().is_some_and(|(html, _)| *html);
        let text: Vec<&str> = texts.iter().map(|(_, text)| text.trim_end_matches('\n')).collect();
        Self::Mail(json!({
            "from": from, "recipients": recipients, "to": addresses(message.to()), "cc": addresses(message.cc()), "headers": headers,
            "subject": message.subject().unwrap_or_default(), "type": if html { "text/html" } else { "text/plain" }, "text": text.join("\n"), "attachments": attachments,
        }))
    }

    /// As one value.
    pub fn value(&self) -> &Value {
        match self {
            Self::Http(value) | Self::Mail(value) | Self::Ssh(value) => value,
        }
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn sorted(mut list: Value) -> Value {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
    if list.is_null() { json!([]) } else { list }
}

fn order_sourcestamps(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if let ("sourcestamps", Some(stamps)) = (key.as_str(), member.as_array_mut()) {
                    stamps.sort_by_key(|stamp| stamp["ssid"].as_i64());
                }
                order_sourcestamps(member);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(order_sourcestamps),
        _ => {}
    }
}

fn headers_of<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let mut kept = Map::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if !OF_LIBRARIES.contains(&name.as_str()) {
            kept.insert(name, json!(value));
        }
    }
    Value::Object(kept)
}

fn header_text(value: &HeaderValue<'_>) -> String {
    match value {
        HeaderValue::Text(text) => decoded(text.trim()),
        HeaderValue::TextList(list) => list.join(", "),
        HeaderValue::Address(address) => addresses(Some(address)).to_string(),
        other => format!("{other:?}"),
    }
}

/// Of headers that it does not know, the parser leaves encoded words (RFC 2047) as they are.
fn decoded(text: &str) -> String {
    let subject = format!("Subject: {text}\r\n\r\n");
    MessageParser::default().parse(subject.as_bytes()).and_then(|message| message.subject().map(str::to_owned)).unwrap_or_else(|| text.to_owned())
}

/// `["name <address>"]`, sorted.
fn addresses(address: Option<&Address<'_>>) -> Value {
    let all = address.into_iter().flat_map(Address::iter);
    let texts = all.map(|one| match (one.name(), one.address()) {
        (Some(name), Some(address)) => json!(format!("{name} <{address}>")),
        (_, address) => json!(address.unwrap_or_default()),
    });
    sorted(texts.collect())
}
