//! The three methods of HipchatStatusPush that a subclass may have: every message to one room, only about builds that have ended, and in a colour, with
//! an alert where something failed.

use reporter_sdk::prelude::*;
use serde_json::{Value, json};

/// The methods.
pub struct Callbacks;

impl Formatter for Callbacks {
    type Settings = ();
    const SLOTS: &'static [&'static str] = &["chat-recipients", "chat-message", "chat-params"];

    fn format(_: &(), slot: &str, subjects: Subjects, context: Context) -> Result<Document, String> {
        let has_ended = context.text("event_name") == "finished";
        Ok(Document::json(match slot {
            "chat-recipients" => json!({"room_id_or_name": "AllBuildNotifications"}),
            "chat-message" if has_ended => json!("Build finished."),
            "chat-params" if has_ended => {
                let succeeded = subjects.build()?.results() == Some(SUCCESS);
                json!({"color": if succeeded { "green" } else { "red" }, "notify": !succeeded})
            }
            // Nobody is told.
            "chat-message" => Value::Null,
            _ => json!({}),
        }))
    }
}

reporter_sdk::export_formatter!(Callbacks);

#[cfg(test)]
mod tests {
    use reporter_sdk::testing;

    use super::*;

    #[test]
    fn what_ended_is_told_in_its_colour() {
        let said = |slot: &str, name: &str, results: Value| {
            let event = json!({"builds": [{"results": results, "builder": {"name": "linux"}}]});
            testing::format::<Callbacks>(json!({}), slot, event, json!({"event_name": name})).unwrap()
        };
        assert_eq!(said("chat-recipients", "new", Value::Null), json!({"room_id_or_name": "AllBuildNotifications"}));
        assert_eq!((said("chat-message", "new", Value::Null), said("chat-params", "new", Value::Null)), (Value::Null, json!({})));
        assert_eq!(said("chat-message", "finished", json!(0)), json!("Build finished."));
        assert_eq!(said("chat-params", "finished", json!(0)), json!({"color": "green", "notify": false}));
        assert_eq!(said("chat-params", "finished", json!(1)), json!({"color": "red", "notify": true}));
    }
}
