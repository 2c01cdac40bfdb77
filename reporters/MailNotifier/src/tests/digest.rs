//! Digests: what waits, when it goes out, and how it is worded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reporter_sdk::testing::{Report, forget, limit, limit_bytes, state};
use serde_json::{Value, json};

use super::beyond::of;
use super::notifier;

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
    assert_eq!((mails[1].1, mails[1].2), (&text(&["audit@x.org"])[..], "Buildbot digest of CI: 1 failed, 1 succeeded"));
    assert_eq!(sent[1].mail().to.iter().chain(&sent[1].mail().cc).cloned().collect::<Vec<_>>(), all);
    assert!(sent[0].mail().headers.iter().any(|(name, _)| name == "References"));
    assert_eq!(sent[1].mail().headers, [("List-Id".to_owned(), "<ci.example.org>".to_owned())]);
    let body = &sent[1].mail().body[0].1;
    let list = "2 reports: 1 failed, 1 succeeded\n\n  1. failure of build 1 on linux: failed test\n  2. success of build 2 on linux: failed test\n\n\n---";
    assert!(body.starts_with(list) && body.contains("\n2. success of build 2 on linux: failed test\n\n2 & more\n"), "{body}");
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
    // The reminder of the window that went out early is still to come.
    assert_eq!(digest.remind("digest 1").sent.len(), 1);
    // A lost reminder is asked for again when the next letter comes.
    digest.report(at(1_000, json!([]), json!({})));
    forget("digest 2");
    assert_eq!(digest.report(at(1_000, json!([]), json!({}))).reminders, [("digest 2".to_owned(), 75)]);
    assert_eq!(digest.remind("digest 2").sent.len(), 1);
}

#[test]
fn windows_that_go_out_early_share_a_reminder() {
    for sends in [100, 1] {
        limit(sends, 64 << 10);
        let digest = notifier(json!({"digest": HOUR, "messageFormatter": {"template": "{{ 'x' * 20000 }}"}}));
        let mut asked = BTreeSet::new();
        let mut sent = 0;
        for number in 0..1_000 {
            let report = digest.report(at(1_000, json!([format!("p{}@x.org", number % 2)]), json!({"number": number})));
            sent += report.sent.len();
            asked.extend(report.reminders.into_iter().map(|(tag, _)| tag));
        }
        // One for the hour, and one for what a call had no room for.
        assert!(sent > 300 && asked.len() <= 2, "{sent} {asked:?}");
    }
}

#[test]
fn one_letter_that_is_too_large_does_not_block_the_others() {
    limit(100, 64 << 10);
    limit_bytes(10_000);
    for kind in ["plain", "html"] {
        let formatter = json!({"template": "{% if build.number == 2 %}{{ 'x' * 20000 }}{% else %}small{% endif %}", "template_type": kind});
        let digest = notifier(json!({"digest": HOUR, "extraRecipients": "l@x.org", "messageFormatter": formatter}));
        for number in 0..4 {
            digest.report(at(1_000, json!([format!("p{number}@x.org")]), json!({"number": number})));
        }
        let (mut told, mut cut) = (BTreeSet::new(), 0);
        let mut tags: VecDeque<String> = state().get("digest").map(|window| format!("digest {}", number(window))).into_iter().collect();
        while let Some(tag) = tags.pop_front() {
            let report = digest.remind(&tag);
            assert!(report.outcome.is_ok(), "{:?}", report.outcome);
            tags.extend(report.reminders.iter().map(|(tag, _)| tag.clone()));
            cut += report.log.iter().filter(|(_, line)| line.contains("limits.send_kib")).count();
            for mail in report.sent.iter().map(|sent| sent.mail()) {
                told.extend(mail.to.iter().chain(&mail.cc).cloned());
                assert!(mail.body[0].1.contains("small") || mail.body[0].1.contains("This is cut"), "{:?}", mail.body);
            }
        }
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(cut > 0 && state().keys().all(|key| key == "digest"));
    }
}

fn number(window: &str) -> u64 {
    serde_json::from_str::<Value>(window).unwrap()["number"].as_u64().unwrap()
}

#[test]
fn a_window_is_the_hosts_and_not_the_builds() {
    let digest = notifier(json!({"digest": HOUR, "extraRecipients": "l@x.org", "messageFormatter": {"template": "{{ build.number }}"}}));
    // What is caught up with happened over days, and is told together.
    for day in 0..5 {
        let report = digest.report(at(86_400 * day, json!([]), json!({"number": day})));
        assert_eq!((report.sent.len(), report.reminders.len()), (0, usize::from(day == 0)), "day {day}");
    }
    assert_eq!(digest.remind("digest 1").only().mail().subject, "Buildbot digest of CI: 5 failed");
}

#[test]
fn a_digest_keeps_to_the_limits_of_its_entry() {
    for (sends, room, letter) in [(100, 64 << 10, 3_000), (100, 10_000, 1_000), (1, 6_000, 1_000), (2, 64 << 10, 10_000), (3, 2_000, 4_000)] {
        limit(sends, room);
        let template = format!("<{{{{ build.number }}}}>{{{{ 'x' * {letter} }}}}");
        let digest = notifier(json!({"digest": HOUR, "extraRecipients": ["l@x.org"], "messageFormatter": {"template": template}}));
        let mut reports: Vec<Report> = (0..20).map(|n| digest.report(at(1, json!([format!("p{}@x.org", n % 7)]), json!({"number": n})))).collect();
        for report in &reports {
            assert!(report.outcome.is_ok(), "{:?}", report.outcome);
            let said = report.log.iter().any(|(_, line)| line.contains("limits.state_kib"));
            assert_eq!(said, !report.sent.is_empty(), "what goes out early says so");
        }
        let mut tags: VecDeque<String> = reports.iter().flat_map(|report| &report.reminders).map(|(tag, _)| tag.clone()).collect();
        while let Some(tag) = tags.pop_front() {
            let report = digest.remind(&tag);
            tags.extend(report.reminders.iter().map(|(tag, _)| tag.clone()));
            reports.push(report);
            assert!(reports.len() < 200, "it goes on for ever");
        }
        assert!(state().keys().all(|key| key == "digest"), "{sends} {room}: something is left");
        // Everybody has everything, and once.
        let mut told: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for mail in reports.iter().flat_map(|report| &report.sent).map(|sent| sent.mail()) {
            let numbers: Vec<usize> = (0..20).filter(|n| mail.body[0].1.contains(&format!("<{n}>"))).collect();
            mail.to.iter().chain(&mail.cc).for_each(|who| told.entry(who.clone()).or_default().extend(&numbers));
        }
        told.values_mut().for_each(|numbers| numbers.sort_unstable());
        let each = (0..7).map(|p| (format!("p{p}@x.org"), (0..20).filter(|n| n % 7 == p).collect()));
        assert_eq!(told, each.chain([("l@x.org".to_owned(), (0..20).collect())]).collect(), "{sends} {room}");
    }
}

#[test]
fn a_digest_for_many_people_goes_out_in_parts() {
    let digest = notifier(json!({"digest": HOUR, "messageFormatter": {"template": "T"}}));
    for number in 0..120 {
        let report = digest.report(at(1_000, json!([format!("p{number}@x.org")]), json!({"number": number})));
        assert!(report.sent.is_empty(), "{number}");
    }
    let mut told = BTreeSet::new();
    let mut tag = "digest 1".to_owned();
    for mails in [50, 50, 20] {
        let report = digest.remind(&tag);
        assert_eq!(report.sent.len(), mails);
        told.extend(report.sent.iter().map(|it| it.mail().to.concat()));
        match &report.reminders[..] {
            [(next, 75)] => tag = next.clone(),
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
    assert!(body[0].0 == "text/html" && body[0].1.contains("<h3>2. failure of build 2 on &lt;mac&gt;: failed test</h3>\n<b>2</b>"), "{}", body[0].1);
}
