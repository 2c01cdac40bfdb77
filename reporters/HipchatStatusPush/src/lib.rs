//! HipchatStatusPush: a message to a room, a person, or both, when a build starts and when it ends.
//!
//! HipChat's API v2. The service ended in 2019: `endpoint` is a compatible server of one's own.

mod settings;

use std::collections::BTreeMap;

use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::results;
use reporter_sdk::services::{Level, log};
use reporter_sdk::slot::ask;
use reporter_sdk::title;
use serde_json::{Map, Value, json};

pub use settings::Settings;

/// Characters of a message that HipChat takes.
const MOST_MESSAGE: usize = 10_000;

/// The reporter.
#[derive(Debug)]
pub struct HipchatStatusPush {
    token: String,
    rooms: BTreeMap<String, String>,
    users: BTreeMap<String, String>,
    filter: Filter,
    hooks: Hooks,
}

/// Which of the class's methods a component stands in for.
#[derive(Clone, Copy, Debug, Default)]
struct Hooks {
    recipients: bool,
    message: bool,
    params: bool,
}

/// Where a message goes.
#[derive(Debug, Default, PartialEq)]
struct Recipients {
    user: Option<String>,
    room: Option<String>,
}

impl Reporter for HipchatStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "HipchatStatusPush";
    const DESCRIPTION: &'static str = "Tells HipChat's rooms and people of each build that starts and ends";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let skip = |reason: String| Ok(Outcome::Skipped(reason));
        let builds = event.builds();
        let Some(build) = builds.first() else { return skip("the event has no build".into()) };
        if let Err(reason) = self.filter.decide_origin(build) {
            return skip(reason);
        }
        let recipients = self.recipients(event, build)?;
        if recipients == Recipients::default() {
            return skip(format!("builder {} is neither in builder_room_map nor in builder_user_map", build.builder()));
        }
        let message = self.message(event, build)?;
        if message.is_empty() {
            return skip("the message is empty".into());
        }
        let mut body = json!({"message": cut::to_chars(&message, MOST_MESSAGE)});
        if let Some(body) = body.as_object_mut() {
            body.extend(self.params(event, build)?);
        }
        // The same to both, the person first.
        let to_user = recipients.user.map(|user| (["v2".into(), "user".into(), user.clone(), "message".into()], format!("user {user}")));
        let to_room = recipients.room.map(|room| (["v2".into(), "room".into(), room.clone(), "notification".into()], format!("room {room}")));
        for (path, whom) in to_user.into_iter().chain(to_room) {
            let lane = format!("{} {whom}", title::lane(&event.source(), build));
            let terms = Terms::titled(format!("{} to {whom}", title::of_build(&event.kind(), build))).lane(lane);
            http::send(Request::new::<String>(settings::ENDPOINT, "POST", path).query("auth_token", &self.token).json(&body), terms);
        }
        Ok(Outcome::Sent)
    }
}

impl HipchatStatusPush {
    fn recipients(&self, event: &Event, build: &Build) -> Result<Recipients, Failure> {
        let builder = build.builder();
        let by_map = Recipients { user: self.users.get(&builder).cloned(), room: self.rooms.get(&builder).cloned() };
        if !self.hooks.recipients {
            return Ok(by_map);
        }
        let id = |value: &Value| match value {
            Value::String(text) if settings::is_id(text) => Some(text.clone()),
            Value::String(text) if !text.is_empty() => {
                log(Level::Error, &format!("getRecipientList: {:?} is no id or name, and nobody is told there", cut::to_chars(text, 100)));
                None
            }
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let table = hook("chat-recipients", event)?.filter(|answer| answer.is_object() || answer.is_null());
        Ok(table.map_or(by_map, |table| Recipients { user: id(&table["id_or_email"]), room: id(&table["room_id_or_name"]) }))
    }

    fn message(&self, event: &Event, build: &Build) -> Result<String, Failure> {
        if self.hooks.message {
            match hook("chat-message", event)? {
                Some(Value::String(text)) => return Ok(text),
                Some(Value::Null) => return Ok(String::new()),
                _ => {}
            }
        }
        let (builder, url) = (build.builder(), build.url());
        Ok(match event.kind().as_ref() {
            "build-finished" => format!("Buildbot finished build {builder} with result {} here: {url}", results::name(build.results())),
            _ => format!("Buildbot started build {builder} here: {url}"),
        })
    }

    fn params(&self, event: &Event, _build: &Build) -> Result<Map<String, Value>, Failure> {
        if !self.hooks.params {
            return Ok(Map::new());
        }
        let mut params = match hook("chat-params", event)? {
            Some(Value::Object(params)) => params,
            _ => Map::new(),
        };
        // Where it goes is the path's affair, and null means nothing to say.
        params.retain(|name, value| !["id_or_email", "room_id_or_name"].contains(&name.as_str()) && !value.is_null());
        Ok(params)
    }
}

/// What a component answers; none if it failed for good: the message is worth more than its trimmings.
fn hook(slot: &str, event: &Event) -> Result<Option<Value>, Failure> {
    let kind = event.kind();
    let name = if kind == "build-finished" { "finished" } else { "new" };
    let master = event.master();
    let context = Context::default().with("event", kind).with("event_name", name).with("buildbot_title", master.title).with("buildbot_url", master.url);
    match ask(slot, event.subjects(None), context) {
        Ok(Document(answer)) => Ok(Some(answer)),
        Err(failure) if failure.again => Err(failure),
        Err(failure) => {
            log(Level::Error, &failure.message);
            Ok(None)
        }
    }
}

reporter_sdk::export_reporter!(HipchatStatusPush);

#[cfg(test)]
mod tests;
