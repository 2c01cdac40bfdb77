//! Edge cases that a real master does not show on demand, against one that is made up: no WebSocket, a session that
//! expires, a database that is replaced. What a real master does is tested in tests/master.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::made::*;
use super::*;
use crate::event::{Acted, Fetch, FetchError};
use crate::secret::Plain;
use crate::source::memory::Memory;
use crate::source::now;

#[tokio::test]
async fn the_last_cookie_of_a_login_wins_and_a_lost_session_is_opened_again() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    made.lock().unwrap().session = Some(0);
    let anonymous = master(&url, false);
    let FetchError::NotNow(why) = anonymous.fetch("builders/1/builds").await.unwrap_err() else { panic!("a refusal is for now") };
    assert!(why.contains("you need to have role 'admins'") && why.contains("`user`"), "{why}");

    let master = master(&url, true);
    master.fetch("workers").await.unwrap();
    assert_eq!(made.lock().unwrap().logins, 1);
    made.lock().unwrap().session = Some(77);
    let both = tokio::join!(master.fetch("workers"), master.fetch("workers"));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(made.lock().unwrap().logins, 2);
    assert!(matches!(master.fetch("nosuch").await, Err(FetchError::Missing(_))));
}

#[tokio::test]
async fn half_a_shutdown_is_told_as_such() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let master = master(&url, true);
    let worker = |id: i64| json!({"workerid": id, "name": format!("w{id}"), "configured_on": [{"builderid": 1}], "connected_to": [1], "paused": false});
    let begin = |kept: &[i64], ends_after| {
        let mut made = made.lock().unwrap();
        made.workers = (1..=3).map(worker).collect();
        (made.kept, made.ends_after) = (kept.to_vec(), ends_after);
    };
    let paused = || made.lock().unwrap().workers.iter().filter(|worker| worker["paused"] == true).count();
    let act = async |method: &str| master.act("shutdown", method, json!({"reason": "asked for by ann"})).await;

    begin(&[2], None);
    let refused = "you need to have role 'boss'";
    assert_eq!(act("start").await, Acted::Refused(403, format!("only 2 of 3 workers are paused, and stay so; w2: {refused}")));
    assert_eq!(paused(), 2, "one that refuses does not keep the others from it");
    let state = async |master: &Arc<Master>| master.fetch("shutdown").await.unwrap()[0]["state"].as_str().unwrap().to_owned();
    assert_eq!(state(&master).await, "running, with 2 of 3 workers paused");
    made.lock().unwrap().kept = vec![1];
    assert_eq!(act("stop").await, Acted::Refused(403, format!("only 1 of 2 workers are unpaused, and stay so; w1: {refused}")));
    begin(&[1, 2, 3], None);
    assert_eq!(act("start").await, Acted::Refused(403, format!("no worker is paused; w1: {refused}; w2: {refused}; w3: {refused}")));
    begin(&[], Some(1));
    let Acted::Lost(why) = act("start").await else { panic!("it is not known whether the second is paused") };
    assert!(why.starts_with("1 of 3 workers are paused, then w2: it answers 504"), "{why}");
    begin(&[], None);
    assert_eq!(state(&master).await, "running");
    assert!(matches!(act("start").await, Acted::Done(done) if done.as_str().unwrap().contains("3 workers are paused")));
    assert_eq!(state(&master).await, "shutting down");
    made.lock().unwrap().workers = vec![worker(1)];
    assert!(matches!(act("start").await, Acted::Done(done) if done.as_str().unwrap().contains("1 worker is paused")));

    // What a command begins nobody sees.
    let master = with_command(&url, true, Some(vec!["true".into()]));
    made.lock().unwrap().workers = vec![worker(1)];
    for _ in 0..2 {
        assert_eq!(state(&master).await, "up; whether it is shutting down cannot be seen from outside");
        assert!(matches!(master.act("shutdown", "start", json!({})).await, Acted::Done(_)));
    }
}

#[tokio::test]
async fn first_start_begins_now_and_later_ones_where_the_last_ended() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    let t = now() - 100;
    made.lock().unwrap().builds = vec![build(1, t, Some(0)), build(2, t, None)];
    until(&master(&url, false), &made, &journal, &[]).await;

    // More than a page, one of them open all the while, one not announced yet.
    {
        let mut made = made.lock().unwrap();
        made.builds[1] = build(2, t, Some(5));
        made.builds.extend((3..=452).map(|id| build(id, t + 10, Some(0))));
        made.builds.push(build(453, t + 10, None));
        let mut unannounced = build(454, t + 10, None);
        unannounced["state_string"] = json!("created");
        made.builds.push(unannounced);
        made.requests = vec![
            json!({"buildrequestid": 900, "buildsetid": 1, "builderid": 1, "submitted_at": t + 30, "complete": true, "complete_at": t + 31, "results": 6}),
        ];
        made.sets = vec![json!({"bsid": 1, "submitted_at": t + 30, "complete": true, "complete_at": t + 31, "results": 6})];
    }
    let mut ids = vec!["main/builds/2/finished".to_owned()];
    ids.extend((3..=453).map(|id| format!("main/builds/{id}/new")));
    ids.extend((3..=452).map(|id| format!("main/builds/{id}/finished")));
    ids.extend(["main/buildrequests/900/new", "main/buildrequests/900/cancel", "main/buildsets/1/complete"].map(str::to_owned));
    let expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    until(&master(&url, false), &made, &journal, &expected).await;
    let events = journal.events();
    let started = &events.iter().find(|(event, _)| event.id == "main/builds/3/new").unwrap();
    assert_eq!((&started.0.message["complete"], &started.0.message["results"], &started.0.message["complete_at"]), (&json!(false), &json!(null), &json!(null)));
    assert!(started.0.late);
    assert_eq!(started.1, [("builders/1".to_owned(), vec![json!({"builderid": 1, "name": "b"})])]);

    {
        let mut made = made.lock().unwrap();
        made.builds[453] = build(454, t + 10, Some(2));
    }
    ids.extend(["main/builds/454/new", "main/builds/454/finished"].map(str::to_owned));
    let expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    until(&master(&url, false), &made, &journal, &expected).await;
}

#[tokio::test]
async fn a_replaced_database_does_not_silence_the_master() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    let t = now() - 50;
    made.lock().unwrap().builds = vec![build(1, t, Some(0)), build(2, t, Some(0))];
    until(&master(&url, false), &made, &journal, &[]).await;
    made.lock().unwrap().builds.push(build(3, t + 1, Some(0)));
    until(&master(&url, false), &made, &journal, &["main/builds/3/new", "main/builds/3/finished"]).await;

    // One that was not to be done has no start.
    made.lock().unwrap().builds.push(build(4, t + 2, Some(3)));
    let mut expected = vec!["main/builds/3/new", "main/builds/3/finished", "main/builds/4/finished"];
    until(&master(&url, false), &made, &journal, &expected).await;

    // Fewer builds than before, then more: both times others than those that had these ids.
    let t = now() + 1;
    made.lock().unwrap().builds = vec![build(1, t, Some(0))];
    expected.extend(["main/generation-2/builds/1/new", "main/generation-2/builds/1/finished"]);
    until(&master(&url, false), &made, &journal, &expected).await;
    made.lock().unwrap().builds = vec![build(1, t + 7, Some(0)), build(2, t + 8, None)];
    expected.extend(["main/generation-3/builds/1/new", "main/generation-3/builds/2/new", "main/generation-3/builds/1/finished"]);
    until(&master(&url, false), &made, &journal, &expected).await;
}

#[tokio::test]
async fn what_is_older_than_the_longest_absence_is_left_out() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    let old = now() - 3 * 86_400;
    made.lock().unwrap().builds = vec![build(1, old, None), build(2, old, None)];
    until(&master(&url, false), &made, &journal, &[]).await;
    // As if the host had been away since then.
    let cursor = crate::source::Journal::cursor(journal.as_ref(), "main").await.unwrap().unwrap();
    let mut cursor: Value = serde_json::from_str(&cursor).unwrap();
    cursor["time"] = json!(old);
    crate::source::Journal::journal(journal.as_ref(), "main", Some(cursor.to_string()), Vec::new()).await.unwrap();
    {
        let mut made = made.lock().unwrap();
        made.builds[0] = build(1, old, Some(0));
        made.builds[1]["complete"] = json!(true);
        made.builds[1]["complete_at"] = json!(now() - 10);
        made.builds.push(build(3, old + 60, Some(0)));
        made.builds.push(build(4, now() - 20, Some(0)));
    }
    until(&master(&url, false), &made, &journal, &["main/builds/4/new", "main/builds/4/finished", "main/builds/2/finished"]).await;
}

#[tokio::test]
async fn catch_up_from_says_where_the_first_start_begins() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    let t = now() - 10 * 86_400;
    made.lock().unwrap().builds = vec![build(1, t - 100, Some(0)), build(2, t - 3, Some(1)), build(3, t + 9, Some(0))];
    let mut settings = master(&url, false).settings.clone();
    settings.catch_up_from = Some(t);
    let master = Master::new("main", settings, Arc::new(|| Ok(None)), operator()).unwrap();
    until(&master, &made, &journal, &["main/builds/2/finished", "main/builds/3/new", "main/builds/3/finished"]).await;
}

#[tokio::test]
async fn a_worker_that_left_while_nobody_listened_is_missing_once_and_back_once() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    let worker = |id: i64, there: bool| json!({"workerid": id, "name": "w", "configured_on": [{"builderid": 1}], "connected_to": if there { json!([1]) } else { json!([]) }});
    made.lock().unwrap().workers = vec![worker(1, true), worker(2, false)];
    until(&master(&url, false), &made, &journal, &[]).await;
    made.lock().unwrap().workers = vec![worker(1, false), worker(2, false)];
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(master(&url, false).run(journal.clone(), shutdown));
    while journal.ids().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    let missing = journal.ids()[0].clone();
    assert!(missing.starts_with("main/workers/1/missing/"), "{missing}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    until(&master(&url, false), &made, &journal, &[&missing]).await;
    made.lock().unwrap().workers = vec![worker(1, true), worker(2, true)];
    until(&master(&url, false), &made, &journal, &[&missing, &missing.replace("missing", "connected")]).await;
}

#[tokio::test]
async fn owners_are_waited_for_and_logs_are_read_in_pages() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let mut starting = build(1, now(), None);
    starting["state_string"] = json!("starting");
    made.lock().unwrap().builds = vec![starting];
    made.lock().unwrap().late_owners = 3;
    let master = master(&url, false);
    assert_eq!(master.fetch("builds/1/properties").await.unwrap()[0]["owners"], json!([["alice"], "Build"]));

    let log = master.fetch("logs/9/contents").await.unwrap();
    let content = log[0]["content"].as_str().unwrap();
    assert!(log[0]["cut"] == json!(true) && content.len() <= 20_000 && content.ends_with(" é\n"));
    let mut settings = master.settings.clone();
    settings.most_log_bytes = 1 << 20;
    let whole = Master::new("main", settings, Arc::new(|| Ok(None)), operator()).unwrap().fetch("logs/9/contents").await.unwrap();
    assert!(whole[0].get("cut").is_none());
    assert_eq!(whole[0]["content"].as_str().unwrap(), (0..3000).map(|n| format!("oline {n} é\n")).collect::<String>());
}

#[tokio::test]
async fn a_build_is_reported_whatever_python_takes_for_json() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    until(&master(&url, false), &made, &journal, &[]).await;
    made.lock().unwrap().builds = vec![build(1, now(), Some(0))];
    made.lock().unwrap().written = vec![
        ("workers", r#"{"workers": [{"workerid": 1, "name": "w\udcff", "connected_to": [], "configured_on": [], "load": NaN}], "meta": {"total": -Infinity}}"#),
        ("builds/1/properties", r#"{"properties": [{"owners": [["alice"], "Build"], "limit": [Infinity, "Step"], "file": ["a\udcffb", "Step"]}]}"#),
        ("builds/2/properties", r#"{"properties": [{"owners": NaN}"#),
    ];
    until(&master(&url, false), &made, &journal, &["main/builds/1/new", "main/builds/1/finished"]).await;
    let properties = master(&url, false).fetch("builds/1/properties").await.unwrap();
    assert_eq!(properties, [json!({"owners": [["alice"], "Build"], "limit": [null, "Step"], "file": ["a\u{fffd}b", "Step"]})]);
    let FetchError::NotNow(why) = master(&url, false).fetch("builds/2/properties").await.unwrap_err() else { panic!("half an answer is for now") };
    assert!(why.contains("the answer is no JSON (expected value at line 1 column 28)"), "{why}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_hung_up_on() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    for (path, with_login) in [("login", true), ("workers", false)] {
        made.lock().unwrap().endless = Some(path);
        made.lock().unwrap().session = with_login.then_some(9);
        let FetchError::NotNow(why) = master(&url, with_login).fetch("workers").await.unwrap_err() else { panic!("{path} is only for now") };
        assert!(why.contains(path) && why.contains(url.as_str()) && why.contains("goes on after") && why.contains(" bytes"), "{path}: {why}");
        let went_out = std::mem::take(&mut made.lock().unwrap().went_out);
        assert!(went_out < 64 << 20, "{path}: {went_out} bytes");
    }
}

#[tokio::test]
async fn a_master_that_hangs_up_is_to_be_restarted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let hangs_up = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let why = async |with_login| match master(&url, with_login).fetch("workers").await.unwrap_err() {
        FetchError::NotNow(why) => why,
        FetchError::Missing(why) => panic!("{why}"),
    };
    for with_login in [false, true] {
        let why = why(with_login).await;
        assert!(why.contains("has to be restarted"), "{why}");
    }
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}/", other.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = other.accept().await {
            tokio::io::AsyncWriteExt::write_all(&mut connection, b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        }
    });
    let FetchError::NotNow(said) = master(&elsewhere, false).fetch("workers").await.unwrap_err() else { panic!("it is no master") };
    assert!(!said.contains("has to be restarted"), "{said}");
    hangs_up.abort();
    let _ = hangs_up.await;
    let why = why(false).await;
    assert!(!why.contains("has to be restarted"), "nobody is there: {why}");
}

#[tokio::test]
async fn a_source_goes_on_after_an_answer_without_an_end() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    until(&master(&url, false), &made, &journal, &[]).await;
    made.lock().unwrap().builds = vec![build(1, now(), None)];
    made.lock().unwrap().endless = Some("builds");
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(master(&url, false).run(journal.clone(), shutdown));
    while made.lock().unwrap().went_out == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    made.lock().unwrap().endless = None;
    while journal.ids().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(journal.ids(), ["main/builds/1/new"]);
}

#[tokio::test]
async fn a_master_is_reached_only_where_the_policy_permits() {
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let denies = Arc::new(Policy::operator().with_lists(&[], &["127.0.0.0/8".into(), "::1".into()]).unwrap());
    let mut named = url.clone();
    named.set_host(Some("localhost")).unwrap();
    for url in [url, named] {
        let settings = master(&url, true).settings.clone();
        let master = Master::new("main", settings, Arc::new(|| Ok(Some((Plain::new("admin"), Plain::new("secret"))))), denies.clone()).unwrap();
        let FetchError::NotNow(why) = master.fetch("workers").await.unwrap_err() else { panic!("{url}: the policy may change") };
        assert!(why.contains("[network] deny has"), "{why}");
    }
    let made = made.lock().unwrap();
    assert!(made.asked.is_empty() && made.logins == 0);
}

#[tokio::test]
async fn a_long_absence_is_caught_up_part_by_part() {
    const BUILDS: i64 = 3_300;
    let made = Shared::default();
    let url = serve(made.clone()).await;
    let journal = Arc::new(Memory::default());
    let t = now() - 10 * 86_400;
    {
        let mut made = made.lock().unwrap();
        made.builds = (1..=BUILDS).map(|id| build(id, t + id, Some(0))).collect();
        // One that goes on through all the others, and one that ended before the last had begun.
        made.builds[0]["complete_at"] = json!(t + BUILDS + 100);
        made.builds[1]["complete_at"] = json!(t + BUILDS - 1_000);
        made.requests = (1..=BUILDS)
            .map(|id| json!({"buildrequestid": id, "buildsetid": id, "builderid": 1, "submitted_at": t + id - 1, "complete": true, "complete_at": t + id + 6, "results": 0}))
            .collect();
    }
    let mut settings = master(&url, false).settings.clone();
    settings.catch_up_from = Some(t);
    // In the midst of it the host ends.
    let begin = || Master::new("main", settings.clone(), Arc::new(|| Ok(None)), operator()).unwrap();
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(begin().run(journal.clone(), shutdown));
    while journal.ids().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    let parts = journal.events();
    assert!(parts.len() < 3 * BUILDS as usize, "{} are not all", parts.len());
    made.lock().unwrap().asked.clear();

    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(begin().run(journal.clone(), shutdown));
    while journal.ids().len() < 3 * BUILDS as usize {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    let events = journal.events();
    assert_eq!(events.len(), 3 * BUILDS as usize);
    let times: Vec<i64> = events.iter().map(|(event, _)| event.occurred_at).collect();
    assert!(times.is_sorted(), "all in the order of time");
    assert_eq!(events.last().unwrap().0.id, "main/builds/1/finished");
    let asked = made.lock().unwrap().asked.clone();
    assert!(!asked.iter().any(|path| path.starts_with("builds?buildid__gt=0&")), "what was journalled is not read again: {asked:?}");
    assert!(journal.largest() <= 4_000, "{} at a time", journal.largest());
}
