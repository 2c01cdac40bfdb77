use serde_json::json;

use super::*;

fn event() -> Event {
    Event::from_json(json!({
        "kind": "build-finished",
        "master": {"title": "Acme CI", "url": "https://ci.example/"},
        "builds": [{
            "buildid": 9, "number": 12, "results": 2, "complete": true, "state_string": "failed test <x>", "started_at": 100, "complete_at": 225,
            "url": "https://ci.example/#/builders/1/builds/12",
            "builder": {"name": "linux", "tags": []},
            "properties": {"workername": ["w1", "Worker"], "reason": ["nightly", "Scheduler"]},
            "buildset": {"sourcestamps": [{"codebase": "", "project": "acme", "branch": "main", "revision": "0123456789abcdef", "patch": null},
                                          {"codebase": "lib", "project": "", "branch": null, "revision": null, "patch": {"body": "x"}}]},
            "prev_build": {"results": 0},
            "users": ["bob", "zoe"],
            "changes": [{"author": "bob <b@x>", "revision": "0123456789abcdef", "comments": "Fix it\n\nlong"}],
            "steps": [{"name": "compile", "results": 0, "state_string": "compiled", "hidden": false},
                      {"name": "test", "results": 2, "state_string": "3 failed", "hidden": false, "logs": [{"name": "stdio", "url": "https://ci.example/log/1", "content": {"content": "oa\n"}}]},
                      {"name": "internal", "results": 2, "state_string": "hidden one", "hidden": true}]
        }]
    }))
}

fn formatter(settings: serde_json::Value) -> Result<MessageFormatter, Problems> {
    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Settings {
        message_formatter: Option<Slot<MessageFormatterSettings>>,
    }
    let settings: Settings = crate::settings::read(json!({"messageFormatter": settings}))?;
    MessageFormatter::compile(settings.message_formatter, false)
}

fn say(template: &str, mode: &[&str]) -> String {
    formatter(json!({"template": template})).unwrap().build(&event(), 0, mode).unwrap().body
}

#[test]
fn context() {
    for (template, expected) in [
        ("{{ results }} {{ result_names[results] }} {{ statuses[results] }}", "2 failure failure"),
        ("{{ mode }}", "('failing',)"),
        ("{{ buildername }} {{ workername }} {{ is_buildset }} {{ builds|length }}", "linux w1 False 1"),
        ("{{ build['properties']['reason'][0] }} {{ build['state_string'] }}", "nightly failed test <x>"),
        ("{{ buildset['sourcestamps'][0]['branch'] }}", "main"),
        ("{{ projects }} {{ previous_results }} {{ status_detected }}", "acme 0 failed build"),
        ("{{ build_url }} {{ buildbot_url }} {{ buildbot_title }}", "https://ci.example/#/builders/1/builds/12 https://ci.example/ Acme CI"),
        ("{{ blamelist | join(', ') }}", "bob, zoe"),
        ("{{ summary }}", "BUILD FAILED: failed test <x>"),
        ("{{ sourcestamps }}", "Build Source Stamp: [branch main] 0123456789abcdef\nBuild Source Stamp 'lib': HEAD (plus patch)\n"),
        ("{{ build.steps is defined }} {{ build.prev_build is defined }}", "False False"),
        ("{{ nothing }}.", "."),
    ] {
        assert_eq!(say(template, &["failing"]), expected, "{template}");
    }
}

#[test]
fn status_detected_table() {
    for (results, mode, previous, expected) in [
        (2, &["change"][..], Some(0), "new failure"),
        (2, &["problem"], Some(0), "new failure"),
        (2, &["problem"], Some(2), "failed build"),
        (2, &["change"], None, "failed build"),
        (2, &["failing"], Some(0), "failed build"),
        (1, &["change"], Some(0), "problem in the build"),
        (0, &["change"], Some(2), "restored build"),
        (0, &["change"], Some(0), "passing build"),
        (0, &["problem"], Some(2), "passing build"),
        (0, &["change"], None, "passing build"),
        (4, &["change"], Some(0), "build exception"),
        (3, &["change"], Some(0), "skipped build"),
        (5, &["change"], Some(0), "retry build"),
        (6, &["change"], Some(0), "cancelled build"),
    ] {
        assert_eq!(status_detected(Some(results), mode, &|| previous), expected, "{results} {mode:?} {previous:?}");
    }
}

#[test]
fn summaries() {
    for (results, expected) in [
        (0, "Build succeeded!"),
        (1, "Build Had Warnings: s"),
        (2, "BUILD FAILED: s"),
        (3, "BUILD FAILED: s"),
        (4, "BUILD FAILED: s"),
        (5, "BUILD FAILED: s"),
        (6, "Build was cancelled"),
    ] {
        assert_eq!(summary(&Build::from_json(json!({"results": results, "state_string": "s"}))), expected);
    }
    assert_eq!(summary(&Build::from_json(json!({"results": 2}))), "BUILD FAILED");
}

#[test]
fn the_default_texts_contain_the_facts() {
    for kind in ["plain", "html"] {
        let formatter = formatter(json!({"template_type": kind})).unwrap();
        let message = formatter.build(&event(), 0, &["failing"]).unwrap();
        let mut facts = vec![
            "linux #12",
            "failure",
            "the build before: success",
            "test (",
            "3 failed",
            "https://ci.example/log/1",
            "nightly",
            "acme",
            "[branch main]",
            "w1",
            "2 min 5 s",
            "bob, zoe",
            "0123456789ab",
            "Fix it",
            "https://ci.example/#/builders/1/builds/12",
            "Acme CI",
            "https://ci.example/",
        ];
        facts.push(if kind == "html" { "failed test &lt;x&gt;" } else { "failed test <x>" });
        for fact in facts {
            assert!(message.body.contains(fact), "{kind}: {fact} in\n{}", message.body);
        }
        for absent in ["compiled", "hidden one", "long"] {
            assert!(!message.body.contains(absent), "{kind}: {absent} in\n{}", message.body);
        }
        assert_eq!(formatter.words(), ["properties", "steps", "logs"]);
    }
}

/// Names come from whoever pushes, forces a build or posts an event.
#[test]
fn nobodys_name_begins_a_line_of_the_default_texts() {
    let forged = "bob\r\nBcc: x@y\u{1b}[2J";
    let stamps = json!({"sourcestamps": [{"codebase": "", "project": forged, "branch": forged, "revision": forged}]});
    let steps = json!([{"name": "test", "results": 2, "state_string": forged, "hidden": false}]);
    let build = json!({"results": 2, "builder": {"name": "b"}, "state_string": forged, "buildset": stamps, "users": ["ada", forged], "steps": steps,
        "properties": {"workername": [forged, "Worker"], "reason": [forged, "Force"], "got_revision": ["f00d\nBcc: x@y", "Git"]},
        "changes": [{"author": forged, "revision": "1\nBcc: x@y", "comments": "Fix\u{1b}[2J\n\nlong"}]});
    let event = Event::from_json(json!({"kind": "build-finished", "builds": [build]}));
    let long = formatter(json!({})).unwrap().build(&event, 0, &[]).unwrap().body;
    let short = |kind| MessageFormatter::compile_short(None, false, kind).unwrap().build(&event, 0, &[]).unwrap().body;
    let plain = Message::plain(event.builds(), &[0], "why").body;
    for body in [&long, &short(TemplateType::Plain), &short(TemplateType::Html), &plain] {
        assert!(body.contains("bob Bcc: x@y [2J"), "{body}");
        assert!(!body.contains(['\r', '\u{1b}']) && !body.lines().any(|line| line.starts_with("Bcc")), "{body}");
    }
    assert!(long.contains("\nWho: ada, bob Bcc: x@y [2J\n"), "{long}");
    let own = formatter(json!({"template": "{{ blamelist[1] }}"})).unwrap().build(&event, 0, &[]).unwrap().body;
    assert_eq!(own, forged, "a template of the operator's own gets what there is");
}

#[test]
fn what_was_checked_out_is_told_where_the_source_stamps_do_not_know() {
    let body = |got: serde_json::Value, kind: &str| {
        let stamps = json!({"sourcestamps": [{"codebase": "", "branch": "main", "revision": "abc"}]});
        let build = json!({"results": 0, "builder": {"name": "b"}, "buildset": stamps, "properties": {"got_revision": [got, "Git"]}});
        let event = Event::from_json(json!({"kind": "build-finished", "builds": [build]}));
        formatter(json!({"template_type": kind})).unwrap().build(&event, 0, &[]).unwrap().body
    };
    for kind in ["plain", "html"] {
        assert!(body(json!("f00d"), kind).contains("Checked out: f00d"));
        assert!(body(json!({"back": "f00d", "front": "abc"}), kind).contains(if kind == "html" {
            "Checked out 'back': f00d"
        } else {
            "Checked out 'back': f00d\n"
        }));
        for nothing in [json!("abc"), json!({"front": "abc"}), json!(null), json!(7), json!(["x"])] {
            assert!(!body(nothing.clone(), kind).contains("Checked out"), "{nothing}");
        }
    }
}

#[test]
fn a_subject_is_text_also_of_html() {
    let settings = json!({"template_type": "html", "template": "{{ summary }}", "subject": "{{ summary }}"});
    let message = formatter(settings).unwrap().build(&event(), 0, &[]).unwrap();
    assert_eq!((message.body.as_str(), message.subject.as_deref()), ("BUILD FAILED: failed test &lt;x&gt;", Some("BUILD FAILED: failed test <x>")));
    let folder = json!({"default_mail.html": "{% include 'what.txt' %}", "what.txt": "{{ summary }}", "subject.txt": "{% include 'what.txt' %}"});
    let message =
        formatter(json!({"template_type": "html", "template_dir": folder, "subject_filename": "subject.txt"})).unwrap().build(&event(), 0, &[]).unwrap();
    assert_eq!((message.body.as_str(), message.subject.as_deref()), ("BUILD FAILED: failed test &lt;x&gt;", Some("BUILD FAILED: failed test <x>")));
}

#[test]
fn the_default_text_of_little() {
    let event = Event::from_json(json!({"kind": "build-finished", "builds": [{"results": 0, "builder": {"name": "b"}, "state_string": "build successful"}]}));
    let body = formatter(json!({})).unwrap().build(&event, 0, &[]).unwrap().body;
    assert_eq!(body, "b: success\nbuild successful\n\nWorker: <unknown>\n\n");
}

#[test]
fn folders_include_and_are_strict() {
    let folder = json!({"default_mail.txt": "{% include 'head.txt' %}body", "head.txt": "[{{ buildername }}]", "subject.txt": "{{ summary }}\n x\n"});
    let formatter_ = formatter(json!({"template_dir": folder, "subject_filename": "subject.txt", "ctx": {"buildername": "mine"}})).unwrap();
    let message = formatter_.build(&event(), 0, &[]).unwrap();
    assert_eq!((message.body.as_str(), message.subject.as_deref()), ("[mine]body", Some("BUILD FAILED: failed test <x> x")));
    let failing =
        formatter(json!({"template_dir": {"m.txt": "{% include 'head.txt' %}", "head.txt": "a\n{{ nothing }}"}, "template_filename": "m.txt"})).unwrap();
    let failure = failing.build(&event(), 0, &[]).unwrap_err();
    assert!(failure.message.contains("head.txt") && failure.message.contains("line 2") && !failure.again, "{failure}");
}

#[test]
fn wants_reach_the_document() {
    let with = |extra: serde_json::Value| {
        let mut settings = json!({"template": "{{ build.steps[1].logs[0].content.content if build.steps else '-' }}{{ build.properties|length }}{{ build.prev_build.results if build.prev_build }}"});
        settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        formatter(settings).unwrap().build(&event(), 0, &[]).unwrap().body
    };
    assert_eq!(with(json!({})), "-2");
    assert_eq!(with(json!({"wantProperties": false, "wantPreviousBuild": true})), "-00");
    assert_eq!(with(json!({"wantSteps": true, "wantLogs": true})), "oa\n2");
}

#[test]
fn what_is_refused() {
    for (settings, at, part) in [
        (json!({"template": "a\n{% if %}"}), "/messageFormatter/template", "line 2"),
        (json!({"template": "a", "template_dir": {}}), "/messageFormatter/template_dir", "only one of"),
        (json!({"template": "a", "template_filename": "b"}), "/messageFormatter/template_filename", "leave it out"),
        (json!({"template_dir": {"a.txt": ""}, "template_filename": "b.txt"}), "/messageFormatter/template_filename", "there are a.txt"),
        (json!({"template_dir": {"a.txt": "{{"}, "template_filename": "a.txt"}), "/messageFormatter/template_dir", "a.txt line 1"),
        (json!({"subject": "a", "subject_filename": "b"}), "/messageFormatter/subject", "only one of"),
        (json!({"template_type": "pdf"}), "/messageFormatter/template_type", "plain"),
        (json!({"wantLogs": true}), "/messageFormatter/wantLogs", "wantSteps = true"),
        (json!({"templat": "a"}), "/messageFormatter/templat", "unknown field"),
        (json!({"template_dir": "some/path"}), "/messageFormatter/template_dir", "did not read"),
    ] {
        let problems = formatter(settings.clone()).unwrap_err();
        assert!(problems.0.iter().any(|problem| problem.at == at && problem.message.contains(part)), "{settings}: {problems}");
    }
}

#[test]
fn a_component_words_it() {
    crate::testing::plug("message", |subjects, context| {
        let build = subjects.build()?;
        Ok(crate::slot::Document::message(format!("{} {} {}", build.builder(), context.text("event"), context.text("buildbot_title"))).html().subject("s"))
    });
    let formatter = formatter(json!({"component": "x.wasm", "settings": {"a": 1}})).unwrap();
    let message = formatter.build(&event(), 0, &["failing"]).unwrap();
    assert_eq!(message.body, "linux build-finished Acme CI");
    assert_eq!((message.subject.as_deref(), message.kind), (Some("s"), TemplateType::Html));
    for document in [json!("text"), json!({"body": 1}), json!({"body": "", "type": "pdf"}), json!({"body": "", "subject": 1})] {
        assert!(Message::from_document(&document).is_err(), "{document}");
    }
}

#[test]
fn a_set_is_its_builds_bodies() {
    let event = Event::from_json(json!({"kind": "buildset-complete", "buildset": {"results": 2}, "builds": [
        {"results": 0, "builder": {"name": "a"}}, {"results": 2, "builder": {"name": "b"}}, {"results": 2, "builder": {"name": "c"}}]}));
    let formatter = formatter(json!({"template": "{{ buildername }}{{ is_buildset }};", "subject": "{{ buildername }}"})).unwrap();
    let message = formatter.set(&event, &[1, 2], &[]).unwrap();
    assert_eq!((message.body.as_str(), message.subject.as_deref()), ("bTrue;cTrue;", Some("b")));
}
