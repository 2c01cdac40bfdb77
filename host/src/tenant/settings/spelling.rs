//! Names as Buildbot's page and its examples spell them, and the one spelling that the host goes by.

/// The reporters of Buildbot's page, by the names of its headings, and the one that later pages add.
pub const REPORTERS: [&str; 17] = [
    "MailNotifier",
    "PushoverNotifier",
    "PushjetNotifier",
    "IRC",
    "TelegramBot",
    "GerritStatusPush",
    "HttpStatusPush",
    "GitHubStatusPush",
    "GitHubCommentPush",
    "BitbucketServerStatusPush",
    "BitbucketServerPRCommentPush",
    "BitbucketServerCoreAPIStatusPush",
    "BitbucketStatusPush",
    "GitLabStatusPush",
    "HipchatStatusPush",
    "GerritVerifyStatusPush",
    "ZulipStatusPush",
];

/// Another word for a reporter.
const OTHER_REPORTERS: [(&str, &str); 1] = [("StashStatusPush", "BitbucketServerStatusPush")];

/// Another word for an argument: of which reporter (empty: of any), as written, as meant.
const OTHER_ARGUMENTS: [(&str, &str, &str); 3] = [
    ("", "messageFormatterMissingWorkers", "messageFormatterMissingWorker"),
    ("TelegramBot", "userWebhook", "useWebhook"),
    ("HttpStatusPush", "skip_encoding", "skipEncoding"),
];

/// Arguments that take an address which the page itself writes without a scheme.
const WITHOUT_SCHEME: [(&str, &str); 2] = [("ZulipStatusPush", "endpoint"), ("HipchatStatusPush", "endpoint")];

/// The documented name of a reporter: `irc.IRC`, `reporters.HipChatStatusPush` and
/// `BitBucketServerPRCommentPush` have one, what is no reporter of the page has none.
pub fn reporter(written: &str) -> Option<&'static str> {
    let class = written.trim().rsplit('.').next()?;
    let same = |name: &str| name.eq_ignore_ascii_case(class);
    REPORTERS.into_iter().find(|name| same(name)).or_else(|| OTHER_REPORTERS.into_iter().find(|(other, _)| same(other)).map(|(_, name)| name))
}

/// What an argument stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The same under this name.
    Renamed(&'static str),
    /// The opposite of the truth value under this name.
    Inverted(&'static str),
}

/// What an argument that a reporter does not have stands for, if the page spells it that way.
pub fn argument(reporter: &str, written: &str) -> Option<Argument> {
    if (reporter, written) == ("TelegramBot", "usePolling") {
        return Some(Argument::Inverted("useWebhook"));
    }
    OTHER_ARGUMENTS.into_iter().find(|(of, other, _)| (of.is_empty() || *of == reporter) && *other == written).map(|(_, _, name)| Argument::Renamed(name))
}

/// The URL that is meant, if the page writes this argument without one and so did the operator.
pub fn with_scheme(reporter: &str, argument: &str, written: &str) -> Option<String> {
    if written.is_empty() || !WITHOUT_SCHEME.contains(&(reporter, argument)) {
        return None;
    }
    // The page has an organization's server as if it were a mail address.
    let (scheme, address) = written.trim().split_once("://").map_or((None, written), |(scheme, address)| (Some(scheme), address));
    match address.trim_end_matches('/').strip_suffix("@zulipchat.com") {
        Some(organization) if reporter == "ZulipStatusPush" && !organization.contains([':', '/', '@']) => Some(format!("https://{organization}.zulipchat.com")),
        _ => scheme.is_none().then(|| format!("https://{written}")),
    }
}

/// The candidate that was probably meant.
pub fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let written = plain(written);
    candidates
        .into_iter()
        .map(|candidate| (likeness(&written, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

fn likeness(written: &str, candidate: &str) -> f64 {
    // Of short words, two letters in the wrong order are all that Jaro sees.
    let one_slip = written.len() > 2 && strsim::osa_distance(written, candidate) == 1;
    strsim::jaro_winkler(written, candidate).max(if one_slip { 0.9 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guess_is_close_or_none() {
        let names = ["fromaddr", "relayhost", "smtpPort", "extraRecipients"];
        assert_eq!(did_you_mean("from_addr", names), Some("fromaddr"));
        assert_eq!(did_you_mean("smtp-port", names), Some("smtpPort"));
        assert_eq!(did_you_mean("extraRecipient", names), Some("extraRecipients"));
        assert_eq!(did_you_mean("colour", names), None);
        assert_eq!(did_you_mean("ulr", ["name", "url", "user"]), Some("url"));
        assert_eq!(did_you_mean("secert", ["secret"]), Some("secret"));
    }
}
