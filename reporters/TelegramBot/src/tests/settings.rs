//! Settings, and the plan that they make.

use super::*;

#[test]
fn the_plan() {
    let it = bot(json!({"chat_ids": [GROUP, "@builds", "12"], "notify_events": ["problem"], "pollTimeout": 60, "retryDelay": 5}));
    let [chats, groups] = &it.plan.endpoints[..] else { panic!("{:?}", it.plan.endpoints) };
    assert_eq!((chats.name.as_str(), groups.name.as_str()), ("chats", "groups"));
    assert_eq!((&chats.settings["base_url"], &chats.settings["probe"]), (&json!("https://api.telegram.org/bot111:AAA"), &json!(["getMe"])));
    let poll = &chats.settings["updates"]["poll"];
    assert_eq!((&poll["wait"], &poll["pause"], &poll["before"]["path"]), (&json!(60), &json!(5), &json!(["deleteWebhook"])));
    let body: Value = serde_json::from_str(poll["request"]["body"]["json"].as_str().unwrap()).unwrap();
    assert_eq!(body["timeout"], 60);
    assert!(groups.settings.get("updates").is_none());
    assert_eq!(groups.settings["lane_limits"][1], json!({"most": 20, "seconds": 61}));
    let fallback: Value = serde_json::from_str(groups.fallback.as_ref().unwrap()["body"]["json"].as_str().unwrap()).unwrap();
    assert_eq!(fallback, json!({"chat_id": GROUP, "text": "{text}"}));
    let default = bot(json!({}));
    let poll = &default.plan.endpoints[0].settings["updates"]["poll"];
    assert_eq!((&poll["wait"], &poll["pause"]), (&json!(120), &json!(30)));
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let hook = bot(json!({"useWebhook": true, "webhookUrl": "https://ci.example:8443/telegram", "certificate": pem}));
    let webhook = &hook.plan.endpoints[0].settings["updates"]["webhook"];
    assert_eq!(webhook["url"], "https://ci.example:8443/telegram");
    assert_eq!(webhook["register"]["query"][0], json!(["url", "{url}"]));
    assert!(webhook["register"]["headers"][0][1].as_str().unwrap().starts_with("multipart/form-data; boundary="));
    let part = webhook["register"]["body"]["text"].as_str().unwrap();
    assert!(part.contains("name=\"certificate\"") && part.contains("MIIB"), "{part}");
    for url in
        ["https://ci.example/x", "https://ci.example:443/x", "https://ci.example:80", "https://ci.example:88/", "https://[2001:db8::1]:8443/x", "HTTPS://h"]
    {
        bot(json!({"useWebhook": true, "webhookUrl": url}));
    }
}

#[test]
fn mistakes_are_found_where_they_are() {
    for (more, at, part) in [
        (json!({"bot_token": " "}), "/bot_token", "BotFather"),
        (json!({"bot_token": "1/2"}), "/bot_token", "BotFather"),
        (json!({"bot_username": "my bot"}), "/bot_username", "underscores"),
        (json!({"chat_ids": ["builds"]}), "/chat_ids/0", "\"@channel\""),
        (json!({"chat_ids": [0]}), "/chat_ids/0", "getid"),
        (json!({"notify_events": ["begin"]}), "/notify_events/0", "failureToSuccess"),
        (json!({"authz": {"force": ["authorizednick"]}}), "/authz/force", "getid"),
        (json!({"authz": {"force": -5}}), "/authz/force", "numbers"),
        (json!({"authz": {"mute": true}}), "/authz/mute", "no command"),
        (json!({"useWebhook": true}), "/useWebhook", "webhookUrl"),
        (json!({"useWebhook": true, "webhookUrl": "http://ci.example/"}), "/webhookUrl", "https"),
        (json!({"useWebhook": true, "webhookUrl": "https://ci.example:8080/"}), "/webhookUrl", "443, 80, 88 and 8443"),
        (json!({"useWebhook": true, "webhookUrl": "https://ci.example:x/"}), "/webhookUrl", "8443"),
        (json!({"useWebhook": true, "webhookUrl": "https://ci.example/?a=b"}), "/webhookUrl", "query"),
        (json!({"webhookUrl": "https://ci.example/"}), "/webhookUrl", "useWebhook = true"),
        (json!({"certificate": "x"}), "/certificate", "BEGIN CERTIFICATE"),
        (json!({"retryDelay": 0}), "/retryDelay", "3600"),
        (json!({"pollTimeout": 601}), "/pollTimeout", "600"),
    ] {
        let found = problems(more.clone());
        assert!(found.iter().any(|(place, message)| place == at && message.contains(part)), "{more}: {found:?}");
    }
    assert!(testing::configure::<TelegramBot>(json!({})).unwrap_err().0[0].message.contains("bot_token"));
}
