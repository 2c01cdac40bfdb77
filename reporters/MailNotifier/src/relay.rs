//! The endpoint: the relay and how it is spoken to.

use reporter_sdk::prelude::*;
use serde_json::{Value, json};

use crate::settings::Settings;

/// The only endpoint's name in the plan.
pub const RELAY: &str = "relay";

/// The endpoint's settings.
///
/// # Errors
///
/// What contradicts itself, or is no host.
pub fn endpoint(settings: &Settings) -> Result<Value, Problems> {
    let mut problems = Problems::default();
    if settings.use_tls && settings.use_smtps {
        problems.add("/useTls", "useTls is STARTTLS, useSmtps is TLS from the first byte: leave one of them out");
    }
    if settings.relayhost.is_empty() || settings.relayhost.contains([' ', '/']) {
        problems.add("/relayhost", "write the name of a host, and its port as smtpPort");
    }
    let tls = match (settings.use_smtps, settings.use_tls) {
        (true, _) => "implicit",
        (_, true) => "starttls",
        _ => "opportunistic",
    };
    let mut endpoint = json!({"host": settings.relayhost, "port": settings.smtp_port, "tls": tls});
    match (&settings.smtp_user, &settings.smtp_password) {
        (Some(user), Some(password)) => {
            endpoint["user"] = json!(user);
            endpoint["password"] = json!(password);
        }
        (None, None) => {}
        (Some(_), None) => problems.add("/smtpUser", "a user needs a password: write smtpPassword = { secret = \"name\" } as well"),
        (None, Some(_)) => problems.add("/smtpPassword", "a password needs a user: write smtpUser as well"),
    }
    if let Some(verify) = &settings.verify {
        endpoint["verify"] = verify.0.clone();
    }
    if settings.dump_mails_to_log {
        endpoint["dump"] = json!(true);
    }
    problems.or(endpoint)
}
