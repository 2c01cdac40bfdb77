//! Each built-in reporter in the real sandbox: what it would put on the wire, the same from a
//! snapshot as from running `configure` again, and nothing fetched twice.

use std::sync::Arc;

use reporter_host::sandbox::{Outcome, RunError};
use reporter_host::transport::{Body, Payload};
use reporter_host_tests::stage::{Checkout, Stage};
use reporter_host_tests::{Kit, build, details};
use serde_json::{Value, json};

fn settings_of(reporter: &str) -> Value {
    match reporter {
        "MailNotifier" => json!({"fromaddr": "ci@example.org", "extraRecipients": ["list@example.org"], "mode": "all", "addLogs": true}),
        "HttpStatusPush" => json!({"serverUrl": "https://hooks.example.org/in", "wantProperties": true, "wantSteps": true, "wantLogs": true}),
        "BitbucketServerCoreAPIStatusPush" => json!({"base_url": "https://bitbucket.example.org", "token": "t"}),
        "BitbucketServerPRCommentPush" => json!({"base_url": "https://bitbucket.example.org", "user": "u", "password": "p"}),
        "BitbucketServerStatusPush" => json!({"base_url": "https://bitbucket.example.org", "user": "u", "password": "p"}),
        "BitbucketStatusPush" => json!({"oauth_key": "k", "oauth_secret": "s"}),
        "GitHubStatusPush" => json!({"token": "RHSECRET000000000000000000000000"}),
        "GitHubCommentPush" => json!({"token": "RHSECRET000000000000000000000000", "editComment": true}),
        "GitLabStatusPush" => json!({"token": "RHSECRET000000000000000000000000"}),
        "GerritStatusPush" => {
            json!({"server": "gerrit.example.org", "username": "bb", "reviewCB": {"message": "{{ builderName }}: {{ result_name }}", "labels": {"Verified": "{{ 1 if result == 0 else -1 }}"}}})
        }
        "GerritVerifyStatusPush" => json!({"baseURL": "https://gerrit.example.org", "auth": ["u", "p"]}),
        "HipchatStatusPush" => json!({"auth_token": "t", "builder_room_map": {"linux": "builds"}, "wantProperties": true}),
        "PushjetNotifier" => json!({"secret": "s", "mode": "all", "levels": {"failing": 5}}),
        "PushoverNotifier" => json!({"user_key": "u", "api_token": "t", "priorities": {"failing": 2}, "otherParams": {"retry": 60, "expire": 3600}}),
        "ZulipStatusPush" => json!({"endpoint": "https://zulip.example.org", "token": "t", "stream": "builds"}),
        "TelegramBot" => json!({"bot_token": "1:t", "bot_username": "ci_bot", "chat_ids": [-5001], "notify_events": ["finished"]}),
        "IRC" => json!({"host": "irc.example.org", "nick": "bot", "channels": ["#ci"], "notify_events": ["finished"]}),
        other => panic!("give {other} its settings here, so that it is tested"),
    }
}

/// What distinguishes two runs that are to be the same: everything but the time.
fn shown(payload: &Payload) -> Value {
    let mut value = serde_json::to_value(payload).unwrap();
    value.as_object_mut().unwrap().remove("date");
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reporter_says_the_same_from_a_snapshot() {
    let mut kit = Kit::new();
    // A bot tells those who asked for it.
    for channel in ["#ci", "-5001"] {
        kit.state.insert(format!("channel/{channel}"), json!({"notify": ["finished"]}).to_string());
    }
    for built_in in reporter_bundle::all() {
        let loaded = kit.built_in(built_in.name);
        let ready = kit.configure(&loaded, &settings_of(built_in.name)).await.unwrap();
        let pull_request = Checkout::default().with("pullrequesturl", "https://bitbucket.example.org/projects/PRJ/repos/rep/pull-requests/7");
        let pull_request = pull_request.with("gerrit_changes", json!([{"change_id": "tools~main~I8473b959", "revision_id": "4f1c9d2"}]));
        let (event, source) = pull_request.at(Stage::Finished(2), 1);
        let it = details(event, Arc::new(source));
        let plain = ready.report(&it).await;
        assert_eq!(plain.answer, Ok(Outcome::Sent), "{}", built_in.name);
        ready.freeze().await;
        let frozen = ready.report(&it).await;
        assert_eq!(frozen.answer, plain.answer, "{}", built_in.name);
        assert_eq!(frozen.log, plain.log, "{}", built_in.name);
        let all = |ran: &reporter_host::sandbox::Ran<Outcome>| {
            ran.sends.iter().map(|send| (send.uid.clone(), send.title.clone(), shown(&send.payload))).collect::<Vec<_>>()
        };
        assert_eq!(all(&frozen), all(&plain), "{}", built_in.name);
        assert!(!plain.sends.is_empty(), "{}", built_in.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_on_the_wire() {
    let kit = Kit::new();
    let (event, source) = build(2);
    let ran = kit.report(&kit.built_in("MailNotifier"), &settings_of("MailNotifier"), &details(event, Arc::new(source))).await;
    assert_eq!(ran.answer, Ok(Outcome::Sent), "{:?}", ran.log);
    let Payload::Smtp(mail) = ran.sends[0].payload.as_ref() else { panic!("not a mail") };
    assert_eq!(mail.sender, "ci@example.org");
    let mut to = mail.to.clone();
    to.sort();
    assert_eq!(to, ["Zoë <zoe@example.org>", "bob@example.org"]);
    assert_eq!(mail.cc, ["list@example.org"]);
    assert!(mail.subject.contains("linux"), "{}", mail.subject);
    let body = &mail.body[0].text;
    for fact in ["linux", "failed 'make check'", "https://ci.example.org/#/builders/3/builds/12"] {
        assert!(body.contains(fact), "{fact} is not in:\n{body}");
    }
    assert_eq!(mail.attachments.len(), 1);
    assert_eq!(mail.attachments[0].filename, "check.stdio");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_on_the_wire() {
    let kit = Kit::new();
    let (event, source) = build(2);
    let ran = kit.report(&kit.built_in("GitHubStatusPush"), &settings_of("GitHubStatusPush"), &details(event, Arc::new(source))).await;
    assert_eq!(ran.answer, Ok(Outcome::Sent), "{:?}", ran.log);
    let Payload::Http(request) = ran.sends[0].payload.as_ref() else { panic!("not a request") };
    assert_eq!(request.path, ["repos", "octo", "repo", "statuses", "4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f"]);
    let Body::Json(body) = &request.body else { panic!("not JSON") };
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["state"], "failure");
    assert_eq!(body["context"], "buildbot/linux");
    assert_eq!(body["target_url"], "https://ci.example.org/#/builders/3/builds/12");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_entries_cost_one_fetch() {
    let kit = Kit::new();
    let loaded = kit.built_in("HttpStatusPush");
    let ready = kit.configure(&loaded, &settings_of("HttpStatusPush")).await.unwrap();
    let (event, source) = build(2);
    let source = Arc::new(source);
    let it = details(event, source.clone());
    let all = (0..200).map(|_| ready.report(&it));
    for ran in futures_util::future::join_all(all).await {
        assert_eq!(ran.answer, Ok(Outcome::Sent));
    }
    let asked = source.asked();
    assert!(asked.len() >= 8, "{asked:?}");
    assert!(asked.values().all(|times| *times == 1), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_away_undoes_the_call() {
    let kit = Kit::new();
    let (event, mut source) = build(2);
    source.away = true;
    let ran = kit.report(&kit.built_in("HttpStatusPush"), &settings_of("HttpStatusPush"), &details(event, Arc::new(source))).await;
    assert_eq!(ran.answer, Err(RunError::NotNow("the master is away".into())));
    assert!(ran.sends.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_has_a_reason() {
    let kit = Kit::new();
    let settings = json!({"fromaddr": "ci@example.org", "extraRecipients": ["list@example.org"], "mode": ["failing"]});
    let (event, source) = build(0);
    let ran = kit.report(&kit.built_in("MailNotifier"), &settings, &details(event, Arc::new(source))).await;
    assert_eq!(ran.answer, Ok(Outcome::Skipped("mode is failing, the build succeeded".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_formatter_words_the_mail() {
    let mut kit = Kit::new();
    let formatter = kit.load(reporter_bundle::example("example:headline").unwrap().component).unwrap();
    kit.formatters.insert("message".into(), (formatter, json!({})));
    let settings = json!({"fromaddr": "ci@example.org", "extraRecipients": ["list@example.org"], "mode": "all", "messageFormatter": {"formatter": true}});
    let (event, source) = build(2);
    let ran = kit.report(&kit.built_in("MailNotifier"), &settings, &details(event, Arc::new(source))).await;
    assert_eq!(ran.answer, Ok(Outcome::Sent), "{:?}", ran.log);
    let Payload::Smtp(mail) = ran.sends[0].payload.as_ref() else { panic!("not a mail") };
    assert_eq!(mail.subject, "✗ linux 12: failed 'make check'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_formatter_that_breaks_does_not_mean_silence() {
    let mut kit = Kit::new();
    for what in ["trap", "panic", "loop", "error", "not-json", "no-body", "memory"] {
        let formatter = kit.load(test_guests::HOSTILE_FORMATTER).unwrap();
        kit.formatters.insert("message".into(), (formatter, json!({"do": what})));
        let settings = json!({"fromaddr": "ci@example.org", "extraRecipients": ["list@example.org"], "mode": "all", "messageFormatter": {"formatter": true}});
        let (event, source) = build(2);
        let loaded = kit.built_in("MailNotifier");
        let ready = kit.configure(&loaded, &settings).await.unwrap();
        let ran = ready.report(&details(event, Arc::new(source))).await;
        // Either the reporter words it plainly itself, or it fails for good and the host has a plain message.
        match ran.answer {
            Ok(Outcome::Sent) => assert_eq!(ran.sends.len(), 1, "{what}"),
            Err(RunError::Failed { again: false, .. }) => assert!(ready.plan.fallback.is_some(), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wasi_is_empty_and_its_output_is_kept() {
    let kit = Kit::new();
    let loaded = kit.load(test_guests::WASIP2).unwrap();
    assert!(loaded.wasi);
    let (event, source) = build(2);
    let ran = kit.report(&loaded, &json!({"serverUrl": "https://hooks.example.org/"}), &details(event, Arc::new(source))).await;
    assert_eq!(ran.answer, Ok(Outcome::Sent), "{:?}", ran.log);
    let Payload::Http(request) = ran.sends[0].payload.as_ref() else { panic!("not a request") };
    let Body::Json(seen) = &request.body else { panic!("not JSON") };
    let seen: Value = serde_json::from_str(seen).unwrap();
    for what in ["arguments", "environment", "files", "written", "sockets"] {
        assert_eq!(seen[what], json!([]), "{what}");
    }
    let lines: Vec<&str> = ran.log.iter().map(|(_, line)| line.as_str()).collect();
    assert!(lines.contains(&"on stdout: build-finished") && lines.contains(&"on stderr: build-finished"), "{lines:?}");
}
