use reporter_sdk::delivery::Answer;
use reporter_sdk::irc::Verb;
use reporter_sdk::testing::{self, Configured, Delivery, Report};
use serde_json::{Value, json};

use crate::IrcBot;

fn settings(more: Value) -> Value {
    let mut settings = json!({"host": "irc.example.org", "nick": "bbot", "channels": ["#ci", {"channel": "#Ops", "password": "k"}]});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn bot(more: Value) -> Configured<IrcBot> {
    testing::configure(settings(more)).unwrap()
}

fn problems(more: Value) -> Vec<(String, String)> {
    testing::configure::<IrcBot>(settings(more)).unwrap_err().0.into_iter().map(|problem| (problem.at, problem.message)).collect()
}

fn update(kind: &str, nick: &str, target: &str, text: &str) -> Value {
    json!({"kind": kind, "endpoint": "server", "at": 1_000, "me": "bbot", "from": {"nick": nick, "user": "~u", "host": "h", "prefixes": ""},
           "target": target, "private": !target.starts_with('#'), "text": text})
}

fn said(report: &Report) -> Vec<(Verb, String, String)> {
    assert!(report.outcome.is_ok(), "{:?}", report.outcome);
    let one = |delivery: &Delivery| match delivery {
        Delivery::Irc { target, verb, text, endpoint, .. } => {
            assert_eq!(endpoint, "server");
            Some((*verb, target.clone(), text.clone()))
        }
        _ => None,
    };
    report.sent.iter().filter_map(one).collect()
}

fn only(report: &Report) -> (Verb, String, String) {
    let mut all = said(report);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn the_plan_of_the_pages_example() {
    let page = bot(json!({"useColors": false, "password": "mysecretnickservpassword", "authz": {"force, stop": "authorizednick"},
                          "notify_events": ["exception", "problem", "recovery", "worker"]}));
    let endpoint = &page.plan.endpoints[0];
    assert_eq!((endpoint.name.as_str(), endpoint.kind.as_str()), ("server", "irc"));
    assert_eq!(
        endpoint.settings,
        json!({"host": "irc.example.org", "port": 6667, "tls": false, "nick": "bbot", "channels": [{"name": "#ci"}, {"name": "#Ops", "key": "k"}],
               "password": "mysecretnickservpassword"})
    );
    assert_eq!(page.plan.events, ["build-started", "build-finished", "buildset-complete", "worker-missing", "worker-connected"]);
    assert_eq!(page.plan.uses, ["state"]);
    let all =
        bot(json!({"port": 6697, "useSSL": true, "useSASL": true, "password": "p", "verify": "ca.pem", "clientCertificate": "c.pem", "clientKey": "k.pem",
                         "lostDelay": 2, "failedDelay": 50, "lineRate": 0.5, "serverPassword": "s", "nickserv": "NickServ@services.example.org"}));
    let settings = &all.plan.endpoints[0].settings;
    for (key, value) in [
        ("port", json!(6697)),
        ("tls", json!(true)),
        ("sasl", json!("only")),
        ("verify", json!("ca.pem")),
        ("certificate", json!("c.pem")),
        ("key", json!("k.pem")),
        ("lost_delay", json!(2)),
        ("failed_delay", json!(50)),
        ("line_rate", json!(0.5)),
        ("server_password", json!("s")),
        ("nickserv", json!("NickServ@services.example.org")),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
    assert_eq!(bot(json!({"useSASL": false})).plan.endpoints[0].settings["sasl"], json!("never"));
}

#[test]
fn mistakes_are_found_where_they_are() {
    for (more, at, part) in [
        (json!({"host": "irc://x y"}), "/host", "server's name"),
        (json!({"host": "h:6697"}), "/host", "write host = \"h\" and port = 6697"),
        (json!({"host": "[::1]:6697"}), "/host", "write host = \"[::1]\" and port = 6697"),
        (json!({"port": 0}), "/port", "6697 with useSSL"),
        (json!({"channels": [], "notify_events": "finished"}), "/channels", "channels = [\"#name\"]"),
        (json!({"nickserv": "Nick Serv"}), "/nickserv", "NickServ@services.example.org"),
        (json!({"nick": "#bot"}), "/nick", "nick"),
        (json!({"nick": "1bot"}), "/nick", "nick"),
        (json!({"channels": ["ci"]}), "/channels/0", "\"#ci\""),
        (json!({"channels": [{"channel": "#a b"}]}), "/channels/0", "blanks"),
        (json!({"channels": [{"channel": "#a", "password": "a b"}]}), "/channels/0/password", "no blanks"),
        (json!({"channels": [{"channel": "#a", "password": "a,b"}]}), "/channels/0/password", "no commas"),
        (json!({"channels": [{"channel": "#a", "password": ""}]}), "/channels/0/password", "leave it out"),
        (json!({"authz": {"force": true, "force, stop": false}}), "/authz/force, stop", "once"),
        (json!({"pm_to_nicks": "#ci"}), "/pm_to_nicks/0", "no nick"),
        (json!({"notify_events": ["begin"]}), "/notify_events/0", "failureToSuccess"),
        (json!({"authz": {"jump": true}}), "/authz/jump", "no command"),
        (json!({"authz": {"force": 7}}), "/authz/force", "nicks"),
        (json!({"authz": {}, "allowForce": true}), "/allowForce", "force, stop"),
        (json!({"authz": {}, "allowShutdown": false}), "/allowShutdown", "shutdown"),
        (json!({"useSASL": true}), "/useSASL", "password"),
        (json!({"verify": false}), "/verify", "useSSL"),
        (json!({"clientCertificate": "c", "useSSL": true}), "/clientCertificate", "together"),
        (json!({"clientCertificate": "c", "clientKey": "k"}), "/clientCertificate", "useSSL = true"),
        (json!({"lineRate": -1.0}), "/lineRate", "seconds"),
    ] {
        let found = problems(more.clone());
        assert!(found.iter().any(|(place, message)| place == at && message.contains(part)), "{more}: {found:?}");
    }
    for host in ["::1", "[::1]", "2001:db8::7"] {
        assert!(bot(json!({"host": host})).log.is_empty(), "{host}");
    }
    assert!(bot(json!({"channels": []})).log[0].1.contains("says nothing until"));
    assert!(bot(json!({"channels": [], "pm_to_nicks": "bob"})).log.is_empty());
    for missing in ["host", "nick", "channels"] {
        let mut settings = settings(json!({}));
        settings.as_object_mut().unwrap().remove(missing);
        let problems = testing::configure::<IrcBot>(settings).unwrap_err();
        assert!(problems.0[0].message.contains(missing), "{problems}");
    }
}

#[test]
fn it_answers_where_it_is_spoken_to() {
    let it = bot(json!({}));
    for (target, text) in [("#ci", "bbot: source"), ("#CI", "BBOT, source"), ("alice", "source"), ("alice", " bbot: Source ")] {
        let (verb, place, words) = only(&it.heard(update("message", "alice", target, text)));
        assert_eq!((verb, place.as_str()), (Verb::Message, target.to_lowercase().as_str()), "{text}");
        assert!(words.contains("https://buildbot.net/"));
    }
    for text in ["source", "bbotx: source", "hi bbot: source", "bbo", ""] {
        assert_eq!(it.heard(update("message", "alice", "#ci", text)).skipped(), "it is not said to the bot", "{text:?}");
    }
    assert_eq!(it.heard(update("message", "alice", "#ci", "bbot: ")).skipped(), "nothing was said");
    assert_eq!(it.heard(update("notice", "alice", "alice", "source")).skipped(), "nothing is to be done about \"notice\"");
    assert_eq!(it.heard(update("connected", "", "", "")).skipped(), "nothing is to be done about \"connected\"");
}

#[test]
fn notices_go_to_channels_only() {
    let it = bot(json!({"noticeOnChannel": true}));
    assert_eq!(only(&it.heard(update("message", "a", "#ci", "bbot: nonsense"))).0, Verb::Notice, "errors too");
    assert_eq!(only(&it.heard(update("message", "a", "a", "source"))).0, Verb::Message);
    assert_eq!(only(&it.heard(update("message", "a", "#ci", "bbot: hustle"))).0, Verb::Action);
}

fn finished(results: u8) -> Value {
    json!({"kind": "build-finished", "source": "main", "builds": [{"builder": {"name": "li\u{3}nux\n"}, "number": 3, "id": 3, "results": results, "complete": true,
           "state_string": "done", "url": "https://ci/3"}]})
}

#[test]
fn colours_by_result_or_none() {
    let colored = bot(json!({"notify_events": "finished", "pm_to_nicks": ["Bob"]}));
    colored.heard(update("started", "", "", ""));
    for (results, color) in [(0, "03"), (1, "08"), (2, "04"), (3, "12"), (4, "06"), (5, "11"), (6, "13")] {
        let all = said(&colored.report(finished(results)));
        assert_eq!(all.iter().map(|(_, place, _)| place.as_str()).collect::<Vec<_>>(), ["#ci", "#ops", "bob"]);
        let text = &all[0].2;
        assert!(text.starts_with(&format!("Build #3 (https://ci/3) of `li nux ` \u{3}{color}")) && text.contains('\u{f}'), "{text:?}");
    }
    let plain = bot(json!({"useColors": false}));
    assert!(!only_in("#ci", &plain.report(finished(2))).contains('\u{3}'));
}

#[test]
fn no_answer_holds_a_channel_up_for_long() {
    let change = |n: u64| json!({"changeid": n, "comments": "x".repeat(900), "author": "a".repeat(300), "when_timestamp": n, "repository": "r", "revision": n.to_string()});
    testing::masters(&["main"], move |_, path, query| {
        let limit = query.iter().find(|(name, _)| name == "limit").map_or(10_000, |(_, limit)| limit.parse().unwrap());
        let rows: Vec<Value> = match path[0].as_str() {
            "changes" => (0..limit).map(|n| change(1_000 - n)).collect(),
            "builders" => (0..5_000).map(|n| json!({"builderid": n, "name": format!("builder-{n}"), "masterids": [1]})).collect(),
            _ => Vec::new(),
        };
        Answer { status: 200, headers: vec![], body: json!(rows).to_string().into_bytes(), ended: "answered".into() }
    });
    let it = bot(json!({"lineRate": 1.0}));
    let wire = |text: &str| text.lines().map(|line| line.len().div_ceil(380)).sum::<usize>();
    for (ask, left_out) in [
        ("list 500 changes", "480 that you asked for are left out"),
        ("list all changes", "These are the last 20."),
        ("list all builders", "and 4800 more"),
        ("status all", "and 4800 more"),
        ("last all", "and 4780 more"),
    ] {
        let said = only(&it.heard(update("message", "a", "#ci", &format!("bbot: {ask}")))).2;
        assert!(said.contains(left_out) && wire(&said) <= 60, "{ask}: {} lines: {said}", wire(&said));
    }
    assert!(only(&it.heard(update("message", "a", "#ci", "bbot: list 500 changes"))).2.contains("revision: 1000"), "the newest are there");
    let mut long = finished(2);
    long["builds"][0]["state_string"] = json!("word ".repeat(20_000));
    it.heard(update("message", "a", "a", "notify on finished"));
    let said = only(&it.report(long)).2;
    assert!(wire(&said) <= 61 && said.ends_with("(205 more lines are left out.)"), "{} lines, {}", wire(&said), &said[said.len() - 60..]);
}

fn only_in(place: &str, report: &Report) -> String {
    said(report).into_iter().find(|(_, target, _)| target == place).map(|(.., text)| text).unwrap()
}

#[test]
fn rights_go_by_accounts_where_the_server_tells_them() {
    testing::masters(&["main"], |_, _, _| Answer { status: 0, headers: vec![], body: b"away".to_vec(), ended: "answered".into() });
    let it = bot(json!({"authz": {"force": ["Alice"]}}));
    let ask = |it: &Configured<IrcBot>, nick: &str, account: Option<Value>| {
        let mut update = update("message", nick, nick, "force build linux x");
        if let Some(account) = account {
            update["from"]["account"] = account;
        }
        only(&it.heard(update)).2
    };
    assert!(ask(&it, "ALICE", None).contains("cannot be asked now"), "a nick is all there is");
    assert!(ask(&it, "mallory", None).starts_with("You may not use `force`"));
    assert!(ask(&it, "alice", Some(Value::Null)).contains("not logged in"), "a nick can be forged");
    assert!(ask(&it, "alice", Some(json!("mallory"))).contains("not by nicks"));
    assert!(ask(&it, "al_away", Some(json!("alice"))).contains("cannot be asked now"));
    let by_nick = bot(json!({"authz": {"force": ["alice"]}, "useAccounts": false}));
    assert!(ask(&by_nick, "alice", Some(Value::Null)).contains("cannot be asked now"));
    let open = bot(json!({"allowForce": true, "allowShutdown": true}));
    assert!(ask(&open, "anybody", None).contains("cannot be asked now"));
    let warned = |it: &Configured<IrcBot>| it.log.iter().any(|(_, line)| line.contains("allowForce and allowShutdown are deprecated"));
    assert!(warned(&open) && !warned(&by_nick));
}

#[test]
fn operators_and_those_named_may_change_channels() {
    let it = bot(json!({"authz": {"mute": ["muter"], "": true}}));
    let ask = |nick: &str, prefixes: &str, text: &str| {
        let mut update = update("message", nick, "#ci", text);
        update["from"]["prefixes"] = json!(prefixes);
        let report = it.heard(update);
        said(&report).into_iter().map(|(.., text)| text).collect::<String>()
    };
    assert!(ask("alice", "+", "bbot: notify on failure").contains("Only channel operators"));
    for prefix in ["@", "~", "&", "%", "@+"] {
        assert!(ask("Op", prefix, "bbot: notify on failure").contains("failure"), "{prefix}");
    }
    assert!(ask("muter", "", "bbot: mute").contains("silent"));
    assert_eq!(ask("alice", "", "bbot: unmute"), "", "silence for those who may not");
    assert_eq!(it.heard(update("action", "a", "#ci", "hugs bbot")).skipped(), "#ci is muted");
    assert!(ask("op", "@", "bbot: unmute").contains("back"));
}

#[test]
fn channels_are_joined_and_left_by_those_who_may() {
    let it = bot(json!({"authz": {"join, leave": ["alice"]}}));
    assert!(only(&it.heard(update("message", "x", "x", "join #a"))).2.contains("may not use `join`"));
    let report = it.heard(update("message", "alice", "#ci", "bbot: join #a b"));
    let joined: Vec<(String, bool)> = report
        .sent
        .iter()
        .filter_map(|it| match it {
            Delivery::Membership { channel, joined, .. } => Some((channel.clone(), *joined)),
            _ => None,
        })
        .collect();
    assert_eq!(joined, [("#a".to_owned(), true), ("#b".to_owned(), true)]);
    assert!(matches!(it.heard(update("message", "alice", "alice", "leave #a")).sent[0], Delivery::Membership { joined: false, .. }));
    let tag = report.sent[0].terms().tag.clone().unwrap();
    let answer = |ended: &str, body: &str| Answer { status: 473, headers: vec![], body: body.into(), ended: ended.into() };
    assert_eq!(only(&it.answered(&tag, &answer("dead", "Cannot join channel (+i)"))).1, "#ci");
    assert_eq!(only(&it.answered(&tag, &answer("dead", "Cannot join channel (+i)"))).2, "alice: I am not in #a: Cannot join channel (+i).");
    assert_eq!(it.answered(&tag, &answer("delivered", "")).skipped(), "#a is joined");
    for wrong in ["join", "join '#a b'", "join #a,#b"] {
        assert!(only(&it.heard(update("message", "alice", "alice", wrong))).2.starts_with("T"), "{wrong}");
    }
}

#[test]
fn nothing_is_announced_in_a_channel_that_was_left() {
    let it = bot(json!({"authz": {"join, leave, notify": ["alice"]}, "notify_events": "finished"}));
    let places = |it: &Configured<IrcBot>| match &it.report(finished(2)) {
        report if report.sent.is_empty() => Vec::new(),
        report => said(report).into_iter().map(|(_, place, _)| place).collect::<Vec<_>>(),
    };
    it.heard(update("started", "", "", ""));
    assert_eq!(places(&it), ["#ci", "#ops"]);
    assert_eq!(only(&it.heard(update("message", "alice", "#ops", "bbot: leave #OPS"))).1, "alice", "where it can still be said");
    assert_eq!(places(&it), ["#ci"]);
    it.heard(update("message", "alice", "alice", "join #ops"));
    assert_eq!(places(&it), ["#ci", "#ops"], "what was on is on again");
    it.heard(update("message", "alice", "alice", "join #more"));
    it.heard(update("message", "alice", "#more", "bbot: notify on finished"));
    it.heard(update("message", "alice", "alice", "leave #ci"));
    assert_eq!(places(&it), ["#more", "#ops"]);
    it.heard(update("started", "", "", ""));
    assert_eq!(places(&it), ["#ci", "#ops"], "a new connection is in the channels of the settings");
    let report = it.heard(update("message", "alice", "alice", "join #more"));
    assert_eq!(places(&it), ["#ci", "#more", "#ops"]);
    let refused = Answer { status: 473, headers: vec![], body: b"no".to_vec(), ended: "dead".into() };
    it.answered(report.sent[0].terms().tag.as_ref().unwrap(), &refused);
    assert_eq!(places(&it), ["#ci", "#ops"]);
}

#[test]
fn replies_hold_up_no_announcement() {
    let it = bot(json!({"notify_events": "finished"}));
    it.heard(update("started", "", "", ""));
    let reply = it.heard(update("message", "bo", "#ci", "bbot: source")).only().terms().lane.clone();
    assert_eq!(reply.as_deref(), Some("replies to #ci"));
    assert!(it.report(finished(2)).sent.iter().all(|it| it.terms().lane.is_none()), "the host's own lane of the channel");
}

#[test]
fn names_are_folded_as_servers_do() {
    let it = bot(json!({"channels": ["#ÄRZTE"], "notify_events": "finished", "authz": {"force": ["ÄNNE"]}}));
    it.heard(update("started", "", "", ""));
    assert_eq!(only(&it.report(finished(2))).1, "#Ärzte");
    assert_eq!(only(&it.heard(update("message", "bo", "#ÄRZTE", "bbot: source"))).1, "#Ärzte");
    testing::masters(&["main"], |_, _, _| Answer { status: 0, headers: vec![], body: b"away".to_vec(), ended: "answered".into() });
    assert!(only(&it.heard(update("message", "Änne", "x", "force build a b"))).2.contains("cannot be asked"));
    assert!(only(&it.heard(update("message", "änne", "x", "force build a b"))).2.contains("may not use"), "it is somebody else's nick");
}

#[test]
fn dancing_and_what_people_do_to_it() {
    let it = bot(json!({}));
    assert_eq!(only(&it.heard(update("message", "a", "#ci", "bbot: dance"))).2.lines().count(), 5);
    assert_eq!(only(&it.heard(update("message", "a", "#ci", "bbot: destroy it"))), (Verb::Action, "#ci".into(), "readies phasers".into()));
    for (text, back) in [("kicks bbot", "kicks back"), ("hugs BBot", "hugs a too"), ("angrily threatens bbot!", "looks a in the eye")] {
        assert_eq!(only(&it.heard(update("action", "a", "#ci", text))), (Verb::Action, "#ci".into(), back.into()));
    }
    for text in ["hug bbot", "hugs bob", "bbot", ""] {
        assert_eq!(it.heard(update("action", "a", "#ci", text)).skipped(), "nobody did anything to the bot", "{text}");
    }
}
