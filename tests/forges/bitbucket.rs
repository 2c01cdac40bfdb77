//! Bitbucket Cloud and Data Center: statuses and comments.
//! <https://developer.atlassian.com/cloud/bitbucket/rest/>, <https://developer.atlassian.com/server/bitbucket/rest/>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reporter_host_tests::play::Noted;
use reporter_host_tests::server::{Post, Reply, Server};
use reporter_host_tests::stage::{Checkout, Stage};
use serde_json::{Value, json};

use super::{check, delivered, tell, tell_once};

const SHA: &str = "4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f";
/// SHA-1 of `linux`.
const KEY: &str = "ba324ca7b1c77fc20bb970d5aff6eea9377918a5";

/// What Bitbucket keeps.
#[derive(Default)]
struct Kept {
    /// By what they are of and their key.
    statuses: BTreeMap<(String, String), Value>,
    /// Every state that was written, oldest first.
    states: Vec<String>,
    /// `{"id", "version", "author", "text"}`
    comments: Vec<Value>,
    last_id: u64,
    /// Comments of others that somebody wanted to edit or remove.
    trespasses: Vec<String>,
    /// Of Data Center.
    version: &'static str,
    /// Requests that each token is good for.
    uses: usize,
    tokens: BTreeMap<String, usize>,
    handed_out: usize,
}

/// Cloud below `/cloud`, Data Center below `/dc`. Repositories are those of workspace or project `octo` or `PRJ`.
#[derive(Clone)]
struct Bitbucket(Arc<Mutex<Kept>>);

impl Default for Bitbucket {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept { uses: usize::MAX, version: "9.4.1", ..Kept::default() })))
    }
}

fn wrong(status: u16, message: &str) -> Reply {
    Reply::of(status, json!({"errors": [{"context": null, "message": message}]}).to_string())
}

impl Bitbucket {
    fn kept<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn serve(&self) -> Server {
        self.after(|_, _| None).await
    }

    /// The same, with something else before it.
    async fn after(&self, first: impl Fn(&Post, usize) -> Option<Reply> + Send + Sync + 'static) -> Server {
        let bitbucket = self.clone();
        Server::of(move |post, before| first(post, before).unwrap_or_else(|| bitbucket.answer(post))).await
    }

    fn answer(&self, post: &Post) -> Reply {
        let authorization = post.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let parts: Vec<&str> = post.path().split('/').skip(1).collect();
        let body = post.json();
        let is_bot = authorization == format!("Basic {}", STANDARD.encode("bot:dc-s3cret"));
        let reply = self.kept(|kept| match (post.method.as_str(), &parts[..]) {
            ("POST", ["cloud", "token"]) => kept.token(post, authorization),
            ("POST", ["cloud", "2.0", "repositories", "octo", repo, "commit", sha, "statuses", "build"]) => {
                if !kept.is_known(authorization) {
                    return Reply::of(401, r#"{"type": "error", "error": {"message": "Access token expired."}}"#);
                }
                kept.cloud_status(&format!("octo/{repo}@{sha}"), body)
            }
            ("GET", ["cloud", "2.0", "user"]) if kept.is_known(authorization) => Reply::of(200, r#"{"username": "ci", "account_id": "5"}"#),
            ("GET", ["cloud", "2.0", "user"]) => {
                Reply::of(401, r#"{"type": "error", "error": {"message": "Token is invalid, expired, or not supported for this endpoint."}}"#)
            }
            // Anybody may ask for it, and a token that is none is nobody's.
            ("GET", ["dc", "rest", "api", "1.0", "application-properties"]) => {
                Reply::of(200, json!({"version": kept.version, "displayName": "Bitbucket"}).to_string())
            }
            (_, ["dc", ..]) if !["Bearer dc-s3cret".to_owned(), format!("Basic {}", STANDARD.encode("bot:dc-s3cret"))].contains(&authorization.to_owned()) => {
                wrong(401, "Authentication failed. Please check your credentials and try again.")
            }
            ("POST", ["dc", "rest", "build-status", "1.0", "commits", sha]) => kept.status(sha, body, &["INPROGRESS", "SUCCESSFUL", "FAILED"]),
            ("POST", ["dc", "rest", "api", "1.0", "projects", "PRJ", "repos", repo, "commits", sha, "builds"]) => {
                let since_8 = ["INPROGRESS", "SUCCESSFUL", "FAILED", "CANCELLED", "UNKNOWN"];
                kept.status(&format!("PRJ/{repo}@{sha}"), body, if kept.version.starts_with("7.") { &since_8[..3] } else { &since_8 })
            }
            ("GET", ["dc", "rest", "api", "1.0", "users"]) => Reply::of(200, json!({"values": [{"name": "bot", "id": 5}], "isLastPage": true}).to_string()),
            (_, ["dc", "rest", "api", "1.0", "projects", "PRJ", "repos", "rep", "pull-requests", "7", rest @ ..]) => kept.pull_request(post, rest, &body),
            _ => wrong(404, "No such thing"),
        });
        if parts.first() == Some(&"dc") && is_bot { reply.header("x-ausername", "bot") } else { reply }
    }

    fn states(&self) -> Vec<String> {
        self.kept(|kept| kept.states.clone())
    }

    fn status(&self, of: &str, key: &str) -> Value {
        self.kept(|kept| kept.statuses.get(&(of.into(), key.into())).cloned().unwrap_or_default())
    }

    fn comments(&self) -> Vec<String> {
        self.kept(|kept| kept.comments.iter().filter(|comment| comment["author"]["id"] == 5).map(|comment| comment["text"].as_str().unwrap().into()).collect())
    }
}

impl Kept {
    fn token(&mut self, post: &Post, authorization: &str) -> Reply {
        if post.form().get("grant_type").is_none_or(|grant| grant != "client_credentials") {
            return Reply::of(400, r#"{"error": "unsupported_grant_type"}"#);
        }
        if authorization != format!("Basic {}", STANDARD.encode("consumer:bb-s3cret")) {
            return Reply::of(401, r#"{"error": "unauthorized_client", "error_description": "Invalid OAuth client credentials"}"#);
        }
        self.handed_out += 1;
        let token = format!("bb-t0ken-{}", self.handed_out);
        self.tokens.insert(token.clone(), self.uses);
        Reply::of(200, json!({"access_token": token, "token_type": "bearer", "expires_in": 7200, "scopes": "repository:write"}).to_string())
    }

    fn is_known(&mut self, authorization: &str) -> bool {
        let basic = format!("Basic {}", STANDARD.encode("ada@example.org:bb-s3cret"));
        if authorization == basic {
            return true;
        }
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        match self.tokens.get_mut(token) {
            Some(left @ 1..) => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn cloud_status(&mut self, of: &str, body: Value) -> Reply {
        let error = |field: &str, why: &str| Reply::of(400, json!({"type": "error", "error": {"fields": {field: [why]}}}).to_string());
        let length = |key: &str| body[key].as_str().map_or(0, |text| text.chars().count());
        if length("key") == 0 || length("url") == 0 {
            return error("key", "required key not provided");
        }
        if length("key") > 40 {
            return error("key", "Ensure this value has at most 40 characters");
        }
        if length("name") > 255 || length("description") > 255 {
            return error("name", "Ensure this value has at most 255 characters");
        }
        if !["INPROGRESS", "SUCCESSFUL", "FAILED", "STOPPED"].iter().any(|state| body["state"] == *state) {
            return error("state", "invalid choice");
        }
        self.keep(of, &body);
        Reply::of(201, body.to_string())
    }

    /// Of Data Center: every field of 255 characters, the URL of 450; of all of them state, key and url are required.
    fn status(&mut self, of: &str, body: Value, states: &[&str]) -> Reply {
        if of.is_empty() || !states.iter().any(|state| body["state"] == *state) {
            return wrong(400, "The state is not one of those that there are");
        }
        for (member, value) in body.as_object().into_iter().flatten() {
            let most = if member == "url" { 450 } else { 255 };
            let fits = match (member.as_str(), value) {
                ("duration", value) => value.is_null() || value.is_u64(),
                ("testResults", value) => value.is_null() || ["failed", "skipped", "successful"].iter().all(|count| value[count].is_u64()),
                ("state" | "key" | "url", value) => value.as_str().is_some_and(|text| (1..=most).contains(&text.chars().count())),
                ("name" | "description" | "parent" | "ref" | "buildNumber", value) => {
                    value.is_null() || value.as_str().is_some_and(|text| text.chars().count() <= most)
                }
                _ => false,
            };
            if !fits {
                return wrong(400, &format!("{member} is missing or too long"));
            }
        }
        if !["state", "key", "url"].iter().all(|member| body[member].is_string()) {
            return wrong(400, "state, key and url are required");
        }
        self.keep(of, &body);
        Reply::of(204, "")
    }

    fn keep(&mut self, of: &str, body: &Value) {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        self.statuses.insert((of.into(), text("key")), body.clone());
        self.states.push(text("state"));
    }

    fn pull_request(&mut self, post: &Post, rest: &[&str], body: &Value) -> Reply {
        let text = body["text"].as_str().unwrap_or_default();
        if post.method != "GET" && post.method != "DELETE" && !(1..=32_768).contains(&text.chars().count()) {
            return wrong(400, "The comment text must have between 1 and 32768 characters");
        }
        match (post.method.as_str(), rest) {
            ("POST", ["comments"]) => {
                self.last_id += 1;
                let comment = json!({"id": self.last_id, "version": 0, "author": {"id": 5, "name": "bot"}, "text": text});
                self.comments.push(comment.clone());
                Reply::of(201, comment.to_string())
            }
            ("GET", ["activities"]) => {
                let query = post.query();
                let number = |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
                let (start, limit) = (number("start", 0), number("limit", 25));
                let all: Vec<Value> =
                    self.comments.iter().rev().map(|comment| json!({"action": "COMMENTED", "comment": comment})).chain([json!({"action": "OPENED"})]).collect();
                let shown: Vec<&Value> = all.iter().skip(start).take(limit).collect();
                let last = start + shown.len() >= all.len();
                Reply::of(200, json!({"values": shown, "isLastPage": last, "nextPageStart": if last { Value::Null } else { json!(start + limit) }}).to_string())
            }
            (method, ["comments", id]) => match self.comments.iter_mut().find(|comment| comment["id"].to_string() == **id) {
                None => wrong(404, "Comment does not exist"),
                Some(comment) if method == "GET" => Reply::of(200, comment.to_string()),
                Some(comment) if comment["author"]["name"] != "bot" => {
                    self.trespasses.push(format!("{method} {comment}"));
                    wrong(401, "You are not permitted to modify this comment")
                }
                Some(comment) if method == "PUT" && comment["version"] != body["version"] => {
                    wrong(409, "You are attempting to modify a comment based on out-of-date information.")
                }
                Some(comment) if method == "PUT" => {
                    comment["text"] = json!(text);
                    comment["version"] = json!(comment["version"].as_u64().unwrap() + 1);
                    Reply::of(200, comment.to_string())
                }
                Some(_) => wrong(405, "Method not allowed"),
            },
            _ => wrong(404, "No such thing"),
        }
    }
}

const CLOUD: &str = "reporter = 'BitbucketStatusPush'\noauth_key = 'consumer'\noauth_secret = { secret = 'bitbucket' }\nbase_url = 'SERVER/cloud/2.0/repositories'\noauth_url = 'SERVER/cloud/token'\n";
const SERVER: &str = "reporter = 'StashStatusPush'\nbase_url = 'SERVER/dc/'\nuser = 'bot'\npassword = { secret = 'datacenter' }\n";
const CORE: &str = "reporter = 'BitbucketServerCoreAPIStatusPush'\nbase_url = 'SERVER/dc'\ntoken = { secret = 'datacenter' }\n";
const COMMENT: &str = "reporter = 'BitBucketServerPRCommentPush'\nbase_url = 'SERVER/dc'\nuser = 'bot'\npassword = { secret = 'datacenter' }\n";
const STAGES: [Stage; 3] = [Stage::Requested, Stage::Started, Stage::Finished(2)];

fn of_data_center() -> Checkout {
    Checkout::of("https://bitbucket.example.org/scm/PRJ/rep.git", "main")
}

fn of_pull_request(server: &Server) -> Checkout {
    of_data_center().with("pullrequesturl", format!("https://127.0.0.1:{}/dc/projects/PRJ/repos/rep/pull-requests/7/overview", server.port))
}

/// One event of each of several commits.
fn commits(many: usize) -> Vec<(reporter_host::event::Event, reporter_host_tests::Mapped)> {
    let at = |n: usize| {
        let mut checkout = Checkout::of("git@bitbucket.org:octo/repo.git", "main");
        checkout.stamps[0]["revision"] = json!(format!("{n:040x}"));
        checkout.at(Stage::Finished(0), n)
    };
    (0..many).map(at).collect()
}

fn is_content(noted: &Arc<Noted>) {
    assert_eq!(noted.dead_letters(), [""; 0], "{:?}", noted.of("it"));
}

fn tokens_are_told_nowhere(noted: &Noted) {
    let told = [noted.of("it"), noted.dead_letters(), noted.titles()].concat().join("\n");
    assert!(!told.contains("bb-t0ken"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dialect_tells_of_each_stage() {
    for (settings, of, key, words) in [
        (CLOUD, format!("octo/repo@{SHA}"), KEY, vec!["INPROGRESS", "FAILED"]),
        (SERVER, SHA.to_owned(), "linux", vec!["INPROGRESS", "FAILED"]),
        (CORE, format!("PRJ/rep@{SHA}"), "linux", vec!["INPROGRESS", "INPROGRESS", "FAILED"]),
    ] {
        let bitbucket = Bitbucket::default();
        let server = bitbucket.serve().await;
        let folder = tempfile::tempdir().unwrap();
        let checkout = if settings == CORE { of_data_center() } else { Checkout::default() };
        // One after another: what follows at once replaces what waits.
        for n in 1..=STAGES.len() {
            let noted = tell(folder.path(), &server, settings, STAGES[..n].iter().enumerate().map(|(n, stage)| checkout.at(*stage, n))).await;
            is_content(&noted);
        }
        assert_eq!(bitbucket.states(), words, "{settings}");
        let status = bitbucket.status(&of, key);
        assert_eq!((&status["state"], &status["url"]), (&json!("FAILED"), &json!("https://ci.example.org/#/builders/3/builds/12")), "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_is_no_failure_where_there_is_a_word_for_it() {
    for (settings, word) in [(CLOUD, "STOPPED"), (SERVER, "FAILED"), (CORE, "CANCELLED")] {
        let bitbucket = Bitbucket::default();
        let server = bitbucket.serve().await;
        let checkout = if settings == CORE { of_data_center() } else { Checkout::default() };
        is_content(&tell_once(&server, settings, [checkout.at(Stage::Finished(6), 1)]).await);
        let request = format!("{settings}events = 'buildrequest-cancelled'\n");
        is_content(&tell_once(&server, &request, [checkout.at(Stage::Cancelled, 2)]).await);
        assert_eq!(bitbucket.states(), [word, word], "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_never_follows_a_newer_one() {
    for settings in [CLOUD, SERVER, CORE] {
        let bitbucket = Bitbucket::default();
        // The first attempt is throttled, and everything else comes meanwhile.
        let server =
            bitbucket.after(|post, before| (before == 0 && !post.path().ends_with("/token")).then(|| Reply::of(429, "").header("retry-after", 2))).await;
        let checkout = if settings == CORE { of_data_center() } else { Checkout::default() };
        let stages = [Stage::Requested, Stage::Started, Stage::Finished(0)];
        let noted = tell_once(&server, settings, stages.iter().enumerate().map(|(n, stage)| checkout.at(*stage, n))).await;
        is_content(&noted);
        let states = bitbucket.states();
        assert_eq!(states.last().map(String::as_str), Some("SUCCESSFUL"), "{states:?} {:?}", noted.of("it"));
        assert!(states.iter().rev().skip(1).all(|state| state == "INPROGRESS"), "{states:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_all_and_is_asked_for_anew_when_it_is_refused() {
    let bitbucket = Bitbucket::default();
    let server = bitbucket.serve().await;
    let noted = tell_once(&server, CLOUD, commits(12)).await;
    is_content(&noted);
    tokens_are_told_nowhere(&noted);
    assert_eq!((delivered(&noted), bitbucket.kept(|kept| kept.handed_out)), (12, 1));

    // Each token is good for five requests.
    let bitbucket = Bitbucket::default();
    bitbucket.kept(|kept| kept.uses = 5);
    let server = bitbucket.serve().await;
    let noted = tell_once(&server, &format!("{CLOUD}debug = true\nverbose = true\n"), commits(6)).await;
    is_content(&noted);
    tokens_are_told_nowhere(&noted);
    assert_eq!((delivered(&noted), bitbucket.kept(|kept| kept.handed_out)), (6, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn api_tokens_and_access_tokens() {
    let bitbucket = Bitbucket::default();
    bitbucket.kept(|kept| kept.tokens.insert("bb-s3cret".into(), 1));
    let server = bitbucket.serve().await;
    for auth in ["['ada@example.org', { secret = 'bitbucket' }]", "{ bearer = { secret = 'bitbucket' } }"] {
        let settings = format!("reporter = 'BitbucketStatusPush'\nbase_url = 'SERVER/cloud/2.0/repositories/'\nauth = {auth}\n");
        is_content(&tell_once(&server, &settings, commits(1)).await);
    }
    assert_eq!((bitbucket.states().len(), bitbucket.kept(|kept| kept.handed_out)), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_consumer_is_waited_for() {
    const REFUSED: &str = "401 unauthorized_client Invalid OAuth client credentials";
    let bitbucket = Bitbucket::default();
    let refused = || Reply::of(401, r#"{"error": "unauthorized_client", "error_description": "Invalid OAuth client credentials"}"#);
    let server = bitbucket.after(move |post, before| (before == 0 && post.path().ends_with("/token")).then(refused)).await;
    let noted = tell_once(&server, CLOUD, commits(3)).await;
    is_content(&noted);
    assert_eq!((delivered(&noted), bitbucket.states().len()), (3, 3));
    assert!(noted.of("it").iter().any(|end| end.starts_with("Retry") && end.contains(REFUSED)), "{:?}", noted.of("it"));

    // Until it is of no use any more.
    let bitbucket = Bitbucket::default();
    let server = bitbucket.serve().await;
    let noted = tell_once(&server, &format!("{}expires_after = '3 s'\n", CLOUD.replace("'bitbucket'", "'github'")), commits(1)).await;
    let dead = noted.dead_letters();
    assert!(dead.len() == 1 && dead[0].contains("expired") && dead[0].contains(REFUSED), "{dead:?}");
    assert_eq!(server.posts().len(), 1, "the API is not asked without a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_a_wrong_login_from_a_right_one() {
    let bitbucket = Bitbucket::default();
    let server = bitbucket.serve().await;
    let api_token = "reporter = 'BitbucketStatusPush'\nbase_url = 'SERVER/cloud/2.0/repositories'\nauth = ['ada@example.org', { secret = 'bitbucket' }]\n";
    for (settings, secret, path, user) in [
        (CLOUD, "'bitbucket'", "/cloud/2.0", "user"),
        (api_token, "'bitbucket'", "/cloud/2.0", "user"),
        (SERVER, "'datacenter'", "/dc", "rest/api/1.0/users"),
        (CORE, "'datacenter'", "/dc", "rest/api/1.0/users"),
        (COMMENT, "'datacenter'", "/dc", "rest/api/1.0/users"),
    ] {
        let (code, said) = check(&server, settings);
        assert!(code == 0 && said.contains(&format!("logged in: answers GET {user} with 200")), "{settings} {code}: {said}");
        assert!(said.contains(&format!("http://127.0.0.1:{}{path}", server.port)), "{said}");
        let (code, said) = check(&server, &settings.replace(secret, "'github'"));
        let says = if settings == CLOUD { "refuses a token: 401" } else { "with 401: the credentials are refused" };
        assert!(code == 1 && said.contains(says), "{settings} {code}: {said}");
    }
    assert!(bitbucket.states().is_empty() && bitbucket.comments().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn data_center_before_8_knows_no_cancelled_builds() {
    for (version, word) in [("7.21.16", "FAILED"), ("8.0.0", "CANCELLED")] {
        let bitbucket = Bitbucket::default();
        bitbucket.kept(|kept| kept.version = version);
        let server = bitbucket.serve().await;
        is_content(&tell_once(&server, CORE, [of_data_center().at(Stage::Finished(6), 1)]).await);
        assert_eq!(bitbucket.states(), [word], "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_is_busy_is_asked_again() {
    for busy in [(|| Reply::of(503, "down for maintenance")) as fn() -> Reply, || Reply::of(429, "").header("retry-after", 2)] {
        let bitbucket = Bitbucket::default();
        let server = bitbucket.after(move |post, before| (before == 0 && post.path().ends_with("/token")).then(busy)).await;
        let noted = tell_once(&server, CLOUD, commits(2)).await;
        is_content(&noted);
        assert_eq!((delivered(&noted), bitbucket.kept(|kept| kept.handed_out)), (2, 1), "{:?}", noted.of("it"));
        assert!(noted.of("it").iter().any(|end| end.contains("hands out no token now")), "{:?}", noted.of("it"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_cut() {
    let long = "ü".repeat(40_000);
    let described = format!("startDescription = '{long}'\nendDescription = '{long}'\n");
    for settings in [
        format!("{CLOUD}{described}status_key = '{long}'\nstatus_name = '{long}'\n"),
        format!("{SERVER}{described}key = '{long}'\nstatusName = '{long}'\n"),
        format!("{CORE}{described}key = '{long}'\nstatusName = '{long}'\nparentName = '{long}'\nref = '{long}'\nbuildNumber = '{long}'\n"),
        format!("{COMMENT}messageFormatter = {{ template = '{long}' }}\n"),
    ] {
        let bitbucket = Bitbucket::default();
        let server = bitbucket.serve().await;
        let checkout = if settings.starts_with(CLOUD) { Checkout::default() } else { of_pull_request(&server) };
        let noted = tell_once(&server, &settings, [checkout.at(Stage::Finished(2), 1)]).await;
        is_content(&noted);
        assert_eq!(delivered(&noted), 1, "{:?}", noted.of("it"));
        assert!(bitbucket.comments().iter().all(|comment| comment.ends_with("https://ci.example.org/#/builders/3/builds/12")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_stamp_stops_no_other() {
    for (settings, fine) in [(CLOUD, "https://bitbucket.org/octo/lib"), (SERVER, ""), (CORE, "ssh://git@bitbucket.example.org:7999/PRJ/lib.git")] {
        let bitbucket = Bitbucket::default();
        let server = bitbucket.serve().await;
        let mut several = Checkout::default();
        several.stamps = vec![
            json!({"codebase": "a", "revision": null}),
            json!({"codebase": "b", "revision": "", "repository": fine}),
            json!({"codebase": "c", "repository": "/srv/git/c.git", "revision": if settings == SERVER { Value::Null } else { json!(SHA) }}),
            json!({"codebase": "d", "repository": fine}),
        ];
        let noted = tell_once(&server, settings, [several.at(Stage::Finished(0), 1)]).await;
        is_content(&noted);
        assert_eq!((delivered(&noted), bitbucket.states().len()), (1, 1), "{settings}: {:?}", noted.of("it"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_on_pull_requests() {
    let bitbucket = Bitbucket::default();
    let server = bitbucket.after(|_, before| (before == 0).then(|| Reply::of(429, "").header("retry-after", 1))).await;
    is_content(&tell_once(&server, COMMENT, [of_pull_request(&server).at(Stage::Finished(2), 1)]).await);
    let comments = bitbucket.comments();
    assert!(comments.len() == 1 && ["linux", "https://ci.example.org/"].iter().all(|fact| comments[0].contains(fact)), "{comments:?}");
    for (checkout, why) in [
        (Checkout::default(), "the build has no property pullrequesturl"),
        (Checkout::default().with("pullrequesturl", "https://github.com/octo/repo/pull/7"), "is no pull request of a Bitbucket server"),
        (
            of_data_center().with("pullrequesturl", "https://bitbucket.example.org/projects/PRJ/repos/rep/pull-requests/7"),
            "is a pull request of another server than http://127.0.0.1:",
        ),
    ] {
        let noted = tell_once(&server, COMMENT, [checkout.at(Stage::Finished(2), 1)]).await;
        assert!(noted.of("it")[0].contains(why), "{:?}", noted.of("it"));
    }
    let noted = tell_once(&server, &COMMENT.replace("'datacenter'", "'github'"), [of_pull_request(&server).at(Stage::Finished(2), 1)]).await;
    assert!(noted.dead_letters().len() == 1 && noted.dead_letters()[0].contains("Authentication failed"), "{:?}", noted.dead_letters());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_edited_found_again_and_made_anew() {
    const MARKER: &str = "[//]: # (reporter-host:buildbot/linux)";
    let bitbucket = Bitbucket::default();
    // Others talk, too, and some of them have seen the marker.
    bitbucket.kept(|kept| {
        let by_eve =
            |id: u64| json!({"id": 9_000 + id, "version": 0, "author": {"id": 6, "name": "eve"}, "text": if id % 50 == 0 { MARKER } else { "I think …" }});
        kept.comments = (1..=150).map(by_eve).collect();
    });
    let server = bitbucket.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("{COMMENT}editComment = true\nmode = 'all'\nmessageFormatter = {{ template = '{{{{ summary }}}}' }}\n");
    let results = [2, 0, 1, 4];
    let events =
        |many: usize| results[..many].iter().enumerate().map(|(n, results)| of_pull_request(&server).at(Stage::Finished(*results), n)).collect::<Vec<_>>();
    let mine = |bitbucket: &Bitbucket| bitbucket.kept(|kept| kept.comments.iter().position(|comment| comment["author"]["id"] == 5));
    is_content(&tell(folder.path(), &server, &settings, events(1)).await);
    let first = bitbucket.comments();
    assert!(first.len() == 1 && first[0].ends_with(MARKER), "{first:?}");
    is_content(&tell(folder.path(), &server, &settings, events(2)).await);
    assert_eq!(bitbucket.comments(), [format!("Build succeeded!\n\n{MARKER}")]);

    // A host that has lost its state sees who it is, and takes its own one up again.
    let asked = server.posts().len();
    is_content(&tell_once(&server, &settings, events(1)).await);
    let asked: Vec<String> = server.posts()[asked..].iter().map(|post| format!("{} {}", post.method, post.path().rsplit('/').next().unwrap())).collect();
    assert_eq!((bitbucket.comments().len(), asked.first().unwrap().as_str()), (1, "GET application-properties"), "{asked:?}");
    assert!(asked.last().unwrap().starts_with("PUT"), "{asked:?}");

    // Somebody has edited the first: the first host knows an older version, and reads it again.
    bitbucket.kept(|kept| kept.comments.iter_mut().filter(|comment| comment["author"]["id"] == 5).for_each(|comment| comment["version"] = json!(7)));
    let noted = tell(folder.path(), &server, &settings, events(3)).await;
    assert!(bitbucket.comments().len() == 1 && bitbucket.comments()[0].contains("Build Had Warnings"), "{:?} {:?}", bitbucket.comments(), noted.of("it"));

    // Somebody deletes it.
    bitbucket.kept(|kept| kept.comments.retain(|comment| comment["author"]["id"] == 6));
    assert_eq!(mine(&bitbucket), None);
    let noted = tell(folder.path(), &server, &settings, events(4)).await;
    let comments = bitbucket.comments();
    assert!(comments.len() == 1 && comments[0].ends_with(MARKER), "{comments:?} {:?}", noted.of("it"));
    assert_eq!(bitbucket.kept(|kept| kept.trespasses.clone()), [""; 0]);
}
