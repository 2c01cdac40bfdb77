//! Where things are at Bitbucket Data Center.

use crate::giturl::{GitUrl, decoded};
use crate::stamps::part;

/// Project and repository of Data Center in a repository's URL: the last two parts of `https://host/scm/PROJ/repo.git` and
/// `ssh://git@host:7999/PROJ/repo.git`, or those of its page, `https://host/projects/PROJ/repos/repo/browse`.
///
/// # Errors
///
/// What it is instead, as what follows "the source stamp".
pub fn project_and_repository(repository: &str) -> Result<(String, String), String> {
    if repository.is_empty() {
        return Err("has no repository".into());
    }
    let url = GitUrl::parse(repository).ok_or_else(|| format!("has a repository that is no URL of a project and a name: {repository}"))?;
    let owner = url.owner.ok_or_else(|| format!("has a repository without a project: {repository}"))?;
    let of_web = url.proto.starts_with("http");
    let parts: Vec<String> = owner.split('/').chain([url.repo.as_str()]).map(|name| if of_web { decoded(name) } else { name.to_owned() }).collect();
    if let Some(at) = pages(&parts, &["repos"]) {
        let [kind, name, _, repo] = &parts[at..at + 4] else { return Err("has no repository".into()) };
        return Ok((if kind == "users" { format!("~{name}") } else { name.clone() }, repo.clone()));
    }
    match &parts[..] {
        [.., project, repo] => Ok((project.clone(), repo.clone())),
        _ => Err(format!("has a repository without a project: {repository}")),
    }
}

/// The path below `/rest/api/1.0` of a pull request of Data Center with this page: `projects`, `PROJ`, `repos`, `repo`, `pull-requests`, `7`.
/// `base` is the server's base URL; its scheme is left open, as that of a server that is behind a proxy.
///
/// # Errors
///
/// What the page is instead.
pub fn pull_request(base: &str, page: &str) -> Result<Vec<String>, String> {
    let none = || format!("{page} is no pull request of a Bitbucket server");
    let (host, parts) = place(page).ok_or_else(none)?;
    let at = pages(&parts, &["repos", "pull-requests"]).ok_or_else(none)?;
    let path = &parts[at..at + 6];
    let plain = path.iter().all(|name| part("a name", name).is_ok()) && path[5].bytes().all(|digit| digit.is_ascii_digit());
    if !plain {
        return Err(none());
    }
    if place(base) != Some((host, parts[..at].to_vec())) {
        return Err(format!("{page} is a pull request of another server than {base}"));
    }
    Ok(path.to_vec())
}

/// Host, with its port if that is not the scheme's own, and the parts of the path of a web page.
fn place(url: &str) -> Option<(String, Vec<String>)> {
    let (scheme, rest) = url.split_once("://")?;
    let own_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next()?.to_ascii_lowercase();
    let host = host.strip_suffix(own_port).unwrap_or(&host).to_owned();
    Some((host, path.split('/').filter(|name| !name.is_empty()).map(decoded).collect()))
}

/// Where `projects/P` or `users/U` begins that has these words at every second place after it, each followed by a name.
fn pages(parts: &[String], words: &[&str]) -> Option<usize> {
    let length = 2 + 2 * words.len();
    parts
        .windows(length)
        .position(|window| matches!(window[0].as_str(), "projects" | "users") && words.iter().enumerate().all(|(n, word)| window[2 + 2 * n] == *word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_and_repositories() {
        for (url, project, repo) in [
            ("https://bbs.example/scm/PROJ/repo.git", "PROJ", "repo"),
            ("https://bbs.example/stash/scm/PROJ/repo.git", "PROJ", "repo"),
            ("ssh://git@bbs.example:7999/PROJ/repo.git", "PROJ", "repo"),
            ("ssh://git@bbs.example:7999/~user/repo.git", "~user", "repo"),
            ("git@h:PROJ/repo.git", "PROJ", "repo"),
            ("https://bbs.example/projects/PROJ/repos/repo", "PROJ", "repo"),
            ("https://bbs.example/projects/PROJ/repos/repo/", "PROJ", "repo"),
            ("https://bbs.example/stash/projects/PROJ/repos/repo/browse", "PROJ", "repo"),
            ("https://bbs.example/users/ada/repos/repo/", "~ada", "repo"),
            ("https://github.com/acme/we%20ird+repo.git", "acme", "we ird+repo"),
            ("https://gitlab.com/grp/sub/proj.git", "sub", "proj"),
        ] {
            assert_eq!(project_and_repository(url), Ok((project.into(), repo.into())), "{url}");
        }
        for (url, why) in
            [("", "has no repository"), ("https://h/repo.git", "without a project"), ("/srv/git/rep.git", "no URL"), ("file:///srv/git/o/r.git", "no URL")]
        {
            assert!(project_and_repository(url).unwrap_err().contains(why), "{url}");
        }
    }

    #[test]
    fn pull_requests() {
        let path = |base: &str, page: &str| pull_request(base, page).map(|path| path.join("/"));
        let seven = Ok("projects/P/repos/r/pull-requests/7".to_owned());
        for (base, page) in [
            ("https://bbs.example", "https://bbs.example/projects/P/repos/r/pull-requests/7"),
            ("https://bbs.example/", "https://bbs.example/projects/P/repos/r/pull-requests/7/"),
            ("http://bbs.example:7990/stash", "http://bbs.example:7990/stash/projects/P/repos/r/pull-requests/7/overview?commentId=1#x"),
            ("http://bbs.example/stash/", "https://BBS.example:443/stash/projects/P/repos/r/pull-requests/7"),
            ("https://bbs.example", "http://bbs.example:80/projects/P/repos/r/pull-requests/7"),
        ] {
            assert_eq!(path(base, page), seven, "{base} {page}");
        }
        assert_eq!(path("https://h", "https://h/users/ada/repos/r/pull-requests/12"), Ok("users/ada/repos/r/pull-requests/12".into()));
        for other in [
            "https://github.com/acme/widget/pull/50",
            "https://bitbucket.org/team/rep/pull-requests/3",
            "https://h/projects/../repos/r/pull-requests/7",
            "https://h/projects/P/repos/r/pull-requests/x",
            "https://h/projects/P/repos/r/pull-requests/",
            "ftp://h/projects/P/repos/r/pull-requests/7",
            "projects/P/repos/r/pull-requests/7",
            "",
        ] {
            assert_eq!(path("https://h", other), Err(format!("{other} is no pull request of a Bitbucket server")));
        }
        let page = "https://h/stash/projects/P/repos/r/pull-requests/7";
        for base in ["https://h", "https://h/", "https://h/stash2", "https://h/stash/x", "https://h:7990/stash", "http://h:443/stash", "https://other/stash"] {
            assert_eq!(path(base, page), Err(format!("{page} is a pull request of another server than {base}")));
        }
    }
}
