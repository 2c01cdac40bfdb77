//! What Buildbot's own bot was asked and answered, asked of ours: who may do what, which builders, workers, events, schedulers and fields are
//! spoken of, and what the buttons do.

use std::collections::BTreeSet;
use std::sync::Arc;

use reporter_host::transport::{Body, Payload};
use reporter_host_tests::Kit;
use reporter_host_tests::recorded::{Master, Talk, conversation};
use serde_json::{Value, json};

use crate::markdown;

/// What the recorded bot was silent about, and why ours is not.
const NOW_ANSWERED: [(&str, &str); 6] = [
    ("/notify off failure", "taking away what is not there is no error"),
    ("/notify on nosuch", "an unknown event is said to be unknown"),
    ("/notify xx", "the usage is shown"),
    ("/list nosuch", "the usage is shown"),
    ("/watch nosuch", "an unknown builder is said to be unknown"),
    ("/version", "a message of blanks does not end it"),
];

/// One thing that was sent, of either bot.
struct Sent {
    method: String,
    text: String,
    answers: bool,
    /// Caption and data.
    buttons: Vec<(String, String)>,
}

fn sent(method: &str, body: &Value, shown: String) -> Sent {
    let rows = body["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let buttons = rows.iter().flat_map(|row| row.as_array().unwrap().clone()).map(|button| {
        let data = &button["callback_data"];
        (button["text"].as_str().unwrap().to_owned(), data.as_str().map_or_else(|| data.to_string(), str::to_owned))
    });
    let answers = body.get("reply_to_message_id").is_some_and(|id| !id.is_null());
    Sent { method: method.to_owned(), text: shown, answers, buttons: buttons.collect() }
}

fn ours(payload: &Payload) -> Sent {
    match payload {
        Payload::Http(request) => {
            let body: Value = match &request.body {
                Body::Json(text) => serde_json::from_str(text).unwrap(),
                _ => Value::Null,
            };
            let shown = body["text"].as_str().map(|text| if body["parse_mode"].is_null() { text.to_owned() } else { markdown::shown(text).unwrap() });
            sent(&request.path[0], &body, shown.unwrap_or_default())
        }
        Payload::Master(call) => {
            Sent { method: format!("act {} {}", call.method, call.path.join("/")), text: call.parameters.clone(), answers: false, buttons: vec![] }
        }
        other => panic!("{other:?}"),
    }
}

/// The words in backquotes.
fn names(all: &[Sent]) -> BTreeSet<String> {
    let of = |text: &str| text.split('`').skip(1).step_by(2).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    all.iter().flat_map(|one| of(&one.text)).collect()
}

/// What a caption says, without its signs.
fn plain(caption: &str) -> String {
    caption.chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect::<String>().trim().to_lowercase()
}

async fn hold(name: &str) {
    let master = Arc::new(Master::read());
    let mut kit = Kit::new();
    let settings = json!({"bot_token": "1:t", "bot_username": "oracle_bot", "chat_ids": [-5001], "notify_events": ["failure", "problem", "recovery", "worker"],
        "authz": {"": true, "!": [9001], "shutdown": [9001], "force, stop": [9001, 9002], "getid": true}});
    let mut talk = Talk::begin(&mut kit, "TelegramBot", &settings, &master).await;
    let mut keyboards: Vec<(String, String)> = Vec::new();
    let (mut compared, mut at) = (0, 1_000_000);
    for exchange in conversation("telegram", name) {
        let mut update = exchange["update"].clone();
        let note = exchange["note"].as_str().unwrap_or_default();
        // The recorded bot's long commands were numbers of its memory: what was pressed is found by its caption.
        if let (Some(caption), Some(press)) = (note.split(['«', '»']).nth(1), update.get_mut("callback_query")) {
            let found = keyboards
                .iter()
                .find(|(mine, _)| plain(mine).contains(&plain(caption)) || plain(mine).contains(&plain(caption).replace("including old ones", "all")));
            let (_, data) = found.unwrap_or_else(|| panic!("{name}: no button {caption:?} in {keyboards:?}"));
            press["data"] = json!(data);
        }
        // The recorded bot took whatever was said next in a group for the answer to its question; ours wants a reply to it.
        if update["message"]["text"] == "reason from group" {
            update["message"]["reply_to_message"] = json!({"message_id": 1, "from": {"is_bot": true}});
        }
        at += 5;
        let what = update["message"]["text"].as_str().or(update["callback_query"]["data"].as_str()).unwrap_or_default().to_owned();
        let mine: Vec<Sent> = talk.hears(json!({"kind": "update", "endpoint": "chats", "at": at, "update": update})).await.iter().map(ours).collect();
        let theirs = exchange["requests"].as_array().unwrap();
        let theirs: Vec<Sent> =
            theirs.iter().map(|it| sent(it["method"].as_str().unwrap(), &it["json"], it["json"]["text"].as_str().unwrap_or_default().to_owned())).collect();
        let said = |all: &[Sent]| all.iter().any(|one| one.method == "sendMessage" || one.method.starts_with("act "));
        if said(&theirs) {
            assert!(said(&mine), "{name}: {what:?} ({note}) is not answered");
        } else if said(&mine) {
            assert!(
                NOW_ANSWERED.iter().any(|(known, _)| *known == what.trim()),
                "{name}: {what:?} ({note}) is answered with {:?}",
                mine.iter().map(|it| &it.text).collect::<Vec<_>>()
            );
        }
        if update.get("callback_query").is_some() {
            assert!(mine.iter().any(|it| it.method == "answerCallbackQuery"), "{name}: {what:?} is not noticed");
        }
        // Who may do what: the recorded bot answers to the message itself when it refuses, and only then.
        let denied = theirs.iter().any(|it| it.answers);
        assert_eq!(mine.iter().any(|it| it.text.contains("You may not use")), denied, "{name}: {what:?} of {}", update["message"]["from"]["id"]);
        let head = what.split(' ').next().unwrap_or_default();
        if what.starts_with("/list") && what.contains("ers") || ["/status", "/last"].contains(&head) && !denied {
            let (mine, theirs) = (names(&mine), names(&theirs));
            // One builder is virtual and came after the conversation.
            assert!(theirs.is_subset(&mine), "{name}: {what:?}: {:?} are missing", theirs.difference(&mine));
            if what.contains("all") {
                let more: Vec<_> = mine.difference(&theirs).filter(|name| !name.starts_with("virt: ")).collect();
                assert!(more.is_empty(), "{name}: {what:?}: {more:?} are too many");
            }
            compared += 1;
        }
        if let Some(list) = mine.iter().find(|it| it.text.contains("events are announced here")) {
            let events: BTreeSet<&str> = list.text.split_once(": ").map(|(_, events)| events.trim_end_matches('.').split(", ").collect()).unwrap_or_default();
            let recorded: BTreeSet<&str> = theirs.iter().flat_map(|it| it.text.split("**").skip(1).step_by(2)).collect();
            if !recorded.is_empty() || theirs.iter().any(|it| it.text.contains("No events")) {
                assert_eq!(events, recorded, "{name}: {what:?}");
                compared += 1;
            }
        }
        for theirs in theirs.iter().filter(|it| !it.buttons.is_empty()) {
            let captions: Vec<String> = mine.iter().flat_map(|it| &it.buttons).map(|(caption, _)| plain(caption)).collect();
            for (caption, _) in &theirs.buttons {
                // Whether a field of the value 0 is to be set or changed, and what a menu calls its items, is wording.
                let last = plain(caption).replace("including old ones", "all").replace("set ", "").replace("change ", "");
                let last = last.split("last 10").next().unwrap_or_default().trim().to_owned();
                let same = |mine: &String| mine.contains(&last) || (last.starts_with("shutdown") || last.ends_with("shutdown")) && mine.contains("shut");
                // A default is a value: a build may be started with it.
                assert!(captions.iter().any(same), "{name}: {what:?}: no button {caption:?} in {captions:?}");
                compared += 1;
            }
        }
        if theirs.iter().any(|it| it.text.contains("Force build successfully requested")) {
            let forced = mine.iter().find(|it| it.method.starts_with("act force forceschedulers/"));
            let forced = forced.unwrap_or_else(|| panic!("{name}: {what:?} forces nothing"));
            assert!(forced.text.contains("forced by"), "{}", forced.text);
            compared += 1;
        }
        let new: Vec<(String, String)> = mine.into_iter().flat_map(|it| it.buttons).collect();
        if !new.is_empty() {
            keyboards = new;
        }
    }
    assert!(compared > 0 || name.starts_with("09") || name.starts_with("07") || name.starts_with("32"), "{name}: nothing was compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_conversations() {
    for name in ["01-basics", "02-list-buttons", "04-notify", "07-force-denied", "08-force", "09-odd-updates", "32-blank-text-kills-polling"] {
        hold(name).await;
    }
}
