//! MailNotifier: a mail when a build, or a buildset, ends, and when a worker goes missing.

mod address;
mod headers;
mod recipients;
mod settings;
#[cfg(test)]
mod tests;

use reporter_sdk::filter::Filter;
use reporter_sdk::message::{Message, MessageFormatter};
use reporter_sdk::missing::MissingWorkerFormatter;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::slot::Slot;
use reporter_sdk::smtp;
use reporter_sdk::subject::{About, SubjectFormat, one_line};
use reporter_sdk::watched::WatchedWorkers;
use serde_json::{Value, json};

use headers::Headers;
use recipients::{Envelope, Recipients, Subject};
pub use settings::{AddLogs, Lookup, Settings};

/// The reporter, configured.
#[derive(Debug)]
pub struct MailNotifier {
    from: String,
    filter: Filter,
    recipients: Recipients,
    subject: SubjectFormat,
    headers: Headers,
    add_logs: AddLogs,
    add_patch: bool,
    message: MessageFormatter,
    watched: WatchedWorkers,
    missing: MissingWorkerFormatter,
}

/// The only endpoint.
const RELAY: &str = "relay";

impl Reporter for MailNotifier {
    type Settings = Settings;
    const NAME: &'static str = "MailNotifier";
    const DESCRIPTION: &'static str = "Sends a mail when a build ends or a worker goes missing";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        let mut problems = Problems::default();
        let endpoint = problems.take(endpoint(&settings));
        if !address::is_sender(&settings.fromaddr) {
            problems.add("/fromaddr", format!("{:?} is no address: write \"buildbot@example.org\" or \"Buildbot <buildbot@example.org>\"", settings.fromaddr));
        }
        let (extra, list) = settings.extra_recipients.map_or_else(|| (Vec::new(), true), |extra| (extra.items, extra.list));
        for (n, recipient) in extra.iter().enumerate().filter(|(_, recipient)| !address::is_valid(recipient)) {
            let at = if list { format!("/extraRecipients/{n}") } else { "/extraRecipients".into() };
            problems.add(at, format!("{recipient:?} is no address: write \"list@example.org\" or \"The list <list@example.org>\""));
        }
        if let Some(Slot::Own(Lookup::Table(table))) = &settings.lookup {
            for (user, address) in table.iter().filter(|(_, address)| !address::is_valid(address)) {
                problems.add(reporter_sdk::settings::pointer("/lookup", user), format!("{address:?} is no address"));
            }
        }
        if settings.message_formatter_missing_worker.is_some() && settings.message_formatter_missing_workers.is_some() {
            problems.add("/messageFormatterMissingWorkers", "this is messageFormatterMissingWorker once more: leave one of them out");
        }
        let filter = problems.take(settings.filter.compile(&["failing", "passing", "warnings"]));
        let headers = problems.take(Headers::compile(settings.extra_headers));
        let subject = collect(&mut problems, SubjectFormat::compile(settings.subject));
        let message = collect(&mut problems, MessageFormatter::compile(settings.message_formatter, settings.build_additional_context.is_some()));
        let missing = settings.message_formatter_missing_worker.or(settings.message_formatter_missing_workers);
        let missing = collect(&mut problems, MissingWorkerFormatter::compile(missing));
        let (Some(subject), Some(message), Some(missing), []) = (subject, message, missing, &problems.0[..]) else {
            return Err(problems);
        };

        let mut events = vec![if settings.filter.build_set_summary { "buildset-complete" } else { "build-finished" }];
        if !settings.watched_workers.is_none() {
            events.push("worker-missing");
        }
        let mut plan = Plan::events(events).endpoint(RELAY, "smtp", endpoint).uses(message.words().iter().copied());
        // Who is responsible for a build is not known without looking at it.
        if !extra.is_empty() {
            let body = json!([{"content_type": "text/plain", "text": "{text}"}]);
            plan = plan.fallback(RELAY, json!({"sender": settings.fromaddr, "to": extra, "subject": "{subject}", "body": body}));
        }
        let recipients = Recipients {
            interested: settings.send_to_interested_users,
            extra,
            lookup: settings.lookup,
            users_hook: settings.get_responsible_users_for_build.is_some(),
            recipients_hook: settings.get_recipients.is_some(),
        };
        let (add_logs, add_patch, watched) = (settings.add_logs, settings.add_patch, settings.watched_workers);
        Ok((Self { from: settings.fromaddr, filter, recipients, subject, headers, add_logs, add_patch, message, watched, missing }, plan))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        match event.kind() {
            "build-finished" => {
                let builds = event.builds();
                let Some(build) = builds.first() else { return skip("the event has no build") };
                match self.filter.decide(build) {
                    Ok(()) => self.mail_builds(event, builds, &[0], false),
                    Err(reason) => skip(reason),
                }
            }
            "buildset-complete" => {
                let builds = event.builds();
                match self.filter.decide_set(builds) {
                    Ok(chosen) => self.mail_builds(event, builds, &chosen, true),
                    Err(reason) => skip(reason),
                }
            }
            "worker-missing" => self.mail_worker(event),
            kind => skip(format!("MailNotifier does not report {kind}")),
        }
    }
}

/// The value, or its problems added to the others.
fn collect<T>(problems: &mut Problems, result: Result<T, Problems>) -> Option<T> {
    result.map_err(|found| problems.0.extend(found.0)).ok()
}

fn skip(reason: impl Into<String>) -> Result<Outcome, Failure> {
    Ok(Outcome::Skipped(reason.into()))
}

fn endpoint(settings: &Settings) -> Result<Value, Problems> {
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

impl MailNotifier {
    fn mail_builds(&self, event: &Event, builds: &[Build], chosen: &[usize], is_buildset: bool) -> Result<Outcome, Failure> {
        let mode = self.filter.mode();
        let envelope = self.recipients.of(&Subject { event, builds, positions: chosen, mode, is_buildset })?;
        if envelope.is_empty() {
            return skip("nobody would get the mail: no responsible user has an address, and there are no extraRecipients");
        }
        let Some(first) = chosen.first().and_then(|n| builds.get(*n)) else { return skip("there is no build") };
        let message = self.message.or_plain(event, chosen, mode, is_buildset)?;
        let about = About::of(event, first, is_buildset);
        let subject = match &message.subject {
            Some(subject) => subject.clone(),
            None => self.subject.about(&about, &event.master().title)?,
        };
        let headers = self.headers.render(first)?;
        let attachments = self.attachments(chosen.iter().filter_map(|n| builds.get(*n)), chosen.len() > 1);
        self.send(message, subject, envelope, headers, attachments, &about.title);
        Ok(Outcome::Sent)
    }

    fn mail_worker(&self, event: &Event) -> Result<Outcome, Failure> {
        let Some(worker) = event.worker() else { return skip("the event has no worker") };
        let name = worker.name();
        if !self.watched.includes(&name) {
            return skip(format!("worker {name} is not in watchedWorkers"));
        }
        let envelope = recipients::of_worker(worker.notify());
        if envelope.is_empty() {
            return skip(format!("nobody is to be told: worker {name} has no address in notify_on_missing"));
        }
        let message = self.missing.worker(event)?;
        let subject = message.subject.clone().unwrap_or_default();
        let headers = self.headers.render(&worker)?;
        self.send(message, subject, envelope, headers, Vec::new(), &format!("missing worker {name}"));
        Ok(Outcome::Sent)
    }

    fn attachments<'a>(&self, builds: impl Iterator<Item = &'a Build> + Clone, several: bool) -> Vec<smtp::Attachment> {
        let mut attachments = Vec::new();
        if self.add_patch {
            let mut seen = Vec::new();
            for patch in builds.clone().flat_map(Build::sourcestamps).map(|stamp| stamp["patch"].clone()).filter(Value::is_object) {
                // The builds of a set share their source stamps.
                if seen.contains(&patch) {
                    continue;
                }
                match patch["body"].as_str() {
                    Some(body) => attachments.push(attachment(format!("source patch {}", seen.len()), smtp::Content::Bytes(body.as_bytes().to_vec()))),
                    None => log(Level::Info, "a patch is not attached: the master does not hand it out"),
                }
                seen.push(patch);
            }
        }
        if self.add_logs != AddLogs::None {
            for build in builds {
                let prefix = if several { format!("{}.", build.builder()) } else { String::new() };
                for step in build.steps() {
                    let name = step.name();
                    let wanted = step.logs().into_iter().filter(|log| log.kind() != "d" && self.add_logs.includes(&name, &log.name()));
                    attachments.extend(wanted.map(|log| attachment(format!("{prefix}{name}.{}", log.name()), smtp::Content::Log(log))));
                }
            }
        }
        attachments
    }

    fn send(&self, message: Message, subject: String, envelope: Envelope, headers: Vec<(String, String)>, attachments: Vec<smtp::Attachment>, about: &str) {
        let mut body = message.body;
        while !body.ends_with("\n\n") {
            body.push('\n');
        }
        let terms = Terms::titled(one_line(&format!("{about} to {}", envelope.summary())));
        let mail = smtp::Message {
            endpoint: RELAY.into(),
            sender: self.from.clone(),
            to: envelope.to,
            cc: envelope.cc,
            bcc: envelope.bcc,
            subject: one_line(&subject),
            headers,
            body: vec![(format!("text/{}", message.kind.as_str()), body)],
            attachments,
        };
        smtp::send(mail, terms);
    }
}

fn attachment(filename: String, content: smtp::Content) -> smtp::Attachment {
    smtp::Attachment { filename: one_line(&filename), content_type: "text/plain; charset=utf-8".into(), content }
}

reporter_sdk::export_reporter!(MailNotifier);
