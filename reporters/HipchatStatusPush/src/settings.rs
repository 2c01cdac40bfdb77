//! The arguments, and the plan that they make.

use std::collections::BTreeMap;

use reporter_sdk::endpoint::{BaseUrl, HttpSettings};
use reporter_sdk::filter::BuildersSetting;
use reporter_sdk::kinds::EventsSetting;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::settings::{Table, pointer};
use reporter_sdk::slot::{OnlyComponent, Slot};
use reporter_sdk::want::WantSettings;
use serde_json::Value;

use crate::{HipchatStatusPush, Hooks};

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// Bytes of an id or a name; HipChat's have 50 characters.
const MOST_ID: usize = 1_000;
const HIPCHAT: &str = "https://api.hipchat.com";
/// Kinds of event that it reports.
const EVENTS: [&str; 2] = ["build-started", "build-finished"];

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// An API token with the scopes Send Message and Send Notification
    auth_token: String,
    /// The HipChat server (default "https://api.hipchat.com", which is gone)
    #[serde(default)]
    endpoint: Option<String>,
    /// Builder → id or name of the room that is told
    #[serde(default)]
    builder_room_map: Table,
    /// Builder → id or mail address of the person who is told
    #[serde(default)]
    builder_user_map: Table,
    /// Accepted; Buildbot never looked at it
    #[serde(default, rename = "event_messages")]
    _event_messages: Table,
    /// Where messages go, from a component instead of the maps
    #[serde(default, rename = "getRecipientList")]
    #[schemars(extend("x-slot" = "chat-recipients"))]
    get_recipient_list: Option<Slot<OnlyComponent>>,
    /// What a message says, from a component
    #[serde(default, rename = "getMessage")]
    #[schemars(extend("x-slot" = "chat-message"))]
    get_message: Option<Slot<OnlyComponent>>,
    /// Further members of the JSON (color, notify …), from a component
    #[serde(default, rename = "getExtraParams")]
    #[schemars(extend("x-slot" = "chat-params"))]
    get_extra_params: Option<Slot<OnlyComponent>>,
    #[serde(flatten)]
    builders: BuildersSetting,
    #[serde(flatten)]
    events: EventsSetting,
    #[serde(flatten)]
    want: WantSettings,
    #[serde(flatten)]
    http: HttpSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(HipchatStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(BaseUrl::api(self.endpoint.as_deref(), HIPCHAT, "/endpoint"));
        let rooms = problems.take(ids(&self.builder_room_map, "/builder_room_map"));
        let users = problems.take(ids(&self.builder_user_map, "/builder_user_map"));
        let events = problems.take(self.events.compile(&EVENTS, &EVENTS));
        let want = problems.take(self.want.compile(false, ""));
        if self.auth_token.is_empty() {
            problems.add("/auth_token", "this is an API token: write auth_token = { secret = \"…\" }");
        }
        let hooks = Hooks { recipients: self.get_recipient_list.is_some(), message: self.get_message.is_some(), params: self.get_extra_params.is_some() };
        if rooms.is_empty() && users.is_empty() && !hooks.recipients {
            // As the page's example, which is complete and does nothing.
            log(Level::Warn, "nobody is ever told: write builder_room_map = { BUILDER = \"ROOM\" }, builder_user_map, or getRecipientList");
        }
        let plan = Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(url.endpoint(None, &self.http))).uses(want.words().iter().copied());
        problems.or((HipchatStatusPush { token: self.auth_token, rooms, users, filter: self.builders.into(), hooks }, plan))
    }
}

/// Whether this can be a part of a path, also for a server that takes `%2F` for a slash.
pub fn is_id(text: &str) -> bool {
    text.len() <= MOST_ID && text.split('/').all(|part| !["", ".", ".."].contains(&part))
}

fn ids(map: &Table, at: &str) -> Result<BTreeMap<String, String>, Problems> {
    let mut problems = Problems::default();
    let mut ids = BTreeMap::new();
    for (builder, id) in map {
        match id {
            Value::String(id) if is_id(id) => ids.insert(builder.clone(), id.clone()),
            Value::Number(id) => ids.insert(builder.clone(), id.to_string()),
            _ => {
                problems.add(pointer(at, builder), "write an id, a number or a name");
                None
            }
        };
    }
    problems.or(ids)
}
