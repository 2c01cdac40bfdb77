//! GerritVerifyStatusPush to Gerrit with its plugin verify-status, as far as these publish their rules.

use reporter_host_tests::server::{Post, Reply, Server};
use serde_json::Value;

use super::{delivered, tell};

/// The change and patch set of the builds that are played.
const PATH: &str = "/gerrit/a/changes/4711/revisions/3/verify-status~verifications";

/// Takes verifications below `/gerrit`, from the user `ci` with his password, by Basic or by Digest (RFC 7616).
fn answer(post: &Post, challenge: &'static str) -> Reply {
    let header = post.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let admitted = match header.split_once(' ') {
        Some(("Basic", sent)) if challenge.starts_with("Basic") => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(sent).is_ok_and(|sent| sent == b"ci:http-password")
        }
        Some(("Digest", _)) if challenge.starts_with("Digest") => digest(header, post),
        _ => false,
    };
    if !admitted {
        return Reply::of(401, "Unauthorized").header("www-authenticate", challenge);
    }
    if post.path() != PATH || post.method != "POST" {
        return Reply::of(404, "Not found");
    }
    let body = post.json();
    let text = |key: &str| body.get(key).is_none_or(Value::is_string);
    let known = ["name", "value", "abstain", "rerun", "comment", "url", "reporter", "category", "duration"];
    let fits = body.as_object().is_some_and(|body| body.keys().all(|key| known.contains(&key.as_str())))
        && body["name"].as_str().is_some_and(|name| !name.is_empty())
        && matches!(body["value"].as_i64(), Some(-1..=1))
        && body.get("abstain").is_none_or(Value::is_boolean)
        && ["comment", "url", "reporter", "category", "duration"].into_iter().all(text);
    if fits { Reply::of(204, "") } else { Reply::of(400, "invalid verification") }
}

fn digest(header: &str, post: &Post) -> bool {
    let Ok(mut sent) = digest_auth::AuthorizationHeader::parse(header) else { return false };
    let given = (sent.response.clone(), sent.username.clone(), sent.uri.clone(), sent.nonce.clone());
    sent.digest(&digest_auth::AuthContext::new_post("ci", "http-password", post.target.as_str(), Some(post.body.as_bytes())));
    given == (sent.response, "ci".to_owned(), post.target.clone(), "n0nce".to_owned())
}

const BASIC: &str = "Basic realm=\"Gerrit Code Review\"";
const DIGEST: &str = "Digest realm=\"Gerrit Code Review\", qop=\"auth\", nonce=\"n0nce\", algorithm=SHA-256";
const ENTRY: &str = "reporter = 'GerritVerifyStatusPush'\nbaseURL = 'SERVER/gerrit/'\n";

#[tokio::test(flavor = "multi_thread")]
async fn by_basic_and_by_digest() {
    for (challenge, auth, asked) in
        [(BASIC, "auth = ['ci', { secret = 'gerrit' }]\n", 1), (DIGEST, "auth = { digest = { user = 'ci', password = { secret = 'gerrit' } } }\n", 2)]
    {
        let server = Server::of(move |post, _| answer(post, challenge)).await;
        let noted = tell(&server, &format!("{ENTRY}{auth}category = 'cat-%(prop:branch)s'\nabstain = true\nverification_reporter = 'ci'\n"), 1).await;
        assert_eq!(delivered(&noted), 1, "{challenge}: {:?} {:?}", noted.of("it"), noted.dead_letters());
        let posts = server.posts();
        assert_eq!(posts.len(), asked, "{challenge}");
        let body = posts.last().unwrap().json();
        assert_eq!((&body["name"], &body["value"], &body["duration"]), (&"linux".into(), &(-1).into(), &"1m 0s".into()));
        assert_eq!((&body["abstain"], &body["category"], &body["reporter"]), (&true.into(), &"cat-main".into(), &"ci".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gerrit_refuses_is_a_dead_letter() {
    for (challenge, auth, url, why) in [
        (BASIC, "auth = ['ci', 'wrong']\n", "SERVER/gerrit", "401"),
        (DIGEST, "auth = { digest = { user = 'ci', password = 'wrong' } }\n", "SERVER/gerrit", "401"),
        // Without the plugin, or at another place.
        (BASIC, "auth = ['ci', { secret = 'gerrit' }]\n", "SERVER/elsewhere", "404"),
    ] {
        let server = Server::of(move |post, _| answer(post, challenge)).await;
        let noted = tell(&server, &format!("{}{auth}", ENTRY.replace("SERVER/gerrit/", url)), 1).await;
        let dead = noted.dead_letters();
        assert!(dead.len() == 1 && dead[0].contains(why), "{challenge}: {dead:?}");
    }
}
