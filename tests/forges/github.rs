//! GitHub: statuses and comments. <https://docs.github.com/en/rest>

use std::sync::{Arc, Mutex, PoisonError};

use reporter_host_tests::play::Noted;
use reporter_host_tests::server::{Post, Reply, Server};
use reporter_host_tests::stage::{Checkout, Stage};
use serde_json::{Value, json};

use super::{check, delivered, now, openapi, tell, tell_once};

/// The most statuses of one commit and context.
const MOST_STATUSES: usize = 1_000;
/// Where the API of an Enterprise server is.
const API: &str = "/api/v3";
const SHA: &str = "4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f";

/// What GitHub keeps.
#[derive(Default)]
struct Kept {
    /// Path, context and the rest, oldest first.
    statuses: Vec<(String, Value)>,
    /// Of all pull requests: `{"id", "user", "body", "issue"}`.
    comments: Vec<Value>,
    last_id: u64,
    /// What is wrong with requests, by GitHub's own description.
    odd: Vec<String>,
    /// Comments of others that somebody wanted to edit or remove.
    trespasses: Vec<String>,
}

/// Who has the token, and the token of the installation of an app.
const USER: u64 = 5;
const APP: u64 = 77;
/// Somebody else.
const EVE: u64 = 6;

/// A GitHub with the repository octo/repo.
#[derive(Clone, Default)]
struct GitHub(Arc<Mutex<Kept>>);

impl GitHub {
    fn kept<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn serve(&self) -> Server {
        self.after(|_, _| None).await
    }

    /// The same, with something else before it.
    async fn after(&self, first: impl Fn(&Post, usize) -> Option<Reply> + Send + Sync + 'static) -> Server {
        openapi::is_there();
        let github = self.clone();
        Server::of(move |post, before| first(post, before).unwrap_or_else(|| github.answer(post))).await
    }

    fn answer(&self, post: &Post) -> Reply {
        let error = |status, message: &str| Reply::of(status, json!({"message": message, "documentation_url": "https://docs.github.com/rest"}).to_string());
        let header = |name: &str| post.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("user-agent").is_empty() {
            return error(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header");
        }
        let by = match header("authorization") {
            "token gh-s3cret" => USER,
            "token gh-4pp-t0ken" => APP,
            _ => return error(401, "Bad credentials"),
        };
        if let Err(odd) = openapi::check(post, API) {
            self.kept(|kept| kept.odd.push(odd.clone()));
            return error(422, &odd);
        }
        if post.path() == format!("{API}/user") {
            return if by == APP { error(403, "Resource not accessible by integration") } else { Reply::of(200, json!({"login": "ci", "id": by}).to_string()) };
        }
        let parts: Vec<&str> = post.path().split('/').skip(6).collect();
        let is_known = post.path().starts_with("/api/v3/repos/octo/repo/");
        let body = post.json();
        self.kept(|kept| match (is_known, post.method.as_str(), &parts[..]) {
            (true, "POST", ["statuses", sha]) => kept.status(sha, body),
            (true, "GET", ["issues", issue, "comments"]) => kept.page(post, issue),
            (true, "POST", ["issues", issue, "comments"]) => kept.add(issue, &body, by),
            (true, method, ["issues", "comments", id]) => match kept.comments.iter().position(|comment| comment["id"].to_string() == **id) {
                Some(place) if method != "GET" && kept.comments[place]["user"]["id"] != by => {
                    kept.trespasses.push(format!("{method} {}", kept.comments[place]));
                    error(403, "Must have admin rights to Repository.")
                }
                Some(place) => kept.one(method, place, &body),
                None => error(404, "Not Found"),
            },
            _ => error(404, "Not Found"),
        })
    }

    /// The newest state of a context, as GitHub shows it.
    fn shown(&self, context: &str) -> Option<String> {
        self.kept(|kept| {
            kept.statuses.iter().rev().find(|(_, status)| status["context"] == context).map(|(_, status)| status["state"].as_str().unwrap().into())
        })
    }

    fn comments(&self) -> Vec<String> {
        self.comments_by(USER)
    }

    fn comments_by(&self, user: u64) -> Vec<String> {
        self.kept(|kept| kept.comments.iter().filter(|comment| comment["user"]["id"] == user).map(|comment| comment["body"].as_str().unwrap().into()).collect())
    }

    /// Nothing that GitHub's description does not have, nobody else's comment, and no dead letters.
    fn is_content(&self, noted: &Arc<Noted>) {
        assert_eq!(self.kept(|kept| [kept.odd.clone(), kept.trespasses.clone()].concat()), [""; 0]);
        assert_eq!(noted.dead_letters(), [""; 0], "{:?}", noted.of("it"));
    }
}

fn invalid(message: &str) -> Reply {
    Reply::of(422, json!({"message": "Validation Failed", "errors": [{"resource": "Status", "code": "custom", "message": message}]}).to_string())
}

impl Kept {
    fn status(&mut self, sha: &str, body: Value) -> Reply {
        let length = |key: &str| body[key].as_str().map_or(0, |text| text.chars().count());
        let same = self.statuses.iter().filter(|(of, status)| of == sha && status["context"] == body["context"]).count();
        if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return invalid(&format!("No commit found for SHA: {sha}"));
        }
        if length("description") > 140 {
            return invalid("description is too long (maximum is 140 characters)");
        }
        if length("context") > 255 {
            return invalid("context is too long (maximum is 255 characters)");
        }
        if same >= MOST_STATUSES {
            return invalid("This SHA and context has reached the maximum number of statuses.");
        }
        self.statuses.push((sha.into(), body.clone()));
        Reply::of(201, body.to_string())
    }

    fn page(&self, post: &Post, issue: &str) -> Reply {
        let query = post.query();
        let number = |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let (page, size) = (number("page", 1).max(1), number("per_page", 30).min(100));
        let all: Vec<&Value> = self.comments.iter().filter(|comment| comment["issue"] == issue).collect();
        let shown: Vec<&&Value> = all.iter().skip((page - 1) * size).take(size).collect();
        let link = |to: usize, rel: &str| format!("<https://api.github.com/repositories/1/issues/{issue}/comments?per_page={size}&page={to}>; rel=\"{rel}\"");
        let last = all.len().div_ceil(size).max(1);
        let reply = Reply::of(200, json!(shown).to_string());
        if page < last { reply.header("link", format!("{}, {}", link(page + 1, "next"), link(last, "last"))) } else { reply.header("link", link(1, "first")) }
    }

    /// What is too long, or nothing, is no comment.
    fn refused(body: &Value) -> Option<Reply> {
        let text = body["body"].as_str().unwrap_or_default();
        if text.trim().is_empty() {
            return Some(invalid("Body can't be blank"));
        }
        (text.chars().count() > 65_536 || text.len() > 262_144).then(|| invalid("body is too long (maximum is 65536 characters)"))
    }

    fn add(&mut self, issue: &str, body: &Value, by: u64) -> Reply {
        if let Some(refused) = Self::refused(body) {
            return refused;
        }
        self.last_id += 1;
        let login = if by == APP { "ci[bot]" } else { "ci" };
        let comment = json!({"id": self.last_id, "user": {"login": login, "id": by}, "body": body["body"], "issue": issue});
        self.comments.push(comment.clone());
        Reply::of(201, comment.to_string())
    }

    fn one(&mut self, method: &str, place: usize, body: &Value) -> Reply {
        match method {
            "PATCH" => {
                if let Some(refused) = Self::refused(body) {
                    return refused;
                }
                self.comments[place]["body"] = body["body"].clone();
                Reply::of(200, self.comments[place].to_string())
            }
            "DELETE" => {
                self.comments.remove(place);
                Reply::of(204, "")
            }
            _ => Reply::of(200, self.comments[place].to_string()),
        }
    }
}

const STATUS: &str = "reporter = 'GitHubStatusPush'\nbaseURL = 'SERVER/api/v3/'\ntoken = { secret = 'github' }\n";
const COMMENT: &str = "reporter = 'GitHubCommentPush'\nbaseURL = 'SERVER/api/v3'\ntoken = { secret = 'github' }\n";
const EDITED: &str = "editComment = true\nstartDescription = 'Begun.'\nendDescription = 'Ended.'\n";
const MARKED: &str = "Ended.\n\n<!-- reporter-host:buildbot/linux -->";

fn ended(results: u8) -> Vec<(reporter_host::event::Event, reporter_host_tests::Mapped)> {
    vec![Checkout::default().at(Stage::Finished(results), 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_of_a_build_has_a_status() {
    let github = GitHub::default();
    let server = github.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let stages = [Stage::Requested, Stage::Started, Stage::Finished(2)];
    // One after another: what follows at once replaces what waits.
    for n in 1..=stages.len() {
        let noted = tell(folder.path(), &server, STATUS, stages[..n].iter().enumerate().map(|(n, stage)| Checkout::default().at(*stage, n))).await;
        github.is_content(&noted);
        assert_eq!(delivered(&noted), 1, "{:?}", noted.of("it"));
    }
    let said: Vec<Value> = github.kept(|kept| kept.statuses.iter().map(|(_, status)| json!([status["state"], status["description"]])).collect());
    assert_eq!(said, [json!(["pending", "Build pending."]), json!(["pending", "Build started."]), json!(["failure", "Build done."])]);
    let noted = tell_once(&server, STATUS, [Checkout::default().at(Stage::Cancelled, 9)]).await;
    github.is_content(&noted);
    assert_eq!(github.shown("buildbot/linux").as_deref(), Some("error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_never_follows_a_newer_one() {
    let github = GitHub::default();
    // The first attempt is throttled, and everything else comes meanwhile.
    let server = github
        .after(|_, before| (before == 0).then(|| Reply::of(403, r#"{"message":"You have exceeded a secondary rate limit"}"#).header("retry-after", 2)))
        .await;
    let stages = [Stage::Requested, Stage::Started, Stage::Finished(0)];
    let noted = tell_once(&server, STATUS, stages.iter().enumerate().map(|(n, stage)| Checkout::default().at(*stage, n))).await;
    github.is_content(&noted);
    assert_eq!(github.shown("buildbot/linux").as_deref(), Some("success"), "{:?}", noted.of("it"));
    let order = ["pending", "success"];
    let states: Vec<usize> =
        github.kept(|kept| kept.statuses.iter().map(|(_, status)| order.iter().position(|state| status["state"] == *state).unwrap()).collect());
    assert!(states.is_sorted(), "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_waited_for_in_each_dialect() {
    let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}"#;
    for (settings, n, limited) in [
        (STATUS, 0, (|body| Reply::of(403, body).header("retry-after", 1)) as fn(&str) -> Reply),
        (STATUS, 1, |body| Reply::of(429, body).header("retry-after", 1)),
        (COMMENT, 2, |_| Reply::of(403, r#"{"message":"API rate limit exceeded"}"#).header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", now() + 2)),
        (COMMENT, 3, |_| Reply::of(429, "").header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", now() + 2)),
    ] {
        let github = GitHub::default();
        let server = github.after(move |_, before| (before == 0).then(|| limited(secondary))).await;
        let noted = tell_once(&server, settings, ended(0)).await;
        github.is_content(&noted);
        assert_eq!((delivered(&noted), server.posts().len()), (1, 2), "{n}: {:?}", noted.of("it"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thousand_and_first_status_is_a_dead_letter_that_says_so() {
    let github = GitHub::default();
    let status = |context: &str| (SHA.to_owned(), json!({"state": "pending", "context": context}));
    github.kept(|kept| kept.statuses = vec![status("buildbot/linux"); MOST_STATUSES - 1]);
    let server = github.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let events = || [Stage::Started, Stage::Finished(0)].into_iter().enumerate().map(|(n, stage)| Checkout::default().at(stage, n));
    github.is_content(&tell(folder.path(), &server, STATUS, events().take(1)).await);
    let noted = tell(folder.path(), &server, STATUS, events()).await;
    let dead = noted.dead_letters();
    assert!(dead.len() == 1 && dead[0].contains("This SHA and context has reached the maximum number of statuses"), "{dead:?}");
    assert_eq!(server.posts().len(), 2, "it is not tried again");
    // Another context has a thousand of its own.
    github.is_content(&tell_once(&server, &format!("{STATUS}context = 'other'\n"), ended(0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_cut() {
    let github = GitHub::default();
    let server = github.serve().await;
    let long = "ü".repeat(70_000);
    github.is_content(&tell_once(&server, &format!("{STATUS}context = '{long}'\nendDescription = '{long}'\n"), ended(1)).await);
    for settings in ["", EDITED] {
        let settings = format!("{COMMENT}{}", settings.replace("Ended.", &long));
        let settings = if settings.contains(&long) { settings } else { format!("{settings}endDescription = '{long}'\n") };
        github.is_content(&tell_once(&server, &settings, ended(1)).await);
    }
    let link = "…\n\nhttps://ci.example.org/#/builders/3/builds/12";
    let comments = github.comments();
    assert!(comments.len() == 2 && comments[0].ends_with(link) && comments[1].contains(link), "{:?}", comments.iter().map(String::len).collect::<Vec<_>>());
    assert!(comments.iter().all(|comment| comment.chars().count() > 65_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_has_moved_is_followed_on_the_same_server_only() {
    let github = GitHub::default();
    let elsewhere = Server::content().await;
    let other = format!("http://127.0.0.1:{}/api/v3/repos/octo/repo/statuses/{SHA}", elsewhere.port);
    for (status, path) in [(301, "old"), (307, "older"), (308, "oldest")] {
        let server = github
            .after(move |post, _| {
                post.path()
                    .contains(&format!("/octo/{path}/"))
                    .then(|| Reply::of(status, "").header("location", format!("{API}/repos/octo/repo/statuses/{SHA}")))
            })
            .await;
        let mut moved = Checkout::default();
        moved.stamps = vec![json!({"project": format!("octo/{path}")})];
        github.is_content(&tell_once(&server, STATUS, [moved.at(Stage::Finished(0), 1)]).await);
        assert_eq!(server.posts().iter().filter(|post| post.method == "POST" && post.json()["state"] == "success").count(), 2);
    }
    let server = github.after(move |_, _| Some(Reply::of(301, "").header("location", &other))).await;
    let noted = tell_once(&server, STATUS, ended(0)).await;
    assert!(noted.dead_letters().len() == 1 && noted.dead_letters()[0].contains("it has moved"), "{:?}", noted.dead_letters());
    assert!(elsewhere.posts().is_empty(), "the token went elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_stamp_stops_no_other() {
    let github = GitHub::default();
    let server = github.serve().await;
    let mut several = Checkout::default();
    several.stamps = vec![
        json!({"codebase": "a", "revision": null}),
        json!({"codebase": "b", "project": "", "repository": "/srv/git/b.git"}),
        json!({"codebase": "c", "project": "a/b/c", "repository": "git@gitlab.com:a/b/c.git"}),
        json!({"codebase": "d"}),
    ];
    for settings in [STATUS, COMMENT] {
        let noted = tell_once(&server, settings, [several.at(Stage::Finished(0), 1)]).await;
        github.is_content(&noted);
        assert_eq!(delivered(&noted), 1, "{:?}", noted.of("it"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_report_is_a_comment() {
    let github = GitHub::default();
    let server = github.serve().await;
    let events = || [Stage::Started, Stage::Finished(2)].into_iter().enumerate().map(|(n, stage)| Checkout::default().at(stage, n));
    github.is_content(&tell_once(&server, COMMENT, events()).await);
    assert_eq!(github.comments(), ["Build done."]);
    github.is_content(&tell_once(&server, &format!("{COMMENT}startDescription = 'Begun.'\n"), events()).await);
    assert_eq!(github.comments(), ["Build done.", "Begun.", "Build done."]);
    let noted = tell_once(&server, COMMENT, [Checkout::of("https://github.com/octo/repo", "main").at(Stage::Finished(2), 1)]).await;
    assert!(noted.of("it")[0].contains("is of no pull request"), "{:?}", noted.of("it"));
}

/// The page's example `getresults`.
#[tokio::test(flavor = "multi_thread")]
async fn logs_of_failed_steps() {
    let github = GitHub::default();
    let server = github.serve().await;
    let settings = format!("{COMMENT}endDescription = {{ component = 'example:failed-logs' }}\ncontext = 'buildbot/%(prop:buildername)s'\n");
    github.is_content(&tell_once(&server, &settings, ended(2)).await);
    github.is_content(&tell_once(&server, &settings, ended(0)).await);
    assert_eq!(github.comments(), ["Step : check Result : failure\n```\nmake check\nline one\nerror: two\n```\n", "Build done."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_edited_found_again_and_made_anew() {
    let github = GitHub::default();
    // Others talk too, and some of them have seen the marker.
    github.kept(|kept| {
        let by_eve = |id: u64| json!({"id": 9_000 + id, "user": {"id": EVE}, "body": if id % 50 == 0 { MARKED } else { "I think …" }, "issue": "7"});
        kept.comments = (1..=150).map(by_eve).collect();
    });
    let server = github.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("{COMMENT}{EDITED}");
    let stages = [Stage::Started, Stage::Finished(2), Stage::Finished(0)];
    let events = |many: usize| stages[..many].iter().enumerate().map(|(n, stage)| Checkout::default().at(*stage, n)).collect::<Vec<_>>();
    github.is_content(&tell(folder.path(), &server, &settings, events(1)).await);
    assert_eq!(github.comments(), ["Begun.\n\n<!-- reporter-host:buildbot/linux -->"]);
    github.is_content(&tell(folder.path(), &server, &settings, events(2)).await);
    assert_eq!(github.comments(), [MARKED]);

    // A host that has lost its state asks who it is, and takes its own one up again.
    let asked = server.posts().len();
    github.is_content(&tell_once(&server, &settings, ended(0)).await);
    assert_eq!(github.comments(), [MARKED]);
    let asked: Vec<String> = server.posts()[asked..].iter().map(|post| format!("{} {}", post.method, post.path())).collect();
    assert_eq!((asked[0].as_str(), asked.last().unwrap().as_str()), ("GET /api/v3/user", "PATCH /api/v3/repos/octo/repo/issues/comments/1"), "{asked:?}");

    // Somebody deletes it: the first host, which knows its id, makes another.
    github.kept(|kept| kept.comments.retain(|comment| comment["user"]["id"] == EVE));
    let noted = tell(folder.path(), &server, &settings, events(3)).await;
    assert_eq!(github.comments(), [MARKED]);
    assert!(noted.dead_letters().len() == 1 && noted.dead_letters()[0].contains("404"), "{:?}", noted.dead_letters());
    assert_eq!(github.kept(|kept| [kept.odd.clone(), kept.trespasses.clone()].concat()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_comes_too_soon_is_asked_again() {
    let limits: [fn() -> Reply; 3] = [
        || Reply::of(403, "").header("retry-after", 1),
        || Reply::of(403, "").header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", now() + 2),
        || Reply::of(403, "{\"message\": \"You have exceeded a secondary rate limit.\"}").header("retry-after", 1),
    ];
    for limited in limits {
        let github = GitHub::default();
        github.kept(|kept| kept.comments = vec![json!({"id": 9_000, "user": {"id": USER}, "body": MARKED, "issue": "7"})]);
        // First the question who we are, then that for the comments.
        let server = github.after(move |post, before| (post.method == "GET" && (before == 0 || before == 2)).then(limited)).await;
        let noted = tell_once(&server, &format!("{COMMENT}editComment = true\nendDescription = 'News.'\n"), ended(0)).await;
        github.is_content(&noted);
        assert_eq!(github.comments(), [MARKED.replace("Ended.", "News.")], "{:?}", noted.of("it"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_prints_a_marker_takes_over_no_comment() {
    let github = GitHub::default();
    let server = github.serve().await;
    let settings = format!("{COMMENT}editComment = true\ncontext = 'mine'\n");
    let printed = format!("{settings}endDescription = 'log: <!-- reporter-host:mine -->'\n").replace("'mine'", "'other'");
    github.is_content(&tell_once(&server, &printed, ended(2)).await);
    github.is_content(&tell_once(&server, &settings, ended(0)).await);
    let comments = github.comments();
    assert!(comments.len() == 2 && comments[0].starts_with("log:") && comments[1].ends_with("\n\n<!-- reporter-host:mine -->"), "{comments:?}");
    // The next one finds its own.
    github.is_content(&tell_once(&server, &settings.replace("'mine'", "'mine'\nendDescription = 'News.'"), ended(0)).await);
    assert!(github.comments()[1].starts_with("News."), "{:?}", github.comments());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_learns_by_its_first_comment_who_it_is() {
    let github = GitHub::default();
    github.kept(|kept| kept.comments = vec![json!({"id": 9_000, "user": {"id": EVE}, "body": MARKED, "issue": "7"})]);
    let server = github.serve().await;
    let settings = format!("{COMMENT}{EDITED}").replace("'github'", "'github-app'");
    for folder in [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()] {
        // The second host has lost the state of the first: it adds a comment, sees that it is its own, and removes the one before.
        github.is_content(&tell(folder.path(), &server, &settings, ended(0)).await);
        assert_eq!((github.comments_by(APP), github.comments_by(EVE)), (vec![MARKED.to_owned()], vec![MARKED.to_owned()]));
    }
    let removed = server.posts().iter().filter(|post| post.method == "DELETE").count();
    assert_eq!((removed, github.kept(|kept| kept.last_id)), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_a_wrong_token_from_a_right_one() {
    let github = GitHub::default();
    let server = github.serve().await;
    let address = format!("endpoint api: http://127.0.0.1:{}/api/v3: ", server.port);
    for settings in [STATUS, COMMENT] {
        for (secret, code, mark, says) in [
            ("'github'", 0, "ok ", "logged in: answers GET user with 200"),
            ("'gitlab'", 1, "fail", "answers GET user with 401: the credentials are refused"),
            // The installation of an app may not ask who it is.
            ("'github-app'", 0, "warn", "answers GET user with 403"),
        ] {
            let (ended, said) = check(&server, &settings.replace("'github'", secret));
            let line = said.lines().find(|line| line.contains(&address)).unwrap_or_default();
            assert!(ended == code && line.starts_with(mark) && line.contains(says), "{secret} {ended}: {said}");
        }
    }
    assert_eq!(github.kept(|kept| kept.odd.clone()), [""; 0]);
}

/// The host and the components have Buildbot's names for results each for themselves.
#[tokio::test(flavor = "multi_thread")]
async fn host_and_components_call_results_the_same() {
    let github = GitHub::default();
    let server = github.serve().await;
    for (results, name) in reporter_host::event::RESULTS.iter().enumerate() {
        let noted = tell_once(&server, STATUS, ended(u8::try_from(results).unwrap())).await;
        assert_eq!(noted.titles(), [format!("{name} of build 12 on linux to octo/repo@4f1c9d2")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_follow_at_once_end_as_one_comment() {
    let github = GitHub::default();
    let server = github.serve().await;
    let stages = [Stage::Started, Stage::Finished(2)];
    let noted = tell_once(&server, &format!("{COMMENT}{EDITED}"), stages.iter().enumerate().map(|(n, stage)| Checkout::default().at(*stage, n))).await;
    github.is_content(&noted);
    assert_eq!(github.comments(), [MARKED], "{:?}", noted.titles());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_a_dead_letter_at_once() {
    let github = GitHub::default();
    let server = github.serve().await;
    for (settings, checkout, why) in [
        (STATUS.replace("'github'", "'gitlab'"), Checkout::default(), "Bad credentials"),
        (COMMENT.replace("'github'", "'gitlab'"), Checkout::default(), "Bad credentials"),
        (STATUS.into(), Checkout::of("https://github.com/octo/other", "main"), "Not Found"),
        (COMMENT.into(), Checkout::of("https://github.com/octo/other", "refs/pull/7/merge"), "Not Found"),
    ] {
        let asked = server.posts().len();
        let noted = tell_once(&server, &settings, [checkout.at(Stage::Finished(0), 1)]).await;
        let dead = noted.dead_letters();
        assert!(dead.len() == 1 && dead[0].contains(why), "{settings}: {dead:?} {:?}", noted.of("it"));
        assert_eq!(server.posts().len(), asked + 1);
    }
}
