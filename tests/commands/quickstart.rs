//! The first screen of the README, as it stands.

use std::path::Path;

use crate::Place;

/// Everything that the recording leads to: entry, destination and title, in order of the alphabet.
const DELIVERIES: [(&str, &str, &str); 15] = [
    ("GitHubStatusPush", "https://api.github.com", PENDING),
    ("GitHubStatusPush", "https://api.github.com", "success of build 1 on quick to acme/widget@aaaaaaa"),
    ("HttpStatusPush", "https://dashboard.example.org", "failure of build 1 on fail"),
    ("HttpStatusPush", "https://dashboard.example.org", "failure of build 3 on want"),
    ("HttpStatusPush", "https://dashboard.example.org", "start of build 1 on fail"),
    ("HttpStatusPush", "https://dashboard.example.org", "start of build 1 on quick"),
    ("HttpStatusPush", "https://dashboard.example.org", "start of build 3 on want"),
    ("HttpStatusPush", "https://dashboard.example.org", "start of build 5 on want"),
    ("HttpStatusPush", "https://dashboard.example.org", "success of build 1 on quick"),
    ("HttpStatusPush", "https://dashboard.example.org", "warnings of build 5 on want"),
    ("MailNotifier", "smtp://mail.example.org:25", "failure of build 1 on fail to admin@example.org, builds@lists.example.org"),
    ("MailNotifier", "smtp://mail.example.org:25", "failure of build 3 on want to admin@example.org, builds@lists.example.org"),
    ("MailNotifier with a formatter of one's own", "smtp://localhost:25", "failure of build 1 on fail to phone@example.org"),
    ("MailNotifier with a formatter of one's own", "smtp://localhost:25", "failure of build 3 on want to phone@example.org"),
    ("MailNotifier with a formatter of one's own", "smtp://localhost:25", "warnings of build 5 on want to phone@example.org"),
];

/// The status that another replaces if that comes before it is sent, as a recording is played faster than builds end.
const PENDING: &str = "pending of build 1 on quick to acme/widget@aaaaaaa";

fn is_overtaken(line: &serde_json::Value) -> bool {
    line["came"] == "superseded" && line["title"] == PENDING
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn it_prints_each_delivery_and_ends() {
    let place = Place::new("");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples"), &place.path("examples"));
    let run = ["run", "examples/quickstart.toml"];
    let told = place.run(&[&run[..], &["--json"]].concat()).ended(0).json();
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
    let delivered = told.iter().filter(|line| line["came"] == "delivered" && !line["content"].is_null() || is_overtaken(line));
    let mut delivered: Vec<_> = delivered.map(|line| (text(line, "entry"), text(line, "destination"), text(line, "title"))).collect();
    delivered.sort();
    assert_eq!(delivered, DELIVERIES.map(|(entry, destination, title)| (entry.to_owned(), destination.to_owned(), title.to_owned())));
    // What is not delivered was not to be said.
    assert!(told.iter().all(|line| line["came"] == "delivered" || line["came"] == "skipped" || is_overtaken(line)), "{told:?}");
    place.run(&run).ended(0).says("played before");

    std::fs::remove_dir_all(place.path("target")).unwrap();
    let mut shown = place
        .run(&run)
        .ended(0)
        .says("Subject: ✗ want 3: failed wanted failure (failure)")
        .says("Subject: Buildbot failure in Example CI on want")
        .says("\"target_url\"");
    for (entry, destination, title) in DELIVERIES {
        let line = format!("{entry}  → {destination}  {title}  ");
        let came = if title == PENDING && shown.out.contains(&format!("{line}superseded")) { "superseded" } else { "2" };
        shown = shown.says(&format!("{line}{came}"));
    }
}
