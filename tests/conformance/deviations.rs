//! Where we do not send what Buildbot sent, and why.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::case::Case;
use crate::compare::Difference;
use crate::facts;

/// A deviation.
pub struct Deviation {
    /// Its name, for the table.
    pub name: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Which differences it explains.
    pub covers: fn(&Pair<'_>, &Difference) -> bool,
}

/// What is compared.
pub struct Pair<'a> {
    /// The case.
    pub case: &'a Case,
    /// The recorded reporter.
    pub reporter: &'a str,
    /// `builds/5/finished`
    pub event: &'a str,
    /// What was recorded.
    pub recorded: Option<&'a Value>,
    /// What we send.
    pub ours: Option<&'a Value>,
}

impl Pair<'_> {
    fn is(&self, class: &str) -> bool {
        self.reporter.starts_with(class)
    }

    fn says(&self, pointer: &str) -> Option<&str> {
        self.ours.and_then(|ours| ours.pointer(pointer)).and_then(Value::as_str)
    }

    fn said(&self, pointer: &str) -> Option<&str> {
        self.recorded.and_then(|recorded| recorded.pointer(pointer)).and_then(Value::as_str)
    }

    /// Whether the formatter is a default one.
    fn has_default_words(&self) -> bool {
        !["mail-somelogs", "mail-set-comb", "mail-headers", "mail-multi"].contains(&self.reporter)
    }
}

fn text(value: &Option<Value>) -> &str {
    value.as_ref().and_then(Value::as_str).unwrap_or_default()
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn list(value: &Option<Value>) -> &[Value] {
    value.as_ref().and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// All of them. The first that explains a difference counts.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation {
        name: "every-end",
        reason: "Buildbot 4.3 announces builds that end as exception, skipped, cancelled or retry and never says that they ended; the page knows no such filter, so their end is sent",
        covers: |pair, it| pair.is("http-default") && it.at.is_empty() && it.recorded.is_none() && pair.event.ends_with("/finished"),
    },
    Deviation {
        name: "all-is-every-result",
        reason: "mode all is every completed result; Buildbot 4.3 leaves out builds that were skipped or are tried again",
        covers: |pair, it| {
            it.at.is_empty()
                && it.recorded.is_none()
                && pair.event.ends_with("/finished")
                && pair.reporter != "http-default"
                && matches!(pair.case.results(pair.event), Some(3 | 5))
        },
    },
    Deviation {
        name: "previous-not-recorded",
        reason: "the build before is in no case of this recording, so what depends on it is not to be seen here",
        covers: |pair, it| {
            pair.case.lacks_the_build_before(pair.event)
                && (it.at.starts_with("/json/prev_build") || it.at.is_empty() && ["mail-change", "mail-problem"].contains(&pair.reporter))
        },
    },
    Deviation {
        name: "request-is-read-later",
        reason: "a request that is tried again is claimed again, and is read after that here",
        covers: |_, it| it.at == "/json/buildrequest/claimed_at",
    },
    Deviation {
        name: "no-message-without-builds",
        reason: "a set whose requests were all cancelled or merged into others has no builds that a formatter could word; Buildbot's combined one is called with none",
        covers: |pair, it| {
            pair.is("mail-set-comb") && it.at.is_empty() && it.ours.is_none() && pair.said("/subject").is_some_and(|subject| subject.ends_with(" 0"))
        },
    },
    Deviation {
        name: "owners-of-the-set",
        reason: "people that a scheduler names as owners are responsible also if a build writes a property of that name",
        covers: |pair, it| {
            (it.at == "/to" || it.at == "/recipients") && pair.case.name.contains("props") && list(&it.recorded).iter().all(|one| list(&it.ours).contains(one))
        },
    },
    Deviation {
        name: "missing-worker-has-recipients",
        reason: "Buildbot's mail about a missing worker has no To",
        covers: |pair, it| it.at == "/to" && pair.event.starts_with("workers/") && list(&it.recorded).is_empty(),
    },
    Deviation {
        name: "text-is-sent",
        reason: "with a text formatter Buildbot posts an empty body; ours posts the text",
        covers: |pair, it| pair.is("http-") && pair.said("/text") == Some("") && (it.at == "/text" || it.at == "/headers/content-type"),
    },
    Deviation {
        name: "request-as-in-rest",
        reason: "Buildbot puts the builder's name into the build request and leaves claimed and properties out, which differs from everywhere else; ours is the request as REST tells it",
        covers: |pair, it| {
            pair.event.starts_with("buildrequests/")
                && ["/json/buildrequest/buildername", "/json/buildrequest/claimed", "/json/buildrequest/properties"].contains(&it.at.as_str())
        },
    },
    Deviation {
        name: "builder-properties",
        reason: "the properties in a builder's configuration are not in REST before a build has started",
        covers: |pair, it| pair.event.starts_with("buildrequests/") && it.at.starts_with("/json/properties/") && it.ours.is_none(),
    },
    Deviation {
        name: "read-while-running",
        reason: "a build that has begun has one property or step under way more or less when it is read a moment sooner or later",
        covers: |pair, it| pair.event.ends_with("/new") && (is_property_of_one(it) || is_step_under_way(pair, it)),
    },
    Deviation {
        name: "links-of-logs",
        reason: "Buildbot 2.6 has no links in logs; 4.3 has them, and ours",
        covers: |_, it| {
            it.at.contains("/logs/") && it.recorded.is_none() && ["/stepname", "/url", "/url_raw", "/url_raw_inline"].iter().any(|key| it.at.ends_with(key))
        },
    },
    Deviation {
        name: "parent-is-told",
        reason: "Buildbot 2.6 has no parentbuild and parentbuilder; 4.3 has them, and ours",
        covers: |_, it| (it.at == "/json/parentbuild" || it.at == "/json/parentbuilder") && it.recorded.is_none(),
    },
    Deviation {
        name: "links-with-a-slash",
        reason: "Buildbot 2.6 links to #builders/…, later ones to #/builders/…, which every version understands",
        covers: |_, it| text(&it.recorded).contains("/#b") && text(&it.recorded).replace("/#b", "/#/b") == text(&it.ours),
    },
    Deviation {
        name: "github-sub-groups",
        reason: "GitHub has owner/name; a repository with a further slash has no status there, and Buildbot posts to a path that does not exist",
        covers: |pair, it| {
            pair.is("github-")
                && it.at.is_empty()
                && it.ours.is_none()
                && pair.said("/path").is_some_and(|path| {
                    path.rsplit_once("/statuses/").and_then(|(path, _)| path.split_once("/repos/")).is_some_and(|(_, path)| path.split('/').count() > 2)
                })
        },
    },
    Deviation {
        name: "a-slash-at-the-end",
        reason: "https://github.com/owner/name/ is understood; Buildbot finds no repository in it",
        covers: |pair, it| {
            ["github-", "gitlab", "bbserver-core"].iter().any(|of| pair.is(of))
                && it.at.is_empty()
                && it.recorded.is_none()
                && pair.case.has_repository(|url| url.ends_with('/'))
        },
    },
    Deviation {
        name: "gitlab-needs-a-revision",
        reason: "without a revision there is no commit that could have a status; Buildbot posts to statuses/None, or to statuses/",
        covers: |pair, it| {
            pair.is("gitlab")
                && it.at.is_empty()
                && it.ours.is_none()
                && pair.said("/path").is_some_and(|path| path.ends_with("/statuses/None") || path.ends_with("/statuses/"))
        },
    },
    Deviation {
        name: "gitlab-needs-a-group",
        reason: "every project of GitLab's is in a group or a person's; of ssh://host/name, Buildbot asks for the project None/name",
        covers: |pair, it| pair.is("gitlab") && it.at.is_empty() && it.ours.is_none() && pair.case.has_repository(is_no_project),
    },
    Deviation {
        name: "pull-request-of-the-stamp",
        reason: "of several codebases, that of a pull request is told by its own branch; Buildbot looks for a property that such a build does not have",
        covers: |pair, it| pair.is("github-comment") && it.at.is_empty() && it.recorded.is_none() && pair.case.name.contains("multi"),
    },
    Deviation {
        name: "plus-in-paths",
        reason: "a plus in a path segment goes out as %2B, which no server takes for a blank",
        covers: |_, it| it.at == "/path" && text(&it.ours).replace("%2B", "+") == text(&it.recorded),
    },
    Deviation {
        name: "stamps-in-any-order",
        reason: "Buildbot tells the source stamps of a set in changing orders",
        covers: |pair, it| {
            it.at == "/text" && !pair.has_default_words() && !text(&it.ours).is_empty() && sorted_lines(text(&it.recorded)) == sorted_lines(text(&it.ours))
        },
    },
    Deviation {
        name: "auto-submitted",
        reason: "mails say Auto-Submitted: auto-generated (RFC 3834), so that no vacation program answers",
        covers: |_, it| it.at == "/headers/auto-submitted" && it.recorded.is_none(),
    },
    Deviation {
        name: "one-subject",
        reason: "Buildbot adds a second Subject from extraHeaders; ours refuses that setting",
        covers: |_, it| it.at == "/subject" && text(&it.recorded) == "cannot override",
    },
    Deviation {
        name: "subject-of-the-page",
        reason: "the default subject is the page's: Buildbot RESULT in TITLE on BUILDER; Buildbot worker NAME missing",
        covers: |pair, it| {
            it.at == "/subject"
                && pair.has_default_words()
                && (text(&it.recorded).contains("Buildbot (") || pair.event.starts_with("workers/"))
                && text(&it.ours).starts_with("Buildbot ")
        },
    },
    Deviation {
        name: "plain-by-default",
        reason: "template_type is plain by default, as the page says; Buildbot 4.3 has html",
        covers: |pair, it| it.at == "/type" && ["mail-default", "mail-patch", "mail-warnings", "mail-exc"].contains(&pair.reporter),
    },
    Deviation {
        name: "own-words",
        reason: "default messages are worded anew; result, builder, project, state, revision, worker, reason, people and links are there",
        covers: |pair, it| {
            let html = |kind: Option<&str>| kind == Some("text/html");
            let ours = if html(pair.says("/type")) { facts::plain(text(&it.ours)) } else { text(&it.ours).to_owned() };
            let facts = facts::facts(text(&it.recorded), html(pair.said("/type")));
            (it.at == "/text" && pair.has_default_words() || it.at == "/json/text" && pair.reporter == "bbserver-pr")
                && facts.len() >= 3
                && facts.iter().all(|fact| ours.contains(fact.as_str()) || ours.contains(&fact.replace("/#b", "/#/b")))
        },
    },
    Deviation {
        name: "html-is-escaped",
        reason: "in HTML, values are escaped",
        covers: |pair, it| it.at == "/text" && pair.says("/type") == Some("text/html") && facts::unescaped(text(&it.ours)) == text(&it.recorded),
    },
    Deviation {
        name: "logs-as-text",
        reason: "attached logs do not have the characters that tell their streams apart",
        covers: |_, it| {
            let stripped: Vec<&str> = text(&it.recorded).lines().map(|line| line.get(1..).unwrap_or_default()).collect();
            it.at.starts_with("/attachments/") && stripped.join("\n").replace("/tmp/oracle-run", "/srv/buildbot-a") == text(&it.ours)
        },
    },
    Deviation {
        name: "patches-are-named",
        reason: "a patch that is given as bytes loses Buildbot's mail; ours is sent, and says that there is a patch",
        covers: |pair, it| {
            pair.is("mail-") && it.at.is_empty() && it.recorded.is_none() && pair.says("/text").is_some_and(|text| text.contains("(plus patch)"))
        },
    },
    Deviation {
        name: "one-token",
        reason: "a token is kept until it expires; Buildbot asks for one before every status",
        covers: |pair, it| pair.is("bbcloud-oauth") && it.at.is_empty() && it.ours.is_none(),
    },
    Deviation {
        name: "better-states",
        reason: "warnings and skipped builds have not failed, and a build that is tried again is under way; for cancelled ones Cloud has STOPPED, and Data Center CANCELLED",
        covers: |pair, it| {
            let results = pair.case.results(pair.event);
            pair.is("bb")
                && it.at == "/json/state"
                && text(&it.recorded) == "FAILED"
                && matches!((results, text(&it.ours)), (Some(1 | 3), "SUCCESSFUL") | (Some(5), "INPROGRESS") | (Some(6) | None, "STOPPED" | "CANCELLED"))
        },
    },
    Deviation {
        name: "hashed-keys",
        reason: "Bitbucket Cloud takes keys of 40 characters: as in Buildbot 4.3 they are hashes, with a description beside; Buildbot 2.6 sends names of any length",
        covers: |pair, it| {
            let is_hash = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            pair.is("bbcloud")
                && (it.at == "/json/key" && it.recorded.as_ref() == pair.recorded.and_then(|sent| sent.pointer("/json/name")) && is_hash(text(&it.ours))
                    || it.at == "/json/description" && it.recorded.is_none() && text(&it.ours).is_empty())
        },
    },
    Deviation {
        name: "no-status-without-a-revision",
        reason: "a source stamp without a revision names no commit; Buildbot posts to a path that does not exist",
        covers: |pair, it| {
            pair.is("bb")
                && it.at.is_empty()
                && it.ours.is_none()
                && pair.said("/path").is_some_and(|path| path.ends_with("/commits/") || path.contains("/commit//"))
        },
    },
    Deviation {
        name: "stamps-for-themselves",
        reason: "in Buildbot a source stamp without a revision stops those after it",
        covers: |pair, it| pair.is("bbcloud") && it.at.is_empty() && it.recorded.is_none() && pair.case.name.contains("multi"),
    },
    Deviation {
        name: "addresses-of-the-api",
        reason: "Bitbucket Cloud's hook names repositories by their address in the API, which is understood whatever base_url is",
        covers: |pair, it| {
            pair.is("bbcloud") && it.at.is_empty() && it.recorded.is_none() && pair.case.has_repository(|url| url.contains("/2.0/repositories/"))
        },
    },
    Deviation {
        name: "pages-of-repositories",
        reason: "https://host/projects/P/repos/r, as Bitbucket Server's hook names repositories, is project P; Buildbot takes the last two parts",
        covers: |pair, it| {
            pair.is("bbserver-core")
                && it.at == "/path"
                && text(&it.recorded).contains("/projects/repos/repos/")
                && pair.case.has_repository(|url| url.contains("/projects/") && url.contains("/repos/"))
        },
    },
    Deviation {
        name: "git-at-host",
        reason: "git@host:owner/name.git is understood; Buildbot finds no project in it",
        covers: |pair, it| {
            pair.is("bbserver-core") && it.at.is_empty() && it.recorded.is_none() && pair.case.has_repository(|url| !url.contains("://") && url.contains(':'))
        },
    },
    Deviation {
        name: "paths-are-no-repositories",
        reason: "a path on a disk is no repository of Bitbucket's",
        covers: |pair, it| pair.is("bbserver-core") && it.at.is_empty() && it.ours.is_none() && pair.case.has_repository(|url| url.starts_with('/')),
    },
    Deviation {
        name: "hosts-are-no-projects",
        reason: "of ssh://host/name, Buildbot takes the host for the project",
        covers: |pair, it| pair.is("bbserver-core") && it.at.is_empty() && it.ours.is_none() && pair.case.has_repository(is_no_project),
    },
    Deviation {
        name: "pull-requests-of-others",
        reason: "the hooks of GitHub and Bitbucket Cloud set pullrequesturl, too; those are no pull requests of a Bitbucket server",
        covers: |pair, it| {
            pair.is("bbserver-pr") && it.at.is_empty() && it.ours.is_none() && pair.said("/path").is_some_and(|path| !path.contains("/projects/"))
        },
    },
    Deviation {
        name: "a-form-and-no-query",
        reason: "Pushover's parameters go in the body: a query, with the token in it, ends up in logs; retry and expire go with emergencies only",
        covers: |pair, it| {
            pair.is("pushover") && ["/query", "/form", "/text", "/headers/content-type"].contains(&it.at.as_str()) && is_the_same_push(pair, "/query")
        },
    },
    Deviation {
        name: "own-notifications",
        reason: "default notifications are worded anew, with result, builder, project, worker and link; the title is the page's",
        covers: |pair, it| pair.is("pushjet") && it.at.starts_with("/form/") && is_the_same_push(pair, "/form"),
    },
    Deviation {
        name: "streams-are-encoded",
        reason: "a stream's name goes out as a value of the query; in Buildbot's, & and what follows are lost",
        covers: |pair, it| pair.is("zulip-stream") && it.at == "/query",
    },
    Deviation {
        name: "several-codebases-are-told",
        reason: "a build with several codebases has no property project, and Buildbot's reporter fails; ours names the projects of its source stamps",
        covers: |pair, it| pair.is("zulip") && it.at.is_empty() && it.recorded.is_none() && pair.case.name.contains("multi"),
    },
    Deviation {
        name: "slash-in-rooms",
        reason: "a slash in a room's name is part of the name; Buildbot's makes a path of it that no server has",
        covers: |pair, it| pair.is("hipchat") && it.at == "/path" && text(&it.ours).replace("%2F", "/") == text(&it.recorded),
    },
    Deviation {
        name: "apostrophes-arrive",
        reason: "an apostrophe in a message is quoted for Gerrit; Buildbot makes a quotation mark of it",
        covers: |pair, it| {
            pair.is("gerrit-") && it.at.starts_with("/words/") && text(&it.ours).contains('\'') && text(&it.ours).replace('\'', "\"") == text(&it.recorded)
        },
    },
    Deviation {
        name: "a-mail-for-each-entry",
        reason: "the messages of several generators make one mail in Buildbot; they are several entries here, each with its mail",
        covers: |pair, it| {
            pair.is("mail-multi")
                && (it.at == "/text" && text(&it.recorded).contains(text(&it.ours))
                    || it.at.is_empty() && it.recorded.is_none() && pair.says("/text") == Some("second generator"))
        },
    },
];

/// Whether the recorded fields at `pointer` and those of our form say the same.
fn is_the_same_push(pair: &Pair<'_>, pointer: &str) -> bool {
    let fields = |side: Option<&Value>, pointer: &str| -> BTreeMap<String, String> {
        let list = side.and_then(|side| side.pointer(pointer)).and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(|field| Some((field[0].as_str()?.to_owned(), field[1].as_str()?.to_owned()))).collect()
    };
    let (mut recorded, mut ours) = (fields(pair.recorded, pointer), fields(pair.ours, "/form"));
    if recorded.get("priority").is_none_or(|priority| priority != "2") {
        recorded.retain(|name, _| name != "retry" && name != "expire");
    }
    let (Some(said), Some(mut says)) = (recorded.remove("message"), ours.remove("message")) else { return false };
    if ours.get("html").is_some_and(|html| html == "1") {
        says = facts::plain(&says);
    }
    let facts = if said.contains("has detected a <a") { facts::of_notification(&said) } else { facts::facts(&said, false) };
    let same = said == says || facts.len() >= 3 && facts.iter().all(|fact| says.contains(fact.as_str()) || says.contains(&fact.replace("/#b", "/#/b")));
    let titled = ours.remove("title").is_some_and(|title| Some(&title) == recorded.get("title") || title.starts_with("Buildbot "));
    recorded.remove("title");
    recorded.remove("html");
    ours.remove("html");
    same && titled && recorded == ours
}

/// A URL without a group, or of a scheme that is not git's over a network.
fn is_no_project(repository: &str) -> bool {
    match repository.split_once("://") {
        Some(("http" | "https" | "ssh" | "git", rest)) => rest.trim_end_matches('/').split('/').count() < 3,
        Some(_) => true,
        None => false,
    }
}

/// One side has the property, the other does not have it yet.
fn is_property_of_one(it: &Difference) -> bool {
    it.at.strip_prefix("/json/properties/").is_some_and(|name| !name.contains('/')) && (it.recorded.is_none() || it.ours.is_none())
}

/// A step that has not ended on one side, or that is there on one side only and has not ended.
fn is_step_under_way(pair: &Pair<'_>, it: &Difference) -> bool {
    let runs = |step: &Value| step["results"].is_null();
    let side = |side: Option<&Value>, pointer: &str| side.and_then(|sent| sent.pointer(pointer)).cloned();
    match it.at.strip_prefix("/json/steps") {
        Some("") => {
            let all = [&it.recorded, &it.ours].into_iter().flatten().filter_map(Value::as_array);
            all.max_by_key(|steps| steps.len()).is_some_and(|steps| steps.last().is_some_and(runs))
        }
        Some(rest) => {
            let step = format!("/json/steps/{}", rest.split('/').nth(1).unwrap_or_default());
            [side(pair.recorded, &step), side(pair.ours, &step)].iter().flatten().any(runs)
        }
        None => false,
    }
}
