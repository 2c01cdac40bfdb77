//! Who may do what.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::component::Problems;
use crate::settings::pointer;

/// The rights, as the setting `authz` gives them.
///
/// A key is a command, several of them divided by commas (`"force, stop"`), `""` for every harmless command, `"!"` for every dangerous
/// one, or `"*"` for all. A value is `true` (everybody), `false` (nobody), a user, or a list of users. What is said of a command counts
/// before what is said of all, and `"*"` before `""` and `"!"`. Without anything harmless commands are for everybody and dangerous ones for nobody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authz(BTreeMap<String, Who>);

#[derive(Clone, Debug, PartialEq)]
enum Who {
    Everybody,
    Nobody,
    These(Vec<String>),
}

/// A protocol's way to write a user in the settings.
pub trait User {
    /// As it is compared; none if it cannot be a user.
    fn user(value: &Value) -> Option<String>;
    /// What to write.
    const FORM: &'static str;
}

/// By what somebody is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// What nobody else can take; none if there is nothing like that.
    pub sure: Option<String>,
    /// What counts if the protocol vouches for nobody.
    pub claimed: Option<String>,
}

impl Identity {
    fn is(&self, user: &str) -> bool {
        [&self.sure, &self.claimed].into_iter().flatten().any(|known| known == user)
    }
}

impl Authz {
    /// Reads the setting.
    ///
    /// # Errors
    ///
    /// Commands that do not exist or have two rules, values that are no users.
    pub fn parse<U: User>(setting: &Map<String, Value>, commands: &[&str]) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut rights = BTreeMap::new();
        for (key, value) in setting {
            let at = pointer("/authz", key);
            let who = match value {
                Value::Bool(true) => Some(Who::Everybody),
                Value::Bool(false) => Some(Who::Nobody),
                Value::Array(users) => users.iter().map(U::user).collect::<Option<_>>().map(Who::These),
                one => U::user(one).map(|user| Who::These(vec![user])),
            };
            let Some(who) = who else {
                problems.add(at, format!("write true, false, or a list of {}", U::FORM));
                continue;
            };
            for word in key.split(',') {
                let word = word.trim().to_lowercase();
                if !matches!(word.as_str(), "" | "!" | "*") && !commands.contains(&word.as_str()) {
                    problems.add(&at, format!("there is no command {word:?}; there are {}, and \"\", \"!\" and \"*\"", commands.join(", ")));
                }
                if rights.insert(word.clone(), who.clone()).is_some() {
                    problems.add(&at, format!("{word:?} has a rule already: name a command once"));
                }
            }
        }
        problems.or(Self(rights))
    }

    /// Gives a command to everybody.
    pub fn open(&mut self, command: &str) {
        self.0.insert(command.into(), Who::Everybody);
    }

    /// Whether somebody may use a command.
    pub fn allows(&self, command: &str, dangerous: bool, who: &Identity) -> bool {
        let default = if dangerous { "!" } else { "" };
        let rule = [command, "*", default].into_iter().find_map(|key| self.0.get(key));
        match rule {
            None => !dangerous,
            Some(Who::Everybody) => true,
            Some(Who::Nobody) => false,
            Some(Who::These(users)) => users.iter().any(|user| who.is(user)),
        }
    }

    /// Whether somebody is allowed a command by its own name, and not only by what holds for all.
    pub fn names(&self, command: &str, who: &Identity) -> bool {
        self.0.contains_key(command) && self.allows(command, true, who)
    }

    /// Whether something is to be remembered of somebody: unless harmless commands are open, only of those who are named.
    pub fn knows(&self, who: &Identity) -> bool {
        !self.0.contains_key("")
            || self.0.values().any(|rule| match rule {
                Who::Everybody => true,
                Who::Nobody => false,
                Who::These(users) => users.iter().any(|user| who.is(user)),
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Nick;
    impl User for Nick {
        fn user(value: &Value) -> Option<String> {
            value.as_str().map(str::to_lowercase)
        }
        const FORM: &'static str = "nicks";
    }

    const COMMANDS: [&str; 5] = ["version", "status", "force", "stop", "shutdown"];

    fn authz(setting: Value) -> Authz {
        Authz::parse::<Nick>(setting.as_object().unwrap(), &COMMANDS).unwrap()
    }

    fn who(name: &str) -> Identity {
        Identity { sure: None, claimed: Some(name.into()) }
    }

    fn may(authz: &Authz, name: &str) -> String {
        let allowed = |command: &&&str| authz.allows(command, matches!(**command, "force" | "stop" | "shutdown"), &who(name));
        COMMANDS.iter().filter(allowed).copied().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_pages_table() {
        let page = authz(json!({"version": true, "": ["alice", "bob"], "force, stop": ["alice"]}));
        assert_eq!(may(&page, "alice"), "version status force stop");
        assert_eq!(may(&page, "bob"), "version status");
        assert_eq!(may(&page, "carol"), "version");
        assert!(page.knows(&who("carol")), "version is for everybody");
    }

    #[test]
    fn defaults_one_user_and_everything() {
        assert_eq!(may(&Authz::default(), "x"), "version status");
        let one = authz(json!({"force, STOP": "AuthorizedNick"}));
        assert_eq!(may(&one, "authorizednick"), "version status force stop");
        assert_eq!(may(&one, "x"), "version status");
        assert_eq!(may(&authz(json!({"!": true})), "x"), "version status force stop shutdown");
        assert_eq!(may(&authz(json!({"*": ["a"], "version": true})), "a"), "version status force stop shutdown");
        assert_eq!(may(&authz(json!({"*": ["a"], "version": true})), "b"), "version");
        assert_eq!(may(&authz(json!({"": false, "!": false})), "b"), "");
        let strict = authz(json!({"": ["a"]}));
        assert!(strict.knows(&who("a")) && !strict.knows(&who("b")));
    }

    #[test]
    fn what_nobody_else_can_take_counts_too() {
        let rights = authz(json!({"force": ["alice"]}));
        let sure = |account: Option<&str>| Identity { sure: account.map(str::to_owned), claimed: None };
        assert!(rights.allows("force", true, &sure(Some("alice"))));
        assert!(!rights.allows("force", true, &sure(None)));
        assert!(rights.names("force", &sure(Some("alice"))) && !rights.names("stop", &sure(Some("alice"))));
    }

    #[test]
    fn mistakes() {
        let wrong = |setting: Value| Authz::parse::<Nick>(setting.as_object().unwrap(), &COMMANDS).unwrap_err().0.remove(0);
        assert_eq!(wrong(json!({"force": 3})).at, "/authz/force");
        assert!(wrong(json!({"force": [3]})).message.contains("nicks"));
        for twice in [json!({"force": true, "force, stop": ["a"]}), json!({"Force": true, "force": false}), json!({"stop, stop": true})] {
            let wrong = wrong(twice.clone());
            assert!(wrong.message.contains("has a rule already"), "{twice}: {wrong:?}");
        }
        let unknown = wrong(json!({"force, jump": true}));
        assert!(unknown.at == "/authz/force, jump" && unknown.message.contains("\"jump\""), "{unknown:?}");
    }
}
