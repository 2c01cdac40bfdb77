//! The names that Buildbot's documentation gives its reporters, and how else they are spelled: on the page itself, as
//! plugins, as classes in their modules, and in releases before and after it.

/// Every reporter of the page, and those that later pages added, by their documented name.
pub const DOCUMENTED: &[&str] = &[
    "BitbucketServerCoreAPIStatusPush",
    "BitbucketServerPRCommentPush",
    "BitbucketServerStatusPush",
    "BitbucketStatusPush",
    "GerritStatusPush",
    "GerritVerifyStatusPush",
    "GitHubCommentPush",
    "GitHubStatusPush",
    "GitLabStatusPush",
    "HipchatStatusPush",
    "HttpStatusPush",
    "IRC",
    "MailNotifier",
    "PushjetNotifier",
    "PushoverNotifier",
    "TelegramBot",
    "ZulipStatusPush",
];

/// Names that mean another one: the class is `HipChatStatusPush` where the page says Hipchat; Stash is what Bitbucket Server was called.
const ALIASES: &[(&str, &str)] = &[
    ("BitBucketServerCoreAPIStatusPush", "BitbucketServerCoreAPIStatusPush"),
    ("BitBucketServerPRCommentPush", "BitbucketServerPRCommentPush"),
    ("BitBucketServerStatusPush", "BitbucketServerStatusPush"),
    ("BitBucketStatusPush", "BitbucketStatusPush"),
    ("HipChatStatusPush", "HipchatStatusPush"),
    ("StashStatusPush", "BitbucketServerStatusPush"),
];

/// Modules that may stand before a name: `reporters.irc.IRC`, `buildbot.reporters.mail.MailNotifier`.
const MODULES: &[&str] = &[
    "bitbucket",
    "bitbucketserver",
    "buildbot",
    "gerrit",
    "gerrit_verify_status",
    "github",
    "gitlab",
    "hipchat",
    "http",
    "irc",
    "mail",
    "plugins",
    "pushjet",
    "pushover",
    "reporters",
    "stash",
    "telegram",
    "zulip",
];

/// The documented name of a spelling; none if nothing is known by it.
pub fn canonical(spelling: &str) -> Option<&'static str> {
    let (modules, name) = spelling.rsplit_once('.').map_or((None, spelling), |(modules, name)| (Some(modules), name));
    if modules.is_some_and(|modules| modules.split('.').any(|module| !MODULES.contains(&module))) {
        return None;
    }
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
    DOCUMENTED.iter().copied().find(|documented| *documented == name)
}

/// Documented names that no component is built in for.
pub fn not_yet_built() -> impl Iterator<Item = &'static str> {
    DOCUMENTED.iter().copied().filter(|name| crate::find(name).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (spelling, name) in [
            ("MailNotifier", Some("MailNotifier")),
            ("mail.MailNotifier", Some("MailNotifier")),
            ("reporters.MailNotifier", Some("MailNotifier")),
            ("buildbot.reporters.mail.MailNotifier", Some("MailNotifier")),
            ("irc.IRC", Some("IRC")),
            ("reporters.IRC", Some("IRC")),
            ("reporters.irc.IRC", Some("IRC")),
            ("HipchatStatusPush", Some("HipchatStatusPush")),
            ("HipChatStatusPush", Some("HipchatStatusPush")),
            ("BitBucketServerPRCommentPush", Some("BitbucketServerPRCommentPush")),
            ("reporters.BitbucketServerPRCommentPush", Some("BitbucketServerPRCommentPush")),
            ("StashStatusPush", Some("BitbucketServerStatusPush")),
            ("mine.MailNotifier", None),
            ("MailNotifer", None),
            ("reporters.", None),
            ("", None),
        ] {
            assert_eq!(canonical(spelling), name, "{spelling}");
        }
    }

    #[test]
    fn every_documented_name_is_its_own() {
        for name in DOCUMENTED {
            assert_eq!(canonical(name), Some(*name));
        }
        assert!(DOCUMENTED.is_sorted());
        assert!(crate::all().iter().all(|built_in| DOCUMENTED.contains(&built_in.name)));
    }
}
