//! What the page does not have: threads, lists, both forms, excerpts, limits, digests.

use reporter_sdk::testing::{Report, state};
use serde_json::{Value, json};

use super::{event, notifier};

fn header(report: &Report, name: &str) -> Option<String> {
    report.only().mail().headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
}

fn of(source: &str, builder: &str, changes: Value) -> Value {
    let mut event = event(json!({"builder": {"name": builder}}));
    event["source"] = json!(source);
    event["builds"][0].as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    event
}

fn stamps(stamps: Value) -> Value {
    json!({"buildset": {"bsid": 3, "sourcestamps": stamps}})
}

#[test]
fn threads_by_builder_and_by_change() {
    let root = |threads: &str, event: Value| {
        let report = notifier(json!({"extraRecipients": "l@x.org", "threads": threads})).report(event);
        assert_eq!(header(&report, "In-Reply-To"), header(&report, "References"));
        header(&report, "References").unwrap()
    };
    let linux = root("builder", of("main", "linux", json!({})));
    assert!(linux.starts_with("<builder.") && linux.ends_with("@example.org>"), "{linux}");
    assert_eq!(linux, root("builder", of("main", "linux", json!({"number": 13, "results": 0}))));
    assert_ne!(linux, root("builder", of("main", "mac", json!({}))));
    assert_ne!(linux, root("builder", of("other", "linux", json!({}))));

    let rev = |revision: &str| stamps(json!([{"codebase": "", "revision": revision, "branch": "main"}]));
    let change = root("change", of("main", "linux", rev("a1")));
    assert_eq!(change, root("change", of("main", "mac", rev("a1"))));
    assert_ne!(change, root("change", of("main", "linux", rev("b2"))));
    // Without a revision, and with a patch on one, it is the set that is the same.
    let patched = stamps(json!([{"codebase": "", "revision": "a1", "patch": {"body": "x"}}]));
    for set in [stamps(json!([{"codebase": "", "revision": null}])), patched] {
        let one = root("change", of("main", "linux", set.clone()));
        assert_eq!(one, root("change", of("main", "mac", set.clone())));
        let mut other = set;
        other["buildset"]["bsid"] = json!(4);
        assert_ne!(one, root("change", of("main", "linux", other)));
    }
    let gerrit = json!({"properties": {"event.change.id": ["I12", "Change"]}});
    let patchset = |revision: &str| {
        let mut both = rev(revision);
        both.as_object_mut().unwrap().extend(gerrit.as_object().unwrap().clone());
        root("change", of("main", "linux", both))
    };
    assert_eq!(patchset("a1"), patchset("b2"));

    let plain = notifier(json!({"extraRecipients": "l@x.org"})).report(event(json!({})));
    assert!(plain.only().mail().headers.is_empty());
    let own = notifier(
        json!({"extraRecipients": "l@x.org", "threads": "builder", "listId": "a.example.org", "extraHeaders": {"references": "<x@y>", "List-ID": "mine"}}),
    );
    let report = own.report(event(json!({})));
    let mut names: Vec<&str> = report.only().mail().headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["In-Reply-To", "List-ID", "references"]);
}

#[test]
fn a_list_and_hidden_recipients() {
    let settings = json!({"extraRecipients": "l@x.org", "bcc": ["audit@x.org", "L@x.org"], "listId": "%(prop:branch)s.ci.example.org"});
    let report = notifier(settings).report(event(json!({"users": []})));
    assert_eq!(header(&report, "List-Id").as_deref(), Some("<main.ci.example.org>"));
    assert_eq!((&report.only().mail().to[..], &report.only().mail().bcc[..]), (&["l@x.org".to_owned()][..], &["audit@x.org".to_owned()][..]));
    let only = notifier(json!({"bcc": "audit@x.org"})).report(event(json!({"users": []})));
    assert_eq!((only.only().mail().to.len(), only.only().mail().bcc.len()), (0, 1));
}

#[test]
fn both_forms_of_a_mail() {
    let forms = |formatter: Value| {
        let report = notifier(json!({"extraRecipients": "l@x.org", "messageFormatter": formatter})).report(event(json!({"state_string": "<b>"})));
        report.only().mail().body.clone()
    };
    let own = forms(json!({"template_type": "both", "template": "{{ build.state_string }}", "html_template": "<i>{{ build.state_string }}</i>"}));
    assert_eq!(own, [("text/plain".to_owned(), "<b>\n\n".to_owned()), ("text/html".to_owned(), "<i>&lt;b&gt;</i>\n\n".to_owned())]);
    let folder = json!({"default_mail.txt": "T", "default_mail.html": "H"});
    assert_eq!(forms(json!({"template_type": "both", "template_dir": folder})).iter().map(|(_, text)| &text[..1]).collect::<Vec<_>>(), ["T", "H"]);
    let built_in = forms(json!({"template_type": "both"}));
    assert!(built_in[0].1.contains("test (failure)") && built_in[1].1.contains("<li>test (<span"), "{built_in:?}");
    reporter_sdk::testing::plug("message", |_, _| Ok(reporter_sdk::slot::Document::json(json!({"body": "b", "html": "<p>b</p>"}))));
    assert_eq!(forms(json!({"component": "x.wasm"})).len(), 2);
}

#[test]
fn excerpts_only_where_they_are_asked_for() {
    let text = |formatter: Value| {
        let mut settings = json!({"extraRecipients": "l@x.org"});
        if !formatter.is_null() {
            settings["messageFormatter"] = formatter;
        }
        let report = notifier(settings).report(event(json!({})));
        report.only().mail().body[0].1.clone()
    };
    assert!(!text(json!(null)).contains("From stdio"));
    let excerpt = text(json!({"excerpt": 10}));
    assert!(excerpt.contains("From stdio of test:\n    out\n    err\n"), "{excerpt}");
    assert!(text(json!({"excerpt": 10, "template_type": "html"})).contains("<pre>out\nerr\n</pre>"));
    assert_eq!(text(json!({"template": "{% for it in excerpts %}{{ it.step }}/{{ it.log }}: {{ it.tail|last }}{% endfor %}"})), "test/stdio: err\n\n");
}

#[test]
fn what_is_too_much_is_cut_and_the_mail_says_so() {
    let log = |name: &str, bytes: usize| json!({"name": name, "type": "t", "content": {"content": format!("{}\n", "x".repeat(99)).repeat(bytes / 100)}});
    let steps = json!([{"name": "s", "results": 2, "logs": [log("small", 1_000), log("big", 200_000), log("huge", 900_000)]}]);
    let report = |settings: Value, body: usize| {
        let patch = stamps(json!([{"patch": {"body": "p".repeat(body)}}]));
        let mut event = event(patch);
        event["builds"][0]["steps"] = steps.clone();
        let mut all = json!({"extraRecipients": "l@x.org", "addLogs": true, "messageFormatter": {"template": "T"}});
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        notifier(all).report(event)
    };
    let whole = report(json!({}), 10);
    assert_eq!((whole.only().mail().attachments.len(), whole.only().mail().body[0].1.as_str()), (4, "T\n\n"));

    let cut = report(json!({"maxMailSize": 400_000}), 10);
    let mail = cut.only().mail();
    let size = |n: usize| match &mail.attachments[n].content {
        reporter_sdk::smtp::Content::Log(log) => log.size(),
        reporter_sdk::smtp::Content::Bytes(bytes) => bytes.len() as u64,
    };
    let sizes: Vec<u64> = (0..4).map(size).collect();
    // The short one is whole, the others have equal shares.
    assert_eq!((sizes[1], sizes[2]), (1_000, sizes[3]));
    assert!(sizes.iter().sum::<u64>() * 78 / 57 < 400_000 && sizes[2] > 130_000, "{sizes:?}");
    let text = &mail.body[0].1;
    assert!(text.starts_with("T\n\nNot everything is attached, as the mail would be larger than 400.0 kB (maxMailSize):\n"), "{text}");
    assert!(text.contains("  s.big: the last 14") && text.contains("  s.huge: the last 14") && text.contains(" of 900.0 kB\n"), "{text}");
    assert!(!text.contains("small"));

    let patch = report(json!({"maxMailSize": 60_000, "messageFormatter": {"template": "<html><body>T</body></html>", "template_type": "html"}}), 50_000);
    let body = &patch.only().mail().body[0].1;
    assert!(body.contains("<li>source patch 0: left out (50.0 kB)</li>") && body.ends_with("</ul>\n</body></html>\n\n"), "{body}");
}

#[test]
fn a_worker_that_is_back() {
    let event = |kind: &str| json!({"kind": kind, "source": "main", "worker": {"name": "w1", "notify": ["ops@x.org"]}});
    assert_eq!(notifier(json!({})).plan.events, ["build-finished", "worker-missing"]);
    let told = notifier(json!({"workerBack": true, "threads": "builder", "messageFormatterMissingWorker": {"template": "gone", "template_type": "html"}}));
    assert_eq!(told.plan.events, ["build-finished", "worker-missing", "worker-connected"]);
    let (missing, back) = (told.report(event("worker-missing")), told.report(event("worker-connected")));
    let mail = back.only().mail();
    assert_eq!((mail.subject.as_str(), &mail.body[0].0[..], &mail.to[..]), ("Buildbot worker w1 is back", "text/html", &["ops@x.org".to_owned()][..]));
    assert!(mail.body[0].1.starts_with("<p>Worker <b>w1</b> is back.</p>"), "{}", mail.body[0].1);
    assert_eq!(header(&missing, "References"), header(&back, "References"));
    assert_eq!(back.only().terms().title.as_deref(), Some("return of worker w1 to ops@x.org"));
}

const HOUR: u32 = 3_600;

fn at(time: u64, users: Value, changes: Value) -> Value {
    let mut event = of("main", "linux", changes);
    event["occurred_at"] = json!(time);
    event["builds"][0]["users"] = users;
    event
}

#[test]
fn a_digest_is_one_mail_to_each_when_the_window_is_over() {
    let digest = notifier(
        json!({"digest": HOUR, "extraRecipients": "list@x.org", "bcc": "audit@x.org", "listId": "ci.example.org", "threads": "builder", "messageFormatter": {"template": "{{ build.number }} & more"}}),
    );
    assert!(digest.plan.uses.contains(&"state".to_owned()));
    let first = digest.report(at(1_000, json!(["ann@x.org", "bob@x.org"]), json!({"number": 1})));
    assert_eq!((first.skipped(), first.sent.len(), &first.reminders[..]), ("it waits for the digest", 0, &[("digest 1".to_owned(), HOUR)][..]));
    let second = digest.report(at(2_000, json!(["ann@x.org"]), json!({"number": 2, "results": 0})));
    assert!(second.reminders.is_empty() && second.sent.is_empty());

    let sent = digest.remind("digest 1").sent;
    let mails: Vec<_> = sent.iter().map(|it| (&it.mail().to[..], &it.mail().bcc[..], it.mail().subject.as_str())).collect();
    let text = |addresses: &[&str]| addresses.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let (all, one) = (text(&["ann@x.org", "list@x.org"]), text(&["bob@x.org"]));
    // ann and the list have both, and audit unseen; bob has the first as it would have been.
    assert_eq!(mails.len(), 2, "{mails:?}");
    assert_eq!(mails[0], (&one[..], &[][..], "Buildbot failure in CI on linux"));
    assert_eq!((mails[1].1, mails[1].2), (&text(&["audit@x.org"])[..], "Buildbot digest of CI: 2 reports (1 failure, 1 success)"));
    assert_eq!(sent[1].mail().to.iter().chain(&sent[1].mail().cc).cloned().collect::<Vec<_>>(), all);
    assert!(sent[0].mail().headers.iter().any(|(name, _)| name == "References"));
    assert_eq!(sent[1].mail().headers, [("List-Id".to_owned(), "<ci.example.org>".to_owned())]);
    let body = &sent[1].mail().body[0].1;
    assert!(body.contains("  1. Buildbot failure in CI on linux\n  2. Buildbot success in CI on linux\n") && body.contains("2 & more"), "{body}");
    assert_eq!(sent[1].terms().title.as_deref(), Some("digest of 2 reports to ann@x.org, list@x.org, audit@x.org"));
    assert_eq!(state().keys().collect::<Vec<_>>(), ["digest"], "nothing is left");

    // What comes afterwards opens a window of its own, which the old reminder does not close.
    let third = digest.report(at(9_000, json!(["ann@x.org"]), json!({"number": 3})));
    assert_eq!(third.reminders, [("digest 2".to_owned(), HOUR)]);
    assert_eq!(digest.remind("digest 1").skipped(), "what it was about has been sent already");
    assert_eq!(digest.remind("digest 2").sent.len(), 1);
    assert_eq!(digest.remind("digest 2").skipped(), "what it was about has been sent already");
}

#[test]
fn a_digest_goes_out_early_rather_than_losing_anything() {
    let digest = notifier(json!({"digest": HOUR, "extraRecipients": "l@x.org", "messageFormatter": {"template": "{{ 'x' * 20000 }}"}}));
    let mut sent = Vec::new();
    for number in 0..4 {
        let report = digest.report(at(1_000, json!([]), json!({"number": number})));
        sent.extend(report.sent.into_iter().map(|it| it.mail().body[0].1.matches(&"x".repeat(20_000)).count()));
    }
    assert_eq!(sent, [3]);
    assert_eq!(digest.remind("digest 2").sent.len(), 1);
    // A lost reminder is asked for again when the next letter comes.
    digest.report(at(1_000, json!([]), json!({})));
    assert_eq!(digest.report(at(1_000 + 3_600 + 301, json!([]), json!({}))).reminders, [("digest 3".to_owned(), 1)]);
}

#[test]
fn a_digest_for_many_people_goes_out_in_parts() {
    let digest = notifier(json!({"digest": HOUR, "messageFormatter": {"template": "T"}}));
    for number in 0..120 {
        let report = digest.report(at(1_000, json!([format!("p{number}@x.org")]), json!({"number": number})));
        assert!(report.sent.is_empty(), "{number}");
    }
    let mut told = std::collections::BTreeSet::new();
    let mut tag = "digest 1".to_owned();
    for mails in [50, 50, 20] {
        let report = digest.remind(&tag);
        assert_eq!(report.sent.len(), mails);
        told.extend(report.sent.iter().map(|it| it.mail().to.concat()));
        match &report.reminders[..] {
            [(next, 60)] => tag = next.clone(),
            other => assert!(other.is_empty() && mails == 20, "{other:?}"),
        }
    }
    assert_eq!(told.len(), 120);
}

#[test]
fn html_in_a_digest() {
    let digest =
        notifier(json!({"digest": HOUR, "extraRecipients": "l@x.org", "messageFormatter": {"template": "<b>{{ build.number }}</b>", "template_type": "html"}}));
    digest.report(at(1, json!([]), json!({"number": 1})));
    digest.report(at(2, json!([]), json!({"number": 2, "builder": {"name": "<mac>"}})));
    let report = digest.remind("digest 1");
    let body = &report.only().mail().body;
    assert_eq!(body.len(), 1);
    assert!(body[0].0 == "text/html" && body[0].1.contains("<h3>2. Buildbot failure in CI on &lt;mac&gt;</h3>\n<b>2</b>"), "{}", body[0].1);
}

#[test]
fn a_master_without_a_title() {
    let mut nightly = event(json!({"builder": {"name": "nightly"}}));
    nightly["master"] = json!({"url": ""});
    let report = notifier(json!({"extraRecipients": "l@x.org"})).report(nightly);
    assert_eq!(report.only().mail().subject, "Buildbot failure on nightly");
    let text = &report.only().mail().body[0].1;
    assert!(!text.contains("Project: \n") && !text.contains("\n: "), "{text}");
}
