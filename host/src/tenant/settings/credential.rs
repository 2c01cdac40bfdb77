//! Which settings of a component take secrets, and which are credentials: by what their schema says (`x-secret`), or else by
//! their names, which are those of Buildbot's documentation.

use super::shape::Shape;

/// What a setting is to secrets. What is within a table or a list is what that is, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// What is written here goes where no secret is put in.
    None,
    /// A secret may stand here.
    May,
    /// This is a credential.
    Is,
}

impl Trust {
    /// Of the setting `name` within one that is `self`. `named`: the schema knows it by this name; a name of somebody's own choice
    /// says nothing, but among headers.
    pub fn of(self, name: &str, named: bool, shape: Option<Shape<'_>>) -> Self {
        let said = shape.and_then(|shape| shape.keyword("x-secret")).and_then(serde_json::Value::as_bool);
        if said.is_none() && !named && self == Self::None {
            return Self::None;
        }
        match (said, is_credential(name)) {
            (Some(false), _) => Self::None,
            (_, true) => Self::Is,
            (Some(true), false) => Self::May,
            (None, false) if takes(name) => Self::May,
            (None, false) => self,
        }
    }

    /// Of an item of a list: `auth = ["user", "password"]`.
    pub fn of_item(self, list: &str, at: usize) -> Self {
        if list == "auth" && at == 1 { Self::Is } else { self }
    }
}

fn last_word(name: &str) -> String {
    let start = name.rfind('_').map_or(0, |at| at + 1);
    let word = &name[start..];
    let start = word.char_indices().rev().find(|(_, c)| c.is_uppercase()).map_or(0, |(at, _)| at);
    word[start..].to_lowercase()
}

/// Whether a setting of this name is a credential.
pub(super) fn is_credential(name: &str) -> bool {
    let key = name.to_lowercase().replace(['_', '-'], "");
    matches!(last_word(name).as_str(), "token" | "password" | "passwd" | "secret" | "passphrase" | "bearer" | "authorization")
        || ["apikey", "userkey", "privatekey", "accesskey", "oauthkey"].iter().any(|end| key.ends_with(end))
        || name == "identity"
}

/// Whose values are put in by the host: logins, headers of requests, and URLs.
fn takes(name: &str) -> bool {
    name == "auth" || name == "headers" || name == "user" || last_word(name) == "user" || name.to_lowercase().ends_with("url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_by_their_names() {
        let top = |name| Trust::None.of(name, true, None);
        for name in ["token", "bot_token", "auth_token", "password", "smtpPassword", "secret", "api_token", "user_key", "oauth_secret"] {
            assert_eq!(top(name), Trust::Is, "{name}");
        }
        for name in ["auth", "headers", "user", "smtpUser", "serverUrl", "baseURL", "base_url"] {
            assert_eq!(top(name), Trust::May, "{name}");
        }
        for name in ["context", "key", "extraHeaders", "subject", "builder_user_map", "sendToInterestedUsers", "startDescription", "stream"] {
            assert_eq!(top(name), Trust::None, "{name}");
        }
        assert_eq!(Trust::May.of_item("auth", 0), Trust::May);
        assert_eq!(Trust::May.of_item("auth", 1), Trust::Is);
        for (name, trust) in [("X-Trace", Trust::May), ("X-Api-Key", Trust::Is), ("X-Token", Trust::Is), ("Authorization", Trust::Is)] {
            assert_eq!(Trust::May.of(name, false, None), trust, "{name}");
        }
    }

    #[test]
    fn a_schema_has_the_first_word() {
        let schema = serde_json::json!({"properties": {"token": {"x-secret": false}, "params": {"x-secret": true}}});
        let shape = Shape::new(&schema);
        assert_eq!(Trust::None.of("token", true, shape.property("token")), Trust::None);
        assert_eq!(Trust::None.of("params", true, shape.property("params")), Trust::May);
        assert_eq!(Trust::None.of("secret", false, None), Trust::None, "a variable of a template");
    }
}
