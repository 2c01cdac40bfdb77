//! Placeholders: where they become the value, where they stay what they are, and whose they are.

use reporter_host_tests::server::Server;

use super::whole::{hostile, open, play};

const VALUE: &str = "s3cr3t value/ü";
/// Where a placeholder becomes the value: its encoding on the wire.
const REVEALED: &[(&str, &str)] =
    &[("secret-in-path", "bots3cr3t%20value%2F%C3%BC"), ("secret-in-query", "token=s3cr3t+value%2F%C3%BC"), ("secret-in-form", "token=s3cr3t+value%2F%C3%BC")];
/// Where it is text as any other.
const KEPT: &[&str] = &["secret-in-json", "secret-in-text"];
const OTHERS: &[&str] = &["secret-in-header", "secret-in-title"];

pub fn words() -> Vec<&'static str> {
    REVEALED.iter().map(|(word, _)| *word).chain([KEPT, OTHERS].concat()).collect()
}

fn settings(services: &str) -> String {
    open(format!("[secrets]\ntoken = {{ file = 'token' }}\n{services}"))
}

/// An entry that was granted the secret, and has its placeholder.
fn granted(word: &str) -> String {
    hostile(word, word, "secrets = ['token']\ntext = { secret = 'token' }")
}

fn is_placeholder(text: &str) -> bool {
    text.len() == 32 && text.starts_with("RHSECRET") && text.chars().all(|c| c.is_ascii_alphanumeric())
}

#[tokio::test(flavor = "multi_thread")]
async fn placeholders_become_values_where_the_contract_says_and_nowhere_else() {
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), VALUE).unwrap();
    let words: Vec<&str> = REVEALED.iter().map(|(word, _)| *word).chain(KEPT.iter().copied()).collect();
    let services: String = words.iter().map(|word| granted(word)).collect();
    play(folder.path(), &settings(&services), 1, server.port).await;
    let posts = server.posts();
    let sent = |word: &str| posts.iter().find(|post| post.target.starts_with(&format!("/{word}"))).unwrap_or_else(|| panic!("{word} did not arrive"));
    for (word, wire) in REVEALED {
        let post = sent(word);
        assert!(post.target.contains(wire) || post.body.contains(wire), "{word}: {post:?}");
    }
    for word in KEPT {
        let body = &sent(word).body;
        assert!(is_placeholder(body.trim_matches('"')), "{word}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_is_its_entrys_own_and_titles_show_none() {
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    // A value that a header takes.
    std::fs::write(folder.path().join("token"), "s3cr3t").unwrap();
    let noted = play(folder.path(), &settings(&(granted("secret-in-text") + &granted("secret-in-header") + &granted("secret-in-title"))), 1, server.port).await;
    let header = |path: &str| server.posts().iter().find(|post| post.target.starts_with(path)).map(|post| post.headers["x-token"].to_str().unwrap().to_owned());
    assert_eq!(header("/secret-in-header").as_deref(), Some("s3cr3t"));
    let placeholder = server.bodies("/secret-in-text").remove(0);
    assert!(is_placeholder(&placeholder), "{placeholder}");
    let titles = noted.titles();
    assert!(titles.iter().any(|title| is_placeholder(title)) && !titles.iter().any(|title| title.contains("s3cr3t")), "{titles:?}");

    // Others know it now: one without a grant, and one that was granted the same secret under its own placeholder.
    let thief = hostile("thief", "secret-in-header", &format!("text = '{placeholder}'"));
    let other = hostile("other", "secret-in-header", &format!("secrets = ['token']\ntext = '{placeholder}'"));
    play(folder.path(), &settings(&(thief + &other)), 2, server.port).await;
    for entry in ["/thief", "/other"] {
        assert_eq!(header(entry), Some(placeholder.clone()), "{entry}: it is text");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_no_endpoint_that_it_was_not_granted_for() {
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "s3cr3t").unwrap();
    let entry = hostile("elsewhere", "secret-in-header", "secrets = { token = ['relay'] }\ntext = { secret = 'token' }");
    let ended = play(folder.path(), &settings(&entry), 1, server.port).await.of("elsewhere");
    assert!(ended.last().unwrap().contains("not granted to endpoint"), "{ended:?}");
    assert!(server.posts().is_empty(), "{:?}", server.posts());
}
