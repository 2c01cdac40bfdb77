//! Repository URLs, in the forms that git takes.

/// What a repository URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitUrl {
    /// `https`, `http`, `git` or `ssh` (also for `git@host:owner/repo`).
    pub proto: String,
    /// `git`, or `user:password`.
    pub user: Option<String>,
    /// The host's name.
    pub domain: String,
    /// The port.
    pub port: Option<u16>,
    /// What stands before the repository: `owner`, or `group/subgroup`.
    pub owner: Option<String>,
    /// The last part, without `.git`.
    pub repo: String,
}

impl GitUrl {
    /// Parses; none for a local path, an unknown scheme, or anything else without a host and a repository.
    pub fn parse(url: &str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let (proto, rest) = match url.split_once("://") {
            Some((proto @ ("http" | "https" | "ssh" | "git"), rest)) => (proto, rest),
            Some(_) => return None,
            None => ("ssh", url),
        };
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        let (user, rest) = match authority.rfind('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let end = rest.find([':', '/'])?;
        let (domain, after) = (&rest[..end], &rest[end + 1..]);
        let (port, path) = match after.split_once('/') {
            Some((digits, path)) if rest[end..].starts_with(':') && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                (Some(digits.parse().ok()?), path)
            }
            _ => (None, after),
        };
        let path = path.strip_suffix(".git").unwrap_or(path);
        let (owner, repo) = match path.rsplit_once('/') {
            Some((owner, repo)) => (Some(owner), repo),
            None => (None, path),
        };
        let odd = |part: &str| part.is_empty() || part.contains(|c: char| c.is_control() || c.is_whitespace());
        if odd(domain) || odd(repo) || user.is_some_and(odd) || owner.is_some_and(|owner| owner.split('/').any(odd)) {
            return None;
        }
        Some(Self { proto: proto.into(), user: user.map(Into::into), domain: domain.into(), port, owner: owner.map(Into::into), repo: repo.into() })
    }
}

/// Decodes %20 and the like in a part of a URL's path. What is no escape, or would be no text or a slash, stays.
pub fn decoded(part: &str) -> String {
    unescaped(part).filter(|decoded| !decoded.contains('/') && !decoded.contains(char::is_control)).unwrap_or_else(|| part.to_owned())
}

/// Decodes %20 and the like; what is no escape stays. None if the bytes are no text.
pub fn unescaped(text: &str) -> Option<String> {
    String::from_utf8(bytes(text)).ok()
}

/// The same as bytes.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |n: usize| after.get(n).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{GitUrl, decoded};

    /// A URL in one of git's spellings, and what it says.
    fn spelled() -> impl Strategy<Value = (String, GitUrl)> {
        let part = "[a-zA-Z0-9_~][a-zA-Z0-9._~+%-]{0,8}[a-zA-Z0-9_~]";
        let user = proptest::option::of("[a-z]{1,5}(:[a-z0-9@]{1,5})?");
        let place = ("[a-z0-9-]{1,9}(\\.[a-z]{2,5})?", proptest::option::of(1..u16::MAX));
        let path = (proptest::collection::vec(part, 0..4), part);
        let spelling = (0..5usize, any::<bool>(), 0..3usize);
        (user, place, path, spelling).prop_map(|(user, (domain, port), (owner, repo), (scheme, git, slashes))| {
            // git@host:owner/repo has no place for a port.
            let proto = ["http", "https", "git", "ssh", ""][scheme];
            let port = port.filter(|_| !proto.is_empty());
            let owner = Some(owner.join("/")).filter(|owner| !owner.is_empty());
            let mut url = if proto.is_empty() { String::new() } else { format!("{proto}://") };
            url.push_str(&user.as_ref().map(|user| format!("{user}@")).unwrap_or_default());
            url.push_str(&domain);
            url.push_str(&match port {
                Some(port) => format!(":{port}/"),
                None if proto.is_empty() => ":".into(),
                None => "/".into(),
            });
            url.push_str(&owner.as_ref().map(|owner| format!("{owner}/")).unwrap_or_default());
            url.push_str(&repo);
            url.push_str(if git { ".git" } else { "" });
            url.push_str(&"/".repeat(slashes));
            let proto = if proto.is_empty() { "ssh" } else { proto }.to_owned();
            (url, GitUrl { proto, user, domain, port, owner, repo })
        })
    }

    proptest! {
        #[test]
        fn what_is_spelled_is_read((url, says) in spelled()) {
            // A first folder of digits behind a colon is a port, as git takes it; a name that ends in .git loses it.
            let digits = |owner: &str| owner.split('/').next().is_some_and(|first| first.bytes().all(|byte| byte.is_ascii_digit()));
            prop_assume!(!(says.proto == "ssh" && says.port.is_none() && says.owner.as_deref().is_some_and(digits)));
            prop_assume!(!says.repo.ends_with(".git"));
            prop_assert_eq!(GitUrl::parse(&url), Some(says), "{}", url);
        }

        #[test]
        fn anything_is_read_or_refused(url in "[a-z0-9@:/. %~\\n\u{e9}-]{0,24}") {
            if let Some(read) = GitUrl::parse(&url) {
                let odd = |part: &str| part.is_empty() || part.contains(|c: char| c.is_control() || c.is_whitespace());
                prop_assert!(!odd(&read.domain) && !odd(&read.repo) && !read.repo.contains('/'), "{:?}", read);
                prop_assert!(read.owner.as_deref().is_none_or(|owner| !owner.split('/').any(odd)), "{:?}", read);
            }
        }
    }

    #[test]
    fn parts_of_paths() {
        for (part, expected) in
            [("we%20ird+repo", "we ird+repo"), ("%c3%bc", "ü"), ("a%2fb", "a%2fb"), ("%0a", "%0a"), ("%ff", "%ff"), ("50%", "50%"), ("%4", "%4")]
        {
            assert_eq!(decoded(part), expected, "{part}");
        }
    }

    #[test]
    fn vectors() {
        for (url, proto, user, domain, port, owner, repo) in [
            ("https://github.com/buildbot/buildbot", "https", "", "github.com", 0, "buildbot", "buildbot"),
            ("https://github.com/buildbot/buildbot.git", "https", "", "github.com", 0, "buildbot", "buildbot"),
            ("git@github.com:buildbot/buildbot.git", "ssh", "git", "github.com", 0, "buildbot", "buildbot"),
            ("ssh://git@github.com:buildbot/buildbot.git", "ssh", "git", "github.com", 0, "buildbot", "buildbot"),
            ("ssh://git@github.com/buildbot/buildbot.git", "ssh", "git", "github.com", 0, "buildbot", "buildbot"),
            ("git://bitbucket.org/org/repo.git", "git", "", "bitbucket.org", 0, "org", "repo"),
            ("https://user:tok@github.com/o/r.git", "https", "user:tok", "github.com", 0, "o", "r"),
            ("https://user@host.com:8443/o/r.git", "https", "user", "host.com", 8443, "o", "r"),
            ("ssh://git@host:2222/grp/sub/proj.git", "ssh", "git", "host", 2222, "grp/sub", "proj"),
            ("git@gitlab.example:grp/sub/proj.git", "ssh", "git", "gitlab.example", 0, "grp/sub", "proj"),
            ("https://example.org/repo.git", "https", "", "example.org", 0, "", "repo"),
            ("git@example.org:repo.git", "ssh", "git", "example.org", 0, "", "repo"),
            ("host:o/r", "ssh", "", "host", 0, "o", "r"),
            ("https://bbs.example/scm/PROJ/repo.git", "https", "", "bbs.example", 0, "scm/PROJ", "repo"),
            ("ssh://git@bbs.example:7999/PROJ/repo.git", "ssh", "git", "bbs.example", 7999, "PROJ", "repo"),
            // Buildbot rejects these; a slash at the end changes nothing.
            ("https://github.com/o/r/", "https", "", "github.com", 0, "o", "r"),
            ("https://github.com/o/r.git/", "https", "", "github.com", 0, "o", "r"),
            ("https://bbs.example/projects/P/repos/r/", "https", "", "bbs.example", 0, "projects/P/repos", "r"),
        ] {
            let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let expected = GitUrl {
                proto: proto.into(),
                user: text(user),
                domain: domain.into(),
                port: Some(port).filter(|port| *port != 0),
                owner: text(owner),
                repo: repo.into(),
            };
            assert_eq!(GitUrl::parse(url), Some(expected), "{url}");
        }
        for url in [
            "file:///srv/git/o/r.git",
            "svn+ssh://svn.example/o/r",
            "/local/path/repo",
            "",
            "/",
            "https://",
            "https://host",
            "host:",
            "https://host:99999/o/r",
            "https://host//r",
            "a b:o/r",
            "@",
            "x@:/",
        ] {
            assert_eq!(GitUrl::parse(url), None, "{url}");
        }
    }
}
