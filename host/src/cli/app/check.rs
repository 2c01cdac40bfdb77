//! `check`: every entry by itself, so that one that is wrong does not hide the others.

use std::time::Duration;

use crate::cli::check::{Checked, Line};
use crate::cli::wiring::Tell;
use crate::host::{Wires, Workbench, diagnostics, master};
use crate::tenant::Entry;
use crate::tenant::settings::{Settings, SourceKind};
use crate::transport::policy::{Level, Policy};
use crate::transport::{Auth, EndpointKind, HttpEndpoint};

/// Hosts that the page has as defaults and that are no more: what to write instead.
const GONE: [(&str, &str); 2] = [
    ("api.hipchat.com", "HipChat's own service has ended, only a compatible server of your own will answer: write its URL as `endpoint`"),
    ("api.pushjet.io", "Pushjet's own service has ended, only a compatible server of your own will answer: write its URL as `base_url`"),
];

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(20);

pub(super) async fn check(workbench: &Workbench, settings: &Settings, connect: bool, tell: Tell<Checked>) -> Result<(), String> {
    let wires = Wires::new(settings).map_err(super::words)?;
    let shared = workbench.shared(&wires);
    let line = |entry: &str, part: String, ok: bool, text: String| tell(Checked::Line(Line { entry: entry.to_owned(), part, ok, text }));
    for source in &settings.sources {
        if let SourceKind::Master(of) = &source.kind {
            if let Some(why) = refused(settings, Level::Operator, of.url.host_str()) {
                line(&source.name, "master".into(), false, why);
            } else if connect {
                let (ok, text) = match master(source, settings) {
                    Ok(master) => said(master.check().await),
                    Err(error) => (false, error.to_string()),
                };
                line(&source.name, "master".into(), ok, text);
            }
        }
    }
    for service in &settings.services {
        let name = &service.name;
        let entry = match Entry::new(service.clone(), &shared).await {
            Ok(entry) => entry,
            Err(error) => {
                diagnostics(settings, name, &error).into_iter().for_each(|diagnostic| tell(Checked::Refused(diagnostic)));
                continue;
            }
        };
        let events: Vec<_> = entry.plan.events.iter().map(|kind| kind.as_str()).collect();
        line(name, "events".into(), true, events.join(", "));
        entry.plan.warnings().for_each(|warning| line(name, Line::WARNING.into(), true, warning.to_owned()));
        for endpoint in entry.plan.endpoints.values() {
            let part = format!("endpoint {}", endpoint.name);
            let mut destination = endpoint.destination();
            if let EndpointKind::Http(HttpEndpoint { auth: Auth::OAuth2 { token_url, .. }, .. }) = &endpoint.kind {
                destination = format!("{destination}, with tokens from {token_url}");
            }
            if let Some((_, why)) = GONE.iter().find(|(host, _)| destination.contains(host)) {
                destination = format!("{destination} ({why})");
            }
            let host = url::Url::parse(&endpoint.destination()).ok();
            if let Some(why) = refused(settings, endpoint.level, host.as_ref().and_then(url::Url::host_str)) {
                line(name, part, false, format!("{destination}: {why}"));
                continue;
            }
            if !connect {
                line(name, part, true, destination);
                continue;
            }
            let vault = service.vault.as_ref();
            let answer = match &endpoint.kind {
                EndpointKind::Http(_) => wires.http.at(endpoint).check_connect(endpoint, vault, CONNECT).await,
                EndpointKind::Irc(_) => wires.irc.check_connect(endpoint, vault, CONNECT).await,
                EndpointKind::Master(name) => Ok(format!("control calls on {name}")),
                EndpointKind::Smtp(_) => wires.smtp.at(endpoint).check_connect(endpoint, vault, CONNECT).await,
                EndpointKind::Ssh(_) => wires.ssh.at(endpoint).check_connect(endpoint, vault, CONNECT).await,
            };
            let (ok, text) = said(answer);
            line(name, part, ok, format!("{destination}: {text}"));
        }
    }
    Ok(())
}

/// Why an address may not be connected to, as far as that can be told without asking for a name.
fn refused(settings: &Settings, level: Level, host: Option<&str>) -> Option<String> {
    let host = host?.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse().ok()?;
    let policy = if level == Level::Strict { Policy::strict() } else { Policy::operator() };
    let policy = policy.with_lists(&settings.network.allow, &settings.network.deny).ok()?;
    policy.check(address).err().map(|denied| denied.to_string())
}

fn said(answer: Result<String, String>) -> (bool, String) {
    match answer {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    }
}
