//! Holds what our reporters send against what real Buildbot masters sent, build by build.
//!
//! The cases are those beside this file, or those in the folder that `CONFORMANCE_CASES` names (the same layout: README.md).
//! A difference that `deviations.rs` does not name is a failure. `CONFORMANCE_SHOW=n` prints the first n of each reporter.

mod answers;
mod case;
mod compare;
mod deviations;
mod facts;
mod gerrit;
mod judge;
mod recorder;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use case::{Case, World};
use deviations::DEVIATIONS;
use judge::Tally;
use recorder::Recorder;
use reporter_host::host::{Wires, Workbench, diagnostics};
use reporter_host::sandbox::Occasion;
use reporter_host::tenant::settings::load;
use reporter_host::tenant::{Components, Entry};
use reporter_host::transport::{Attempt, Auth, Endpoint, EndpointKind, Payload, Transport};
use serde_json::json;

use crate::judge::Ours;

/// A recorded Buildbot.
struct Version {
    name: &'static str,
    settings: &'static str,
    url: &'static str,
    token: &'static str,
}

const VERSIONS: [Version; 2] = [
    Version { name: "buildbot-4.3", settings: include_str!("buildbot-4.3.toml"), url: "http://127.0.0.1:38410/", token: "gh-token" },
    Version { name: "buildbot-2.6", settings: include_str!("buildbot-2.6.toml"), url: "http://127.0.0.1:38610/", token: "gh" },
];

#[tokio::main]
async fn main() -> ExitCode {
    // Cargo asks every test binary for its list.
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let root = std::env::var_os("CONFORMANCE_CASES").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/recordings"), PathBuf::from);
    let (mut passed, mut failed) = (0, 0);
    let mut used = BTreeSet::new();
    for version in &VERSIONS {
        match run(version, &root).await {
            Ok(None) => {}
            Ok(Some(tally)) => {
                tally.print(version.name);
                used.append(&mut tally.used());
                passed += tally.passed();
                failed += tally.failed();
            }
            Err(error) => {
                println!("{}: {error}", version.name);
                failed += 1;
            }
        }
    }
    // Other recordings need not meet all of them; the project's own do.
    if std::env::var_os("CONFORMANCE_CASES").is_none() {
        for deviation in DEVIATIONS.iter().filter(|deviation| !used.contains(deviation.name)) {
            println!("\nnothing deviates as {} says: take it out of deviations.rs", deviation.name);
            failed += 1;
        }
    }
    if passed + failed == 0 {
        println!("{}: no recording in it; the layout is {}/cases/NAME/build.json", root.display(), VERSIONS[0].name);
        failed = 1;
    }
    println!("\ntest result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out", if failed == 0 { "ok" } else { "FAILED" });
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs all cases of a version; none if the root has none.
async fn run(version: &Version, root: &Path) -> Result<Option<Tally>, String> {
    let folder = root.join(version.name).join("cases");
    let Ok(cases) = std::fs::read_dir(&folder) else { return Ok(None) };
    let mut cases: Vec<PathBuf> = cases.flatten().map(|case| case.path()).filter(|path| path.join("build.json").exists()).collect();
    cases.sort();
    let (recorder, http, smtp) = Recorder::start().await.map_err(|error| error.to_string())?;
    let host = Settled::new(version, &recorder, &format!("http://{http}"), smtp.port()).await?;
    let config = json!({"title": "Oracle Töst & <Co>", "titleURL": version.url, "buildbotURL": version.url});
    let mut world = World::of(&root.join(version.name))?;
    for path in &cases {
        world.add(path)?;
    }
    recorder.answers(world.answers.clone());
    let mut tally = Tally::new(host.names());
    for path in &cases {
        let case = Case::read(path, &config, &world)?;
        let mut ours = Vec::new();
        for moment in &case.moments {
            let details = moment.details();
            for entry in host.entries.iter().filter(|entry| entry.follows(&moment.event)) {
                let reporter = reporter(&entry.service.name);
                // Buildbot takes a pull request of any server for one of base_url's.
                let is_moved = reporter.starts_with("bbserver-pr");
                let moved = is_moved.then(|| moment.clone().on_bitbucket(&format!("http://{http}/{reporter}")).details());
                let (sent, problem) = host.report(entry, moved.as_ref().unwrap_or(&details), &recorder).await;
                let event = moment.event.id.split_once('/').map_or("", |(_, event)| event).to_owned();
                ours.extend(sent.into_iter().map(|sent| Ours { reporter: sender(&reporter, &sent), event: event.clone(), sent }));
                // That the recorded GitLab has no such project is told to the operator; that nothing is sent is compared like everything else.
                if let Some(problem) = problem.filter(|problem| !problem.starts_with("GitLab has no project ")) {
                    tally.problem(&reporter, &format!("{} {event}: {problem}", case.name));
                }
            }
        }
        tally.judge(&case, ours);
    }
    Ok(Some(tally))
}

/// `mail-multi.2` is a second entry of what is one reporter there.
fn reporter(entry: &str) -> String {
    entry.rsplit_once('.').filter(|(_, n)| n.chars().all(|c| c.is_ascii_digit())).map_or(entry, |(name, _)| name).to_owned()
}

/// Questions for tokens are recorded under a name of their own.
fn sender(reporter: &str, sent: &wire::Sent) -> String {
    let tokens = tokens(reporter);
    let place = sent.value()["path"].as_str().and_then(|path| path.split('/').nth(1));
    if place == Some(tokens.as_str()) { tokens } else { reporter.to_owned() }
}

fn tokens(reporter: &str) -> String {
    format!("{reporter}-oauth")
}

/// A host's entries and transports, without a store.
struct Settled {
    entries: Vec<Entry>,
    wires: Wires,
    _folder: tempfile::TempDir,
}

impl Settled {
    async fn new(version: &Version, recorder: &Recorder, http: &str, smtp: u16) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join("settings.toml");
        let mut text = version.settings.replace("\"HTTP/", &format!("\"{http}/")).replace("smtpPort = SMTP", &format!("smtpPort = {smtp}"));
        for (recorded, port) in gerrit::start(recorder, folder.path()).await? {
            text = text.replace(&format!("port = {recorded}\n"), &format!("port = {port}\n"));
        }
        for (path, bytes) in
            [(file.clone(), text.as_bytes()), (folder.path().join("pick.wasm"), test_guests::PICK), (folder.path().join("github"), version.token.as_bytes())]
        {
            std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let workbench = Workbench::new().map_err(|error| error.to_string())?;
        let settings = load(&file, &Components::new(workbench.loader.clone())).map_err(|report| report.render(false))?;
        let wires = Wires::new(&settings).map_err(|error| error.to_string())?;
        let shared = workbench.shared(&wires);
        let mut entries = Vec::new();
        for service in &settings.services {
            let entry = Entry::new(service.clone(), &shared).await;
            entries
                .push(entry.map_err(|error| diagnostics(&settings, &service.name, &error).iter().map(|it| it.render(false)).collect::<Vec<_>>().join("\n"))?);
        }
        Ok(Self { entries, wires, _folder: folder })
    }

    fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in &self.entries {
            let reporter = reporter(&entry.service.name);
            let asks = |endpoint: &Endpoint| matches!(&endpoint.kind, EndpointKind::Http(http) if matches!(http.auth, Auth::OAuth2 { .. }));
            if entry.plan.endpoints.values().any(|endpoint| asks(endpoint)) {
                names.insert(tokens(&reporter));
            }
            names.insert(reporter);
        }
        names
    }

    /// What an entry sends for an event, and what went wrong with it.
    async fn report(&self, entry: &Entry, details: &Arc<reporter_host::event::Details>, recorder: &Recorder) -> (Vec<wire::Sent>, Option<String>) {
        let unit = details.event.id.clone();
        let ran = entry
            .reporter
            .report(Occasion {
                entry: entry.view.clone(),
                details: details.clone(),
                state: BTreeMap::new(),
                awaited: Vec::new(),
                unit,
                patience: Duration::MAX,
            })
            .await;
        let mut problem = ran.answer.err().map(|error| error.to_string());
        for send in ran.sends {
            let Some(endpoint) = entry.view.endpoints.get(&send.endpoint) else { continue };
            let attempt = Attempt {
                id: &send.uid,
                entry: &send.entry,
                title: "",
                endpoint,
                payload: &send.payload,
                vault: entry.view.vault.as_ref(),
                timeout: Duration::from_secs(20),
            };
            let answer = match send.payload.as_ref() {
                Payload::Http(_) => self.wires.http.attempt(attempt).await,
                Payload::Smtp(_) => self.wires.smtp.attempt(attempt).await,
                Payload::Irc(_) => self.wires.irc.attempt(attempt).await,
                Payload::Master(_) => self.wires.master.attempt(attempt).await,
                Payload::Ssh(_) => self.wires.ssh.attempt(attempt).await,
            };
            problem = problem.or(answer.error.map(|error| error.message));
        }
        (recorder.take(), problem)
    }
}
