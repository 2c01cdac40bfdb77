use reporter_sdk::prelude::*;
use reporter_sdk::slot::Document;
use reporter_sdk::smtp::Content;
use reporter_sdk::testing::{self, Configured};
use serde_json::{Value, json};

use crate::MailNotifier;

mod beyond;
mod digest;

fn notifier(settings: Value) -> Configured<MailNotifier> {
    let mut all = json!({"fromaddr": "Buildbot <bb@example.org>"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    testing::configure(all).unwrap_or_else(|problems| panic!("{problems}"))
}

fn event(changes: Value) -> Value {
    let mut build = json!({
        "number": 12, "results": 2, "state_string": "failed test", "builder": {"name": "linux", "tags": []}, "url": "https://ci.example/12",
        "properties": {"branch": ["main", "Build"]}, "users": ["alice", "Bob Q <bob@example.com>"],
        "buildset": {"sourcestamps": [{"codebase": "", "branch": "main", "patch": {"patchid": 1, "body": "--- a\n"}}]},
        "steps": [{"name": "test", "results": 2, "logs": [{"name": "stdio", "type": "s", "content": {"content": "oout\neerr\n"}}, {"name": "junit.xml", "type": "t", "content": {"content": "<x/>\n"}}]}]
    });
    build.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"kind": "build-finished", "master": {"title": "CI", "url": "https://ci.example/"}, "builds": [build]})
}

#[test]
fn the_simple_example() {
    let notifier = notifier(json!({"lookup": "example.org"}));
    assert_eq!(notifier.plan.events, ["build-finished", "worker-missing"]);
    assert_eq!(notifier.plan.endpoints[0].settings, json!({"host": "localhost", "port": 25, "tls": "opportunistic"}));
    let report = notifier.report(event(json!({})));
    let mail = report.only().mail();
    assert_eq!(mail.to, ["Bob Q <bob@example.com>", "alice@example.org"]);
    assert_eq!((mail.sender.as_str(), mail.subject.as_str()), ("Buildbot <bb@example.org>", "Buildbot failure in CI on linux"));
    assert_eq!(mail.body[0].0, "text/plain");
    assert!(mail.body[0].1.ends_with("\n\n") && mail.body[0].1.contains("failed test"));
    let terms = report.only().terms();
    assert_eq!(terms.title.as_deref(), Some("failure of build 12 on linux to bob@example.com, alice@example.org"));
    assert_eq!((terms.expire_after, &terms.lane), (None, &None));
}

#[test]
fn the_short_and_the_html_example() {
    let short = notifier(
        json!({"sendToInterestedUsers": false, "mode": ["problem"], "extraRecipients": ["list@example.org"], "messageFormatter": {"template": "STATUS: {{ summary }}"}}),
    );
    assert_eq!(short.report(event(json!({"prev_build": {"results": 2}}))).skipped(), "mode is problem, the build failed like the one before");
    let report = short.report(event(json!({"prev_build": {"results": 0}})));
    assert_eq!(
        (&report.only().mail().body[0].1[..], &report.only().mail().to[..]),
        ("STATUS: BUILD FAILED: failed test\n\n", &["list@example.org".to_owned()][..])
    );

    let template = "<h4>{{ summary }}</h4>{% for step in build['steps'] %}<p>{{ step['name'] }}: {{ step['results'] }}</p>{% endfor %}";
    let html = notifier(
        json!({"extraRecipients": "list@example.org", "messageFormatter": {"template": template, "template_type": "html", "wantProperties": true, "wantSteps": true}}),
    );
    assert_eq!(html.plan.uses, ["properties", "steps"]);
    let report = html.report(event(json!({"state_string": "<b>"})));
    assert_eq!(report.only().mail().body[0], ("text/html".to_owned(), "<h4>BUILD FAILED: &lt;b&gt;</h4><p>test: 2</p>\n\n".to_owned()));
}

#[test]
fn recipients() {
    let users = |users: Value| event(json!({"users": users}));
    for (settings, users_, to, cc) in [
        (json!({}), json!(["alice", "Bob Q <bob@example.com>"]), vec!["Bob Q <bob@example.com>"], vec![]),
        (json!({"extraRecipients": ["l@x.org"]}), json!(["bob@example.com"]), vec!["bob@example.com"], vec!["l@x.org"]),
        (json!({"extraRecipients": ["l@x.org"]}), json!(["alice"]), vec!["l@x.org"], vec![]),
        (json!({"extraRecipients": ["l@x.org"], "sendToInterestedUsers": false}), json!(["bob@example.com"]), vec!["l@x.org"], vec![]),
        (json!({}), json!(["'U' <u@foo.com>@foo.com"]), vec!["'U' <u@foo.com>"], vec![]),
        (json!({}), json!(["Bob <b@x.org>", "b@x.org"]), vec!["Bob <b@x.org>"], vec![]),
        (json!({"extraRecipients": ["B@x.org"]}), json!(["b@x.org"]), vec!["b@x.org"], vec![]),
        (json!({"lookup": {"alice": "a@x.org", "eve": "e@x.org"}}), json!(["alice", "bob", "c@x.org"]), vec!["a@x.org", "c@x.org"], vec![]),
        (json!({"lookup": "x.org"}), json!(["alice", "b@y.org"]), vec!["alice@x.org", "b@y.org"], vec![]),
    ] {
        let report = notifier(settings.clone()).report(users(users_));
        let mail = report.only().mail();
        assert_eq!((mail.to.iter().map(String::as_str).collect::<Vec<_>>(), mail.cc.iter().map(String::as_str).collect::<Vec<_>>()), (to, cc), "{settings}");
    }
    let nobody = notifier(json!({})).report(users(json!(["alice"])));
    assert!(nobody.skipped().starts_with("nobody would get the mail"));
    assert!(nobody.log.iter().any(|(_, line)| line == "alice gets no mail: that is no address"));
}

#[test]
fn components_say_who_gets_it() {
    testing::plug("users", |_, _| Ok(Document::json(json!(["eve", "mal"]))));
    testing::plug("lookup", |subjects, _| {
        let Subjects::Users(people) = subjects else { return Err(format!("{subjects:?}")) };
        assert_eq!(people.iter().map(User::name).collect::<Vec<_>>(), ["eve", "mal"]);
        Ok(Document::json(json!({"addresses": {"eve": "eve@x.org", "mal": null}})))
    });
    let both = notifier(json!({"getResponsibleUsersForBuild": {"component": "a.wasm"}, "lookup": {"formatter": true}}));
    assert_eq!(both.report(event(json!({}))).only().mail().to, ["eve@x.org"]);

    testing::plug("recipients", |_, context| {
        assert_eq!((context.get("to"), context.get("cc")), (Some(&json!(["Bob Q <bob@example.com>"])), Some(&json!(["l@x.org"]))));
        Ok(Document::json(json!({"to": ["new@x.org", "bad"], "bcc": ["audit@x.org", "new@x.org"]})))
    });
    let last = notifier(json!({"getRecipients": {"component": "a.wasm"}, "extraRecipients": "l@x.org"}));
    let report = last.report(event(json!({})));
    let mail = report.only().mail();
    assert_eq!((&mail.to[..], &mail.cc[..], &mail.bcc[..]), (&["new@x.org".to_owned()][..], &[][..], &["audit@x.org".to_owned()][..]));

    testing::plug("users", |_, _| Ok(Document::json(json!("eve"))));
    let failure = both.report(event(json!({}))).outcome.unwrap_err();
    assert!(failure.message.contains("another shape") && !failure.again);
}

#[test]
fn additional_context() {
    testing::plug("context", |subjects, context| {
        Ok(Document::json(json!({"extra": format!("{} {}", subjects.build()?.builder(), context.text("buildbot_title"))})))
    });
    let notifier = notifier(
        json!({"extraRecipients": "l@x.org", "buildAdditionalContext": {"component": "a.wasm"}, "messageFormatter": {"template": "{{ extra }}", "subject": "S {{ extra }}"}}),
    );
    let report = notifier.report(event(json!({})));
    assert_eq!((report.only().mail().subject.as_str(), report.only().mail().body[0].1.as_str()), ("S linux CI", "linux CI\n\n"));
}

#[test]
fn attachments() {
    let names = |settings: Value| {
        let report = notifier(settings).report(event(json!({})));
        report.only().mail().attachments.iter().map(|a| a.filename.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})), ["source patch 0"]);
    assert_eq!(names(json!({"addPatch": false})), [""; 0]);
    assert_eq!(names(json!({"addLogs": true})), ["source patch 0", "test.stdio", "test.junit.xml"]);
    assert_eq!(names(json!({"addLogs": ["stdio"], "addPatch": false})), ["test.stdio"]);
    assert_eq!(names(json!({"addLogs": "test.junit.xml", "addPatch": false})), ["test.junit.xml"]);
    assert_eq!(names(json!({"addLogs": ["compile.stdio"], "addPatch": false})), [""; 0]);
    let report = notifier(json!({"addLogs": ["stdio"]})).report(event(json!({})));
    match &report.only().mail().attachments[..] {
        [patch, log] => {
            assert!(matches!(&patch.content, Content::Bytes(bytes) if bytes == b"--- a\n"));
            assert!(matches!(&log.content, Content::Log(log) if log.read(0, 9) == "out\nerr\n"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn headers_are_rendered() {
    let notifier = notifier(json!({"extraHeaders": {"X-Branch": "%(prop:branch)s", "X-%(prop:branch)s": "100%", "%(prop:nothing:-To)s": "x"}}));
    let report = notifier.report(event(json!({})));
    let mut headers = report.only().mail().headers.clone();
    headers.sort();
    assert_eq!(headers, [("X-Branch".to_owned(), "main".to_owned()), ("X-main".to_owned(), "100%".to_owned())]);
    assert!(report.log.iter().any(|(_, line)| line.contains("left out")));
}

#[test]
fn a_buildset_is_one_mail() {
    let notifier = notifier(json!({"buildSetSummary": true, "lookup": "x.org", "addLogs": true, "messageFormatter": {"template": "{{ buildername }};"}}));
    assert_eq!(notifier.plan.events, ["buildset-complete", "worker-missing"]);
    let builds: Vec<Value> = [("a", 0, "ann"), ("b", 2, "bob"), ("c", 4, "cyd")]
        .map(|(name, results, user)| {
            let mut build = event(json!({"builder": {"name": name}, "results": results, "users": [user]}))["builds"][0].clone();
            build["steps"][0]["logs"].as_array_mut().unwrap().truncate(1);
            build
        })
        .into();
    let event = json!({"kind": "buildset-complete", "master": {"title": "CI"}, "buildset": {"results": 2}, "builds": builds});
    let report = notifier.report(event);
    let mail = report.only().mail();
    assert_eq!((mail.subject.as_str(), mail.body[0].1.as_str()), ("Buildbot failure in CI on whole buildset", "a;b;\n\n"));
    assert_eq!(mail.to, ["ann@x.org", "bob@x.org"]);
    assert_eq!(mail.attachments.iter().map(|a| a.filename.as_str()).collect::<Vec<_>>(), ["source patch 0", "a.test.stdio", "b.test.stdio"]);
}

#[test]
fn missing_workers() {
    let event = json!({"kind": "worker-missing", "master": {"title": "CI", "url": "https://ci.example/"},
        "worker": {"name": "w1", "notify": ["ops@x.org", "nobody"], "last_connection": "Sun Nov 22 22:14:39 2026", "workerinfo": {"admin": "Ann <a@x.org>\n"}}});
    let report = notifier(json!({"extraRecipients": ["l@x.org"]})).report(event.clone());
    let mail = report.only().mail();
    assert_eq!((mail.subject.as_str(), &mail.to[..]), ("Buildbot worker w1 missing", &["ops@x.org".to_owned()][..]));
    for fact in ["w1", "CI", "Sun Nov 22 22:14:39 2026", "Ann <a@x.org>", "https://ci.example/"] {
        assert!(mail.body[0].1.contains(fact), "{fact} in {}", mail.body[0].1);
    }
    for key in ["messageFormatterMissingWorker", "messageFormatterMissingWorkers"] {
        let own = notifier(json!({key: {"template": "{{ worker.name|upper }} {{ worker.notify|length }}", "subject": "{{ buildbot_title }}!"}}));
        let report = own.report(event.clone());
        assert_eq!((report.only().mail().subject.as_str(), report.only().mail().body[0].1.as_str()), ("CI!", "W1 2\n\n"));
    }
    assert_eq!(notifier(json!({"watchedWorkers": ["w2"]})).report(event.clone()).skipped(), "worker w1 is not in watchedWorkers");
    assert_eq!(notifier(json!({"watchedWorkers": false})).plan.events, ["build-finished"]);
    let silent = notifier(json!({})).report(json!({"kind": "worker-missing", "worker": {"name": "w1"}}));
    assert!(silent.skipped().starts_with("nobody is to be told"));
}

#[test]
fn the_relay() {
    for (settings, expected) in [
        (
            json!({"useTls": true, "smtpUser": "u", "smtpPassword": "P"}),
            json!({"host": "localhost", "port": 25, "tls": "starttls", "user": "u", "password": "P"}),
        ),
        (
            json!({"useSmtps": true, "relayhost": "mx", "smtpPort": 465, "verify": "ca.pem"}),
            json!({"host": "mx", "port": 465, "tls": "implicit", "verify": "ca.pem"}),
        ),
        (json!({"dumpMailsToLog": true}), json!({"host": "localhost", "port": 25, "tls": "opportunistic", "dump": true})),
    ] {
        assert_eq!(notifier(settings).plan.endpoints[0].settings, expected);
    }
}

#[test]
fn what_is_refused() {
    for (settings, at) in [
        (json!({}), ""),
        (json!({"fromaddr": "me"}), "/fromaddr"),
        (json!({"fromaddr": "a@b.c", "extraRecipients": ["x@y.z", "foo@invalid"]}), "/extraRecipients/1"),
        (json!({"fromaddr": "a@b.c", "extraRecipients": "foo@invalid"}), "/extraRecipients"),
        (json!({"fromaddr": "a@b.c", "subject": "%(build)s"}), "/subject"),
        (json!({"fromaddr": "a@b.c", "mode": ["all"]}), "/mode/0"),
        (json!({"fromaddr": "a@b.c", "mode": 3}), "/mode"),
        (json!({"fromaddr": "a@b.c", "lookup": "x@y"}), "/lookup"),
        (json!({"fromaddr": "a@b.c", "lookup": {"bob": "bob"}}), "/lookup/bob"),
        (json!({"fromaddr": "a@b.c", "addLogs": 3}), "/addLogs"),
        (json!({"fromaddr": "a@b.c", "useTls": true, "useSmtps": true}), "/useTls"),
        (json!({"fromaddr": "a@b.c", "smtpUser": "u"}), "/smtpUser"),
        (json!({"fromaddr": "a@b.c", "extraHeaders": {"Subject": "x"}}), "/extraHeaders/Subject"),
        (json!({"fromaddr": "a@b.c", "extraHeaders": {"X-A": "%(a)s"}}), "/extraHeaders/X-A"),
        (json!({"fromaddr": "a@b.c", "messageFormatter": {"template": "{% if %}"}}), "/messageFormatter/template"),
        (json!({"fromaddr": "a@b.c", "messageFormatterMissingWorker": {"wantSteps": true}}), "/messageFormatterMissingWorker/wantSteps"),
        (json!({"fromaddr": "a@b.c", "watchedWorkers": "some"}), "/watchedWorkers"),
        (json!({"fromaddr": "a@b.c", "fromadr": "x"}), "/fromadr"),
        (json!({"fromaddr": "a@b.c", "getRecipients": {}}), "/getRecipients"),
        (json!({"fromaddr": "a@b.c", "bcc": ["x@y.z", "foo@invalid"]}), "/bcc/1"),
        (json!({"fromaddr": "a@b.c", "threads": "step"}), "/threads"),
        (json!({"fromaddr": "a@b.c", "listId": "builds"}), "/listId"),
        (json!({"fromaddr": "a@b.c", "digest": 0}), "/digest"),
        (json!({"fromaddr": "a@b.c", "digest": 60, "addLogs": true}), "/addLogs"),
        (json!({"fromaddr": "a@b.c", "maxMailSize": 10}), "/maxMailSize"),
        (json!({"fromaddr": "a@b.c", "messageFormatter": {"html_template": "x"}}), "/messageFormatter/html_template"),
        (json!({"fromaddr": "a@b.c", "messageFormatter": {"template": "x", "template_type": "both"}}), "/messageFormatter/template_type"),
        (
            json!({"fromaddr": "a@b.c", "messageFormatter": {"template": "x", "html_template": "{% if %}", "template_type": "both"}}),
            "/messageFormatter/html_template",
        ),
        (json!({"fromaddr": "a@b.c", "messageFormatter": {"excerpt": 201}}), "/messageFormatter/excerpt"),
    ] {
        let problems = testing::configure::<MailNotifier>(settings.clone()).err().unwrap_or_else(|| panic!("{settings} was taken"));
        assert!(problems.0.iter().any(|problem| problem.at == at), "{settings}: {problems}");
    }
}

#[test]
fn a_failing_template_does_not_mean_silence() {
    let notifier = notifier(json!({"extraRecipients": "l@x.org", "messageFormatter": {"template": "a\n{{ build.nothing.more }}"}}));
    let report = notifier.report(event(json!({})));
    let mail = report.only();
    let text = format!("{mail:?}");
    assert!(text.contains("could not be worded") && text.contains("template line 2"), "{text}");
}

#[test]
fn it_describes_itself() {
    let described: Value = serde_json::from_str(&reporter_sdk::export::describe_reporter::<MailNotifier>()).unwrap();
    assert_eq!(described["slots"]["messageFormatter"], "message");
    assert_eq!(described["slots"]["lookup"], "lookup");
    let settings = &described["settings"];
    assert_eq!(settings["additionalProperties"], json!(false));
    assert_eq!(settings["properties"]["messageFormatter"]["properties"]["template_dir"]["format"], "folder");
    assert_eq!(settings["properties"]["mode"]["type"], json!(["string", "array"]));
    assert!(!described.to_string().contains("\"null\""), "{settings:#}");
    for name in ["builders", "tags", "schedulers", "branches", "buildSetSummary", "extraHeaders", "dumpMailsToLog"] {
        assert!(settings["properties"].get(name).is_some(), "{name}");
    }
}

#[test]
fn unknown_kinds_are_skipped() {
    assert_eq!(notifier(json!({})).report(json!({"kind": "comet-seen"})).skipped(), "MailNotifier does not report comet-seen");
    assert!(matches!(notifier(json!({})).report(json!({"kind": "build-finished", "builds": []})).outcome, Ok(Outcome::Skipped(_))));
}
