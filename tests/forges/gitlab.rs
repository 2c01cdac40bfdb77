//! GitLab: commit statuses. <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reporter_host::event::{Event, Rows};
use reporter_host_tests::Mapped;
use reporter_host_tests::server::{Post, Reply, Server};
use reporter_host_tests::stage::{Checkout, Stage};
use serde_json::{Value, json};

use super::{check, delivered, now, tell, tell_once};

/// The most characters of ref, target_url, description and name.
const MOST: usize = 255;
const STATES: [&str; 6] = ["pending", "running", "success", "failed", "canceled", "skipped"];
const SHA: &str = "4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f";

/// What GitLab keeps.
#[derive(Default)]
struct Kept {
    /// Ids by path.
    projects: BTreeMap<String, u64>,
    /// `{"project", "sha", "name", "ref", "status", "description", "pipeline_id"}`, oldest first.
    statuses: Vec<Value>,
    /// `{"id", "project", "sha", "ref"}`, oldest first.
    pipelines: Vec<Value>,
}

/// A GitLab, at first with the project grp/sub/proj as 42.
#[derive(Clone)]
struct GitLab(Arc<Mutex<Kept>>);

impl GitLab {
    fn new() -> Self {
        let projects = BTreeMap::from([("grp/sub/proj".to_owned(), 42)]);
        Self(Arc::new(Mutex::new(Kept { projects, ..Kept::default() })))
    }

    fn kept<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn serve(&self) -> Server {
        self.after(|_, _| None).await
    }

    async fn after(&self, first: impl Fn(&Post, usize) -> Option<Reply> + Send + Sync + 'static) -> Server {
        let gitlab = self.clone();
        Server::of(move |post, before| first(post, before).unwrap_or_else(|| gitlab.answer(post))).await
    }

    fn answer(&self, post: &Post) -> Reply {
        if post.headers.get("private-token").is_none_or(|token| token != "gl-s3cret") {
            return refused(401, "401 Unauthorized");
        }
        let parts: Vec<String> = post.path().split('/').skip(1).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.kept(|kept| match (post.method.as_str(), &parts[..]) {
            ("GET", ["lab", "api", "v4", "user"]) => Reply::of(200, r#"{"id": 5, "username": "project_42_bot"}"#),
            ("GET", ["lab", "api", "v4", "projects", id]) => match kept.project(id) {
                Some((path, id)) => Reply::of(200, json!({"id": id, "path_with_namespace": path}).to_string()),
                None => refused(404, "404 Project Not Found"),
            },
            ("POST", ["lab", "api", "v4", "projects", id, "statuses", sha]) => match kept.project(id) {
                Some((_, id)) => kept.status(id, sha, &post.json()),
                None => refused(404, "404 Project Not Found"),
            },
            _ => refused(404, "404 Not Found"),
        })
    }

    fn statuses(&self) -> Vec<String> {
        let text = |status: &Value, key: &str| status[key].as_str().unwrap_or("-").to_owned();
        self.kept(|kept| kept.statuses.iter().map(|it| format!("{} {} {}", it["project"], text(it, "ref"), text(it, "status"))).collect())
    }
}

fn decoded(segment: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", segment.replace('+', "%2B")).as_bytes()).next().unwrap().1.into_owned()
}

fn refused(status: u16, message: &str) -> Reply {
    Reply::of(status, json!({"message": message}).to_string())
}

impl Kept {
    /// By id, or by path.
    fn project(&self, id: &str) -> Option<(String, u64)> {
        self.projects.iter().find(|(path, known)| *path == id || known.to_string() == id).map(|(path, id)| (path.clone(), *id))
    }

    fn status(&mut self, project: u64, sha: &str, body: &Value) -> Reply {
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let state = text("state");
        if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return refused(404, "404 Commit Not Found");
        }
        if !STATES.contains(&state) {
            return Reply::of(400, r#"{"error":"state does not have a valid value"}"#);
        }
        if let Some(long) = ["ref", "target_url", "description", "name"].into_iter().find(|key| text(key).chars().count() > MOST) {
            return Reply::of(400, json!({"message": {long: ["is too long (maximum is 255 characters)"]}}).to_string());
        }
        let Some(pipeline) = self.pipeline(project, sha, body) else { return refused(404, "404 Pipeline for pipeline_id, sha and ref Not Found") };
        let is_same = |it: &Value| it["pipeline_id"] == pipeline && it["name"] == body["name"];
        let runs = |it: &Value| it["status"] == "pending" || it["status"] == "running";
        if let Some(row) = self.statuses.iter_mut().find(|it| is_same(it) && runs(it)) {
            let from = row["status"].as_str().unwrap_or_default().to_owned();
            let event = match state {
                "pending" => "enqueue",
                "running" => "run",
                "success" => "succeed",
                "failed" => "drop",
                _ => "cancel",
            };
            if state == from || state == "pending" {
                let why = format!("Cannot transition status via :{event} from :{from} (Reason(s): Status cannot transition via \"{event}\")");
                return refused(400, &why);
            }
            row["status"] = json!(state);
            row["description"] = body["description"].clone();
            return Reply::of(201, row.to_string());
        }
        let row = json!({"id": self.statuses.len() + 1, "project": project, "sha": sha, "name": body["name"], "ref": body["ref"], "status": state,
            "description": body["description"], "pipeline_id": pipeline});
        self.statuses.push(row.clone());
        Reply::of(201, row.to_string())
    }

    /// Where a status goes: the pipeline that it names, or the newest of the commit and ref; if there is none, one is made. None: it is not there.
    fn pipeline(&mut self, project: u64, sha: &str, body: &Value) -> Option<Value> {
        let fits = |it: &&Value| it["project"] == project && it["sha"] == sha && it["ref"] == body["ref"];
        if let Some(id) = body.get("pipeline_id") {
            return self.pipelines.iter().find(|it| fits(it) && it["id"] == *id).map(|it| it["id"].clone());
        }
        let newest = self.pipelines.iter().rfind(fits).map(|it| it["id"].clone());
        Some(newest.unwrap_or_else(|| self.begin(project, sha, &body["ref"])))
    }

    fn begin(&mut self, project: u64, sha: &str, branch: &Value) -> Value {
        let id = json!(100 + self.statuses.len() + self.pipelines.len());
        self.pipelines.push(json!({"id": id, "project": project, "sha": sha, "ref": branch}));
        id
    }
}

const GITLAB: &str = "reporter = 'GitLabStatusPush'\nbaseURL = 'SERVER/lab/'\ntoken = { secret = 'gitlab' }\n";

fn checkout() -> Checkout {
    Checkout::of("git@gitlab.com:grp/sub/proj.git", "main")
}

fn events(stages: &[Stage]) -> Vec<(Event, Mapped)> {
    stages.iter().enumerate().map(|(n, stage)| checkout().at(*stage, n)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_goes_through_its_states_and_the_project_is_asked_for_once() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let stages = [Stage::Requested, Stage::Started, Stage::Finished(6)];
    for (n, state) in ["pending", "running", "canceled"].iter().enumerate() {
        let noted = tell(folder.path(), &server, GITLAB, events(&stages[..=n])).await;
        assert_eq!((delivered(&noted), noted.dead_letters()), (1, vec![]), "{:?}", noted.of("it"));
        assert_eq!(gitlab.statuses(), [format!("42 main {state}")]);
    }
    let asked: Vec<String> = server.posts().iter().filter(|post| post.method == "GET").map(|post| post.target.clone()).collect();
    assert_eq!(asked, ["/lab/api/v4/projects/grp%2Fsub%2Fproj"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_already_is_done() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    for stages in [&[Stage::Started][..], &[Stage::Started], &[Stage::Requested]] {
        let noted = tell_once(&server, GITLAB, events(stages)).await;
        assert_eq!((delivered(&noted), noted.dead_letters()), (1, vec![]), "{:?}", noted.of("it"));
    }
    assert_eq!(gitlab.statuses(), ["42 main running"]);
    assert_eq!(server.posts().iter().filter(|post| post.method == "POST").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_never_follows_a_newer_one() {
    let gitlab = GitLab::new();
    let server = gitlab.after(|post, before| (post.method == "POST" && before == 0).then(|| refused(429, "Too many").header("retry-after", 2))).await;
    let noted = tell_once(&server, GITLAB, events(&[Stage::Requested, Stage::Started, Stage::Finished(2)])).await;
    assert_eq!(noted.dead_letters(), [""; 0]);
    assert_eq!(gitlab.statuses(), ["42 main failed"], "{:?}", noted.of("it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_waited_for_in_each_dialect() {
    for (n, limited) in [
        (|| refused(429, "Retry later").header("retry-after", 1)) as fn() -> Reply,
        || Reply::of(429, "Retry later\n").header("ratelimit-remaining", 0).header("ratelimit-reset", now() + 2),
        || Reply::of(503, "").header("retry-after", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let gitlab = GitLab::new();
        // The question for the project comes too soon as well.
        let server = gitlab.after(move |_, before| (before == 0).then(limited)).await;
        let noted = tell_once(&server, GITLAB, events(&[Stage::Finished(0)])).await;
        assert_eq!((delivered(&noted), gitlab.statuses()), (1, vec!["42 main success".to_owned()]), "{n}: {:?}", noted.of("it"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_has_another_id_is_found_again() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let stages = [Stage::Started, Stage::Finished(0)];
    tell(folder.path(), &server, GITLAB, events(&stages[..1])).await;
    gitlab.kept(|kept| kept.projects = BTreeMap::from([("grp/sub/proj".to_owned(), 43)]));
    let noted = tell(folder.path(), &server, GITLAB, events(&stages)).await;
    assert_eq!(gitlab.statuses(), ["42 main running", "43 main success"]);
    assert!(noted.dead_letters().len() == 1 && noted.dead_letters()[0].contains("Project Not Found"), "{:?}", noted.dead_letters());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_ends_in_the_pipeline_in_which_it_began() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let stages = [Stage::Started, Stage::Finished(0)];
    let began = tell(folder.path(), &server, GITLAB, events(&stages[..1])).await;
    // A schedule begins another one of the same commit.
    gitlab.kept(|kept| kept.begin(42, SHA, &json!("main")));
    let ended = tell(folder.path(), &server, GITLAB, events(&stages)).await;
    assert_eq!((delivered(&began), delivered(&ended)), (1, 1), "{:?} {:?}", began.of("it"), ended.of("it"));
    assert_eq!(gitlab.statuses(), ["42 main success"], "the first one runs for ever");

    // The same of its request.
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let all = [Stage::Requested, Stage::Started, Stage::Finished(0)];
    tell(folder.path(), &server, GITLAB, events(&all[..1])).await;
    gitlab.kept(|kept| kept.begin(42, SHA, &json!("main")));
    for n in 2..=3 {
        tell(folder.path(), &server, GITLAB, events(&all[..n])).await;
    }
    assert_eq!(gitlab.statuses(), ["42 main success"], "the request waits for ever");

    // One that is deleted meanwhile is no reason to be silent.
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let folder = tempfile::tempdir().unwrap();
    tell(folder.path(), &server, GITLAB, events(&stages[..1])).await;
    gitlab.kept(|kept| (kept.pipelines.clear(), kept.statuses.clear()));
    let noted = tell(folder.path(), &server, GITLAB, events(&stages)).await;
    assert!(noted.dead_letters().len() == 1 && noted.dead_letters()[0].contains("Pipeline"), "{:?}", noted.dead_letters());
    assert_eq!(gitlab.statuses(), ["42 main success"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commit_built_again_is_in_its_own_pipeline() {
    let gitlab = GitLab::new();
    // The answer to what a request says comes when its build has begun.
    let slowly = |post: &Post, _| {
        if post.method == "POST" && post.json()["state"] == "pending" {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        None
    };
    let server = gitlab.after(slowly).await;
    let folder = tempfile::tempdir().unwrap();
    let all = |first| [Stage::Requested, Stage::Started, Stage::Finished(0)].into_iter().zip(first..).map(|(stage, n)| checkout().at(stage, n));
    let noted = tell(folder.path(), &server, GITLAB, all(1)).await;
    assert_eq!((noted.dead_letters(), gitlab.statuses()), (vec![], vec!["42 main success".to_owned()]));
    let newest = gitlab.kept(|kept| kept.begin(42, SHA, &json!("main")));
    let noted = tell(folder.path(), &server, GITLAB, all(4).map(asked_for_again)).await;
    assert_eq!((noted.dead_letters(), gitlab.statuses()), (vec![], vec!["42 main success".to_owned(); 2]), "the newest waits for ever");
    assert!(gitlab.kept(|kept| kept.statuses.last().is_some_and(|it| it["pipeline_id"] == newest)), "{:?}", server.posts());
}

/// The same event of another build request.
fn asked_for_again((mut event, source): (Event, Mapped)) -> (Event, Mapped) {
    let again = |(path, rows): (&String, &Rows)| {
        let (mut path, mut rows) = (path.clone(), rows.clone());
        if path == "buildrequests/50" {
            path = "buildrequests/51".into();
            rows[0]["buildrequestid"] = json!(51);
        }
        (path, rows)
    };
    let rows: Vec<(String, Rows)> = source.rows().map(again).collect();
    event.message["buildrequestid"] = json!(51);
    (event, Mapped::new(rows))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_not_there_is_no_reason_to_be_silent() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let noted = tell_once(&server, &format!("{GITLAB}pipelineId = '4711'\n"), events(&[Stage::Finished(0)])).await;
    assert!(noted.dead_letters().len() == 1 && noted.dead_letters()[0].contains("Pipeline"), "{:?}", noted.dead_letters());
    assert_eq!(gitlab.statuses(), ["42 main success"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_a_wrong_token_from_a_right_one() {
    let server = GitLab::new().serve().await;
    for (secret, code, says) in [("'gitlab'", 0, "logged in: answers GET api/v4/user with 200"), ("'github'", 1, "with 401: the credentials are refused")] {
        let (ended, said) = check(&server, &GITLAB.replace("'gitlab'", secret));
        assert!(ended == code && said.contains(says) && said.contains(&format!("http://127.0.0.1:{}/lab: ", server.port)), "{secret} {ended}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_requests_of_forks() {
    let gitlab = GitLab::new();
    gitlab.kept(|kept| kept.projects.insert("eve/proj".into(), 77));
    let server = gitlab.serve().await;
    let merge = checkout().with("source_project_id", 77).with("source_branch", "fix");
    let noted = tell_once(&server, GITLAB, [merge.at(Stage::Finished(0), 1)]).await;
    assert_eq!(delivered(&noted), 1, "{:?}", noted.dead_letters());
    assert_eq!(gitlab.statuses(), ["77 fix success"]);
    assert!(server.posts().iter().all(|post| post.method == "POST"), "nobody has to be asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_cut_or_left_out() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let long = "ü".repeat(300);
    let settings = format!("{GITLAB}context = '{long}'\nendDescription = '{long}'\n");
    let noted = tell_once(&server, &settings, [checkout().with("source_branch", long.clone()).at(Stage::Finished(0), 1)]).await;
    assert_eq!((delivered(&noted), noted.dead_letters()), (1, vec![]));
    assert_eq!(gitlab.statuses(), ["42 - success"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_stamp_stops_no_other() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let mut several = checkout();
    let of = |codebase: &str, repository: &str| json!({"codebase": codebase, "project": "", "repository": repository, "branch": "main"});
    several.stamps = vec![of("a", "https://gitlab.com/grp/hidden.git"), of("b", "/srv/git/b.git"), of("c", "https://gitlab.com/grp/sub/proj/")];
    several.stamps.push(json!({"codebase": "d", "repository": "https://gitlab.com/grp/sub/proj.git", "revision": null}));
    let noted = tell_once(&server, GITLAB, [several.at(Stage::Finished(1), 1)]).await;
    assert_eq!((delivered(&noted), noted.dead_letters()), (1, vec![]));
    assert_eq!(gitlab.statuses(), ["42 main success"]);
    let posted: Vec<String> = server.posts().iter().filter(|post| post.method == "POST").map(|post| post.target.clone()).collect();
    assert_eq!(posted, [format!("/lab/api/v4/projects/42/statuses/{SHA}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told() {
    let gitlab = GitLab::new();
    let server = gitlab.serve().await;
    let noted = tell_once(&server, &GITLAB.replace("'gitlab'", "'github'"), events(&[Stage::Finished(0)])).await;
    assert!(noted.of("it").iter().any(|end| end.contains("401 Unauthorized") && end.contains("look at the token")), "{:?}", noted.of("it"));
}
