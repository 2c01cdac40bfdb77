//! `check`: every entry by itself, so that one that is wrong does not hide the others.

use std::time::Duration;

use crate::cli::check::{Checked, Line};
use crate::cli::wiring::Tell;
use crate::host::{Wires, Workbench, diagnostics, master};
use crate::tenant::Entry;
use crate::tenant::settings::{Settings, SourceKind};
use crate::transport::policy::{Level, Policy};
use crate::transport::{Auth, EndpointKind, HttpEndpoint, Reached, shown_url};

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
    let line = |entry: &str, part: String, found: Result<Reached, String>| {
        let (ok, Reached { text, doubt }) = match found {
            Ok(reached) => (true, reached),
            Err(text) => (false, Reached::well(text)),
        };
        tell(Checked::Line(Line { entry: entry.to_owned(), part, ok, warning: doubt, text }));
    };
    for source in &settings.sources {
        if let SourceKind::Master(of) = &source.kind {
            if let Some(why) = refused(settings, Level::Operator, of.url.host_str()) {
                line(&source.name, "master".into(), Err(why));
            } else if connect {
                let found = match master(source, settings) {
                    Ok(master) => master.check().await.map(Reached::well),
                    Err(error) => Err(error.to_string()),
                };
                line(&source.name, "master".into(), found);
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
        line(name, "events".into(), Ok(Reached::well(events.join(", "))));
        for warning in entry.plan.warnings() {
            line(name, "settings".into(), Ok(Reached { text: warning.to_owned(), doubt: true }));
        }
        let vault = service.vault.as_ref();
        let scrubber = vault.scrubber();
        for endpoint in entry.plan.endpoints.values() {
            let part = format!("endpoint {}", endpoint.name);
            let mut destination = scrubber.text(&endpoint.shown());
            if let EndpointKind::Http(HttpEndpoint { auth: Auth::OAuth2 { token_url, .. }, .. }) = &endpoint.kind {
                destination = format!("{destination}, with tokens from {}", scrubber.text(&shown_url(token_url)));
            }
            if let Some((_, why)) = GONE.iter().find(|(host, _)| destination.contains(host)) {
                destination = format!("{destination} ({why})");
            }
            let host = url::Url::parse(&endpoint.destination()).ok();
            if let Some(why) = refused(settings, endpoint.level, host.as_ref().and_then(url::Url::host_str)) {
                line(name, part, Err(format!("{destination}: {why}")));
                continue;
            }
            if !connect {
                line(name, part, Ok(Reached::well(destination)));
                continue;
            }
            let found = match &endpoint.kind {
                EndpointKind::Http(_) => wires.http.at(endpoint).check_connect(endpoint, vault, CONNECT).await,
                EndpointKind::Irc(_) => wires.irc.check_connect(endpoint, vault, CONNECT).await.map(Reached::well),
                EndpointKind::Master(name) => Ok(Reached::well(format!("control calls on {name}"))),
                EndpointKind::Smtp(_) => wires.smtp.at(endpoint).check_connect(endpoint, vault, CONNECT).await.map(Reached::well),
                EndpointKind::Ssh(_) => wires.ssh.at(endpoint).check_connect(endpoint, vault, CONNECT).await.map(Reached::well),
            };
            let about = |text: String| format!("{destination}: {text}");
            line(name, part, found.map(|reached| Reached { text: about(reached.text), ..reached }).map_err(about));
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
