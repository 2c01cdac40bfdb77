//! What the page does not have: threads, lists, both forms, excerpts, limits.

use reporter_sdk::testing::{Report, limit};
use serde_json::{Value, json};

use super::{event, notifier};

fn header(report: &Report, name: &str) -> Option<String> {
    report.only().mail().headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
}

pub fn of(source: &str, builder: &str, changes: Value) -> Value {
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

    // Many people take room as well.
    for (people, attached) in [(1, 1), (900, 0)] {
        let people: Vec<String> = (0..people).map(|n| format!("somebody{n}@example.org")).collect();
        let report = report(json!({"maxMailSize": 60_000, "addLogs": false, "extraRecipients": people}), 20_000);
        assert_eq!(report.only().mail().attachments.len(), attached);
    }
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

#[test]
fn a_master_without_a_title() {
    let mut nightly = event(json!({"builder": {"name": "nightly"}}));
    nightly["master"] = json!({"url": ""});
    let report = notifier(json!({"extraRecipients": "l@x.org"})).report(nightly);
    assert_eq!(report.only().mail().subject, "Buildbot failure on nightly");
    let text = &report.only().mail().body[0].1;
    assert!(!text.contains("Project: \n") && !text.contains("\n: "), "{text}");
}

#[test]
fn more_people_than_a_mail_can_have_get_several() {
    let people: Vec<String> = (0..2_500).map(|n| format!("p{n}@x.org")).collect();
    let many = notifier(json!({"extraRecipients": people, "bcc": "audit@x.org", "addLogs": true}));
    // The host checks the plain message as every mail.
    assert_eq!(many.plan.endpoints[0].fallback.as_ref().unwrap()["to"].as_array().unwrap().len(), 1_000);
    let report = many.report(event(json!({"users": ["ann@x.org"]})));
    let people: Vec<usize> = report.sent.iter().map(|it| it.mail().to.len() + it.mail().cc.len() + it.mail().bcc.len()).collect();
    assert_eq!(people, [1_000, 1_000, 502]);
    assert_eq!((&report.sent[0].mail().to[..], &report.sent[2].mail().bcc[..]), (&["ann@x.org".to_owned()][..], &["audit@x.org".to_owned()][..]));
    for (n, mail) in report.sent.iter().enumerate() {
        assert_eq!(mail.mail().attachments.len(), 3, "{n}");
        let title = mail.terms().title.clone().unwrap();
        assert!(title.ends_with(&format!("and 2500 more (mail {} of 3)", n + 1)), "{title}");
    }
    // Those for whom there is no send are named.
    limit(2, 0);
    let report = many.report(event(json!({"users": []})));
    assert_eq!(report.sent.len(), 2);
    assert!(report.log.iter().any(|(_, line)| line.starts_with("501 people do not get this mail")), "{:?}", report.log);
}

#[test]
fn headers_that_no_server_takes_are_left_out() {
    let many: serde_json::Map<String, Value> = (0..9).map(|n| (format!("X-{n}"), json!("l".repeat(7_000 + n)))).collect();
    let report = notifier(json!({"extraRecipients": "l@x.org", "extraHeaders": many, "listId": "ci.example.org"})).report(event(json!({})));
    let headers = &report.only().mail().headers;
    assert!(headers.len() == 9 && header(&report, "X-8").is_none() && header(&report, "List-Id").is_some(), "{}", headers.len());
    assert!(report.log.iter().any(|(_, line)| line.ends_with("left out: X-8")), "{:?}", report.log);
    let many: serde_json::Map<String, Value> = (0..91).map(|n| (format!("X-{n}"), json!("v"))).collect();
    let problems = reporter_sdk::testing::configure::<crate::MailNotifier>(json!({"fromaddr": "a@x.org", "extraHeaders": many})).unwrap_err();
    assert_eq!(problems.0[0].at, "/extraHeaders");
    let report =
        notifier(json!({"extraRecipients": "l@x.org", "messageFormatter": {"template": "T", "subject": "{{ 'ü' * 40000 }}"}})).report(event(json!({})));
    let subject = &report.only().mail().subject;
    assert!(subject.len() <= 4_096 && subject.ends_with('…'), "{}", subject.len());
}

#[test]
fn international_domains_are_made_what_the_wire_has() {
    let mail = |settings: Value, users: Value| {
        let report = notifier(settings).report(event(json!({"users": users})));
        let mail = report.only().mail();
        (mail.to.clone(), mail.cc.clone(), mail.bcc.clone())
    };
    let text = |addresses: &[&str]| addresses.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let got =
        mail(json!({"extraRecipients": "Liste <l@bücher.example>", "bcc": "b@bücher.example"}), json!(["Jan <jan@bücher.example>", "jan@Bücher.example"]));
    assert_eq!(got, (text(&["Jan <jan@xn--b-cher.example>"]), text(&["Liste <l@xn--b-cher.example>"]), text(&["b@xn--b-cher.example"])));
    let got = mail(json!({"lookup": "bücher.example"}), json!(["jan"]));
    assert_eq!(got.0, ["jan@xn--b-cher.example"]);
    // One that is none does not cost the others their mail.
    let got = mail(json!({}), json!([format!("a@{}.example", "ü".repeat(60)), "bob@x.org"]));
    assert_eq!(got.0, ["bob@x.org"]);
}

#[test]
fn what_is_about_a_worker_arrives_in_order() {
    let both = notifier(json!({"workerBack": true}));
    let lane = |kind: &str, source: &str, name: &str| {
        let worker = json!({"name": name, "notify": ["ann@x.org"]});
        both.report(json!({"kind": kind, "source": source, "worker": worker})).only().terms().lane.clone().unwrap()
    };
    assert_eq!(lane("worker-missing", "main", "w1"), lane("worker-connected", "main", "w1"));
    assert_ne!(lane("worker-missing", "main", "w1"), lane("worker-missing", "main", "w2"));
    assert_ne!(lane("worker-missing", "main", "w1"), lane("worker-missing", "other", "w1"));
}
