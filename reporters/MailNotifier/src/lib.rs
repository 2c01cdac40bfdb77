//! MailNotifier: a mail when a build, or a buildset, ends, and when a worker goes missing.

mod address;
mod attach;
mod bound;
mod digest;
mod headers;
mod letter;
mod recipients;
mod relay;
mod settings;
#[cfg(test)]
mod tests;
mod thread;

use reporter_sdk::amount::Bytes;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::Answer;
use reporter_sdk::interpolate::Values;
use reporter_sdk::message::MessageFormatter;
use reporter_sdk::missing::MissingWorkerFormatter;
use reporter_sdk::prelude::*;
use reporter_sdk::slot::Slot;
use reporter_sdk::smtp;
use reporter_sdk::subject::{About, SubjectFormat};
use reporter_sdk::watched::WatchedWorkers;
use serde_json::json;

use headers::Headers;
use letter::Letter;
use recipients::{Recipients, Subject};
use relay::RELAY;
pub use settings::{AddLogs, Lookup, Settings};
use thread::{ListId, Threads};

/// The reporter, configured.
#[derive(Debug)]
pub struct MailNotifier {
    from: String,
    filter: Filter,
    recipients: Recipients,
    subject: SubjectFormat,
    /// Whether the operator worded it.
    has_subject: bool,
    headers: Headers,
    list_id: Option<ListId>,
    threads: Option<Threads>,
    add_logs: AddLogs,
    add_patch: bool,
    /// Bytes of a mail.
    most: u64,
    /// Seconds for which mails are collected.
    digest: Option<u32>,
    message: MessageFormatter,
    watched: WatchedWorkers,
    missing: MissingWorkerFormatter,
}

/// Seconds of a digest's window, and bytes of a mail, at least and at most.
const DIGEST: std::ops::RangeInclusive<u32> = 1..=604_800;
const LEAST_MAIL: u64 = 50_000;

impl Reporter for MailNotifier {
    type Settings = Settings;
    const NAME: &'static str = "MailNotifier";
    const DESCRIPTION: &'static str = "Sends a mail when a build ends or a worker goes missing";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        let mut problems = Problems::default();
        let endpoint = problems.take(relay::endpoint(&settings));
        if !address::is_sender(&settings.fromaddr) {
            problems.add("/fromaddr", format!("{:?} is no address: write \"buildbot@example.org\" or \"Buildbot <buildbot@example.org>\"", settings.fromaddr));
        }
        let extra = problems.take(settings::addresses(settings.extra_recipients, "/extraRecipients"));
        let bcc = problems.take(settings::addresses(settings.bcc, "/bcc"));
        if let Some(Slot::Own(Lookup::Table(table))) = &settings.lookup {
            for (user, address) in table.iter().filter(|(_, address)| !address::is_valid(address)) {
                problems.add(reporter_sdk::settings::pointer("/lookup", user), format!("{address:?} is no address"));
            }
        }
        if settings.message_formatter_missing_worker.is_some() && settings.message_formatter_missing_workers.is_some() {
            problems.add("/messageFormatterMissingWorkers", "this is messageFormatterMissingWorker once more: leave one of them out");
        }
        let digest = settings.digest.map(|window| window.0);
        if digest.is_some_and(|seconds| !DIGEST.contains(&seconds)) {
            problems.add("/digest", "a window is a second at least, and a week at most: write \"1 h\"");
        }
        if digest.is_some() && settings.add_logs != AddLogs::None {
            problems.add(
                "/addLogs",
                "a digest has no attachments: leave one of addLogs and digest out (messageFormatter = { excerpt = 20 } has the lines that matter)",
            );
        }
        if settings.max_mail_size.0 < LEAST_MAIL {
            problems.add("/maxMailSize", format!("this is too little for any mail with attachments: write {} or more, \"10 MB\"", Bytes(LEAST_MAIL)));
        }
        let filter = problems.take(settings.filter.compile(&["failing", "passing", "warnings"]));
        let headers = problems.take(Headers::compile(settings.extra_headers));
        let list_id = problems.take(ListId::compile(settings.list_id));
        let has_subject = settings.subject.is_some();
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
            events.extend(settings.worker_back.then_some("worker-connected"));
        }
        let mut plan = Plan::events(events).endpoint(RELAY, "smtp", endpoint).uses(message.words().iter().copied()).uses(digest.map(|_| "state"));
        // Who is responsible for a build is not known without looking at it.
        if !extra.is_empty() {
            let body = json!([{"content_type": "text/plain", "text": "{text}"}]);
            let to = extra.get(..smtp::MOST_RECIPIENTS).unwrap_or(&extra);
            plan = plan.fallback(RELAY, json!({"sender": settings.fromaddr, "to": to, "subject": "{subject}", "body": body}));
        }
        let recipients = Recipients {
            interested: settings.send_to_interested_users,
            extra,
            bcc,
            lookup: settings.lookup,
            users_hook: settings.get_responsible_users_for_build.is_some(),
            recipients_hook: settings.get_recipients.is_some(),
        };
        let (add_logs, add_patch, watched) = (settings.add_logs, settings.add_patch, settings.watched_workers);
        let (from, threads, most) = (settings.fromaddr, settings.threads, settings.max_mail_size.0);
        Ok((
            Self { from, filter, recipients, subject, has_subject, headers, list_id, threads, add_logs, add_patch, most, digest, message, watched, missing },
            plan,
        ))
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
            "worker-missing" | "worker-connected" => self.mail_worker(event),
            kind => skip(format!("MailNotifier does not report {kind}")),
        }
    }

    fn answered(&self, tag: &str, _: &Answer) -> Result<Outcome, Failure> {
        match digest::due(tag) {
            None => skip("what it was about has been sent already"),
            Some(letters) if letters.is_empty() => skip("there are none left of limits.sends for now; what waits goes out a little later"),
            Some(letters) => {
                letters.into_iter().for_each(|letter| letter.send(&self.from, Vec::new(), None));
                Ok(Outcome::Sent)
            }
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

impl MailNotifier {
    fn mail_builds(&self, event: &Event, builds: &[Build], positions: &[usize], is_buildset: bool) -> Result<Outcome, Failure> {
        let mode = self.filter.mode();
        let envelope = self.recipients.of(&Subject { event, builds, positions, mode, is_buildset })?;
        if envelope.is_empty() {
            return skip("nobody would get the mail: no responsible user has an address, and there are no extraRecipients");
        }
        let chosen: Vec<&Build> = positions.iter().filter_map(|n| builds.get(*n)).collect();
        let Some(first) = chosen.first() else { return skip("there is no build") };
        let message = self.message.or_plain(event, positions, mode, is_buildset)?;
        let about = About::of(event, first, is_buildset);
        let master = event.master().title;
        // The built-in subject says less than what the mail is about.
        let line = if message.subject.is_some() || self.has_subject { String::new() } else { bound::line(&about.title, first, is_buildset) };
        let subject = match &message.subject {
            Some(subject) => subject.clone(),
            None => self.subject.about(&about, &master)?,
        };
        let mut letter = Letter { about: about.title, master, result: about.result, subject, line, envelope, ..Letter::default() }.words(message);
        letter.add_headers(self.headers(*first)?);
        letter.add_headers(self.threads.map(|threads| threads.of_builds(event, &chosen, &self.from)).unwrap_or_default());
        if let Some(seconds) = self.digest {
            let full = digest::keep(letter, seconds)?;
            if full.is_empty() {
                return skip("it waits for the digest");
            }
            // There is no more room.
            full.into_iter().for_each(|letter| letter.send(&self.from, Vec::new(), None));
            return Ok(Outcome::Sent);
        }
        let attachments = self.attach(&mut letter, &chosen);
        letter.send(&self.from, attachments, None);
        Ok(Outcome::Sent)
    }

    fn mail_worker(&self, event: &Event) -> Result<Outcome, Failure> {
        let Some(worker) = event.worker() else { return skip("the event has no worker") };
        let name = worker.name();
        if !self.watched.includes(&name) {
            return skip(format!("worker {name} is not in watchedWorkers"));
        }
        let envelope = recipients::of_worker(&worker.notify());
        if envelope.is_empty() {
            return skip(format!("nobody is to be told: worker {name} has no address in notify_on_missing"));
        }
        let message = self.missing.worker(event)?;
        let what = if event.kind() == "worker-connected" { "return of" } else { "missing" };
        let subject = message.subject.clone().unwrap_or_default();
        let mut letter = Letter { about: format!("{what} worker {name}"), subject, envelope, ..Letter::default() }.words(message);
        letter.add_headers(self.headers(&worker)?);
        letter.add_headers(self.threads.map(|threads| threads.of_worker(event, &name, &self.from)).unwrap_or_default());
        // That it is back is not to arrive before that it is missing.
        letter.send(&self.from, Vec::new(), Some(&format!("worker {name} of {}", event.source())));
        Ok(Outcome::Sent)
    }

    /// `extraHeaders`, and `List-Id` unless it is among them.
    fn headers(&self, values: &dyn Values) -> Result<Vec<(String, String)>, Failure> {
        let mut headers = self.headers.render(values)?;
        headers.extend(self.list_id.as_ref().map(|id| id.render(values)).transpose()?);
        Ok(headers)
    }

    /// What is attached; of what has no room, the letter says so.
    fn attach(&self, letter: &mut Letter, chosen: &[&Build]) -> Vec<smtp::Attachment> {
        let wanted = attach::wanted(chosen.iter().copied(), chosen.len() > 1, self.add_patch, &self.add_logs);
        if wanted.is_empty() {
            return Vec::new();
        }
        let texts = letter.plain.iter().chain(&letter.html).map(String::as_str);
        let room = attach::room(texts, letter.head(), &wanted, self.most);
        let (attachments, notes) = attach::fit(wanted, room);
        if !notes.is_empty() {
            letter.add(&format!("Not everything is attached, as the mail would be larger than {} (maxMailSize):", Bytes(self.most)), &notes);
        }
        attachments
    }
}

reporter_sdk::export_reporter!(MailNotifier);
