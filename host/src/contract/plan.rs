//! Plans: what `configure` answered, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::reporter::exports::reporter_host::reporter::component as exported;
use crate::event::Kind;
use crate::transport::policy::Level;
use crate::transport::{Endpoint, EndpointKind, Payload};

/// Endpoints that one plan may have.
const ENDPOINTS: usize = 16;

/// What a component will do with its settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Where it will send.
    pub endpoints: BTreeMap<String, Arc<Endpoint>>,
    /// What the host sends by itself when the component fails.
    pub fallback: Option<Fallback>,
    /// Kinds of event that wake it.
    pub events: BTreeSet<Kind>,
    /// Whether its events are handled one after another.
    pub state: bool,
}

/// The plain message for when the component fails: `fallback` in an endpoint's settings. `{text}`
/// and `{subject}` in its texts are replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Where to.
    pub endpoint: String,
    /// What.
    pub payload: Payload,
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
    /// An unknown kind of endpoint, settings that do not fit it, or a name given twice.
    pub fn check(plan: exported::Plan) -> Result<Self, PlanError> {
        let mut checked = Self { state: plan.uses.iter().any(|word| word == "state"), ..Self::default() };
        checked.events = plan.events.iter().filter_map(|word| Kind::parse(word)).collect();
        if plan.endpoints.len() > ENDPOINTS {
            return Err(PlanError(format!("it has more than {ENDPOINTS} endpoints")));
        }
        for given in plan.endpoints {
            let name = given.name;
            let wrong = |what: &dyn std::fmt::Display| PlanError(format!("endpoint {name:?}: {what}"));
            let mut settings: Value = serde_json::from_str(&given.settings).map_err(|error| wrong(&error))?;
            let members = settings.as_object_mut().ok_or_else(|| wrong(&"its settings are not an object"))?;
            if let Some(fallback) = members.remove("fallback") {
                let mut payload = fallback;
                if let Some(payload) = payload.as_object_mut() {
                    payload.insert("kind".into(), given.kind.as_str().into());
                }
                let payload = Payload::deserialize(payload).map_err(|error| wrong(&format!("fallback: {error}")))?;
                checked.fallback = Some(Fallback { endpoint: name.clone(), payload });
            }
            let kind = match given.kind.as_str() {
                "http" => EndpointKind::Http(serde_json::from_value(settings).map_err(|error| wrong(&error))?),
                "smtp" => EndpointKind::Smtp(serde_json::from_value(settings).map_err(|error| wrong(&error))?),
                other => return Err(wrong(&format!("its kind {other:?} is not one of http, smtp"))),
            };
            if let EndpointKind::Http(http) = &kind
                && (!matches!(http.base_url.scheme(), "http" | "https") || http.base_url.host_str().is_none())
            {
                return Err(wrong(&format!("{} is not an http or https URL", http.base_url)));
            }
            let endpoint = Arc::new(Endpoint { name: name.clone(), kind, level: Level::default() });
            if checked.endpoints.insert(name.clone(), endpoint).is_some() {
                return Err(wrong(&"the name is given twice"));
            }
        }
        Ok(checked)
    }
}
