//! Plans: what `configure` answered, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::fallback::Fallback;
use super::log::shortened;
use super::reporter::exports::reporter_host::reporter::component as exported;
use crate::event::Kind;
use crate::transport::http::check_endpoint;
use crate::transport::irc::check_endpoint as check_irc;
use crate::transport::policy::Level;
use crate::transport::ssh::check_endpoint as check_ssh;
use crate::transport::{Endpoint, EndpointKind, check_updates};

/// Endpoints that one plan may have.
const ENDPOINTS: usize = 16;
/// Bytes of an endpoint's name.
const NAME: usize = 100;

/// What a component will do with its settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Where it will send.
    pub endpoints: BTreeMap<String, Arc<Endpoint>>,
    /// What the host sends by itself when the component fails.
    pub fallback: Option<Fallback>,
    /// Kinds of event that wake it.
    pub events: BTreeSet<Kind>,
    /// Whether it keeps state, and so is called for one thing at a time.
    pub state: bool,
    /// What it said of its settings while it made this: level and text.
    pub said: Vec<(String, String)>,
}

impl Plan {
    /// What the operator is to hear of the settings.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.said.iter().filter(|(level, _)| level == "warn" || level == "error").map(|(_, text)| text.as_str())
    }
}

/// Something wrong in the settings, as the component said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON Pointer to the setting.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

/// Why a plan was not taken: the component's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component's plan is wrong: {0}")]
pub struct PlanError(pub String);

impl Plan {
    /// Checks a plan.
    ///
    /// # Errors
    /// An unknown kind of endpoint, settings that do not fit it, a name given twice, or a fallback that could not be sent.
    pub fn check(plan: exported::Plan) -> Result<Self, PlanError> {
        let mut checked = Self { state: plan.uses.iter().any(|word| word == "state"), ..Self::default() };
        checked.events = plan.events.iter().filter_map(|word| Kind::parse(word)).collect();
        if plan.endpoints.len() > ENDPOINTS {
            return Err(PlanError(format!("it has more than {ENDPOINTS} endpoints")));
        }
        for given in plan.endpoints {
            let name = given.name.clone();
            checked.add(given).map_err(|what| PlanError(shortened(format!("endpoint {name:?}: {what}"))))?;
        }
        Ok(checked)
    }

    fn add(&mut self, given: exported::Endpoint) -> Result<(), String> {
        let name = given.name;
        if name.is_empty() || name.len() > NAME || name.contains(char::is_control) {
            return Err(format!("a name has 1 to {NAME} bytes and no control characters"));
        }
        let said = |error: serde_json::Error| error.to_string();
        let mut settings: Value = serde_json::from_str(&given.settings).map_err(said)?;
        let members = settings.as_object_mut().ok_or("its settings are not an object")?;
        let fallback = members.remove("fallback");
        let kind = match given.kind.as_str() {
            "http" => EndpointKind::Http(serde_json::from_value(settings).map_err(said)?),
            "smtp" => EndpointKind::Smtp(serde_json::from_value(settings).map_err(said)?),
            "irc" => EndpointKind::Irc(serde_json::from_value(settings).map_err(said)?),
            "ssh" => EndpointKind::Ssh(serde_json::from_value(settings).map_err(said)?),
            other => return Err(format!("its kind {other:?} is not one of http, smtp, irc, ssh")),
        };
        if let EndpointKind::Http(http) = &kind {
            check_endpoint(http).map_err(|wrong| wrong.to_string())?;
            http.updates.as_ref().map_or(Ok(()), check_updates).map_err(|wrong| format!("updates: {wrong}"))?;
        }
        if let EndpointKind::Irc(irc) = &kind {
            check_irc(irc)?;
        }
        if Endpoint::master_of(&name).is_some() {
            return Err("names that begin with \"master:\" are the host's".into());
        }
        if let EndpointKind::Ssh(ssh) = &kind {
            check_ssh(ssh)?;
        }
        let endpoint = Endpoint { name: name.clone(), kind, level: Level::default() };
        if let Some(fallback) = fallback {
            if let Some(other) = &self.fallback {
                return Err(format!("endpoint {:?} has a fallback already, and a plan has one", other.endpoint));
            }
            self.fallback = Some(Fallback::check(&endpoint, fallback).map_err(|wrong| format!("fallback: {wrong}"))?);
        }
        match self.endpoints.insert(name, Arc::new(endpoint)) {
            Some(_) => Err("the name is given twice".into()),
            None => Ok(()),
        }
    }
}
