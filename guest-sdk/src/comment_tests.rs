use serde_json::json;

use super::*;
use crate::event::Event;
use crate::http::Body;
use crate::prelude::{Plan, Problems, Reporter};
use crate::testing::{self, Configured, Delivery, Report};

/// A service of pages, and of versions.
struct Board;

impl Service for Board {
    fn limits(&self) -> Limits {
        Limits { chars: 5_000, bytes: 6_000 }
    }

    fn page(&self, place: &[String], from: u64, most: u64) -> Request {
        Request::new("api", "GET", place).query("from", from.to_string()).query("most", most.to_string())
    }

    fn read_page(&self, answer: &Answer, from: u64, most: u64) -> Option<Page> {
        let page: Value = serde_json::from_slice(&answer.body).ok()?;
        let comments = page["comments"].as_array()?.iter().filter_map(|comment| self.read(comment)).collect();
        Some(Page { comments, next: page["more"].as_bool()?.then_some(from + most) })
    }

    fn one(&self, place: &[String], id: &str) -> Request {
        Request::new("api", "GET", place.iter().map(String::as_str).chain([id]))
    }

    fn read(&self, comment: &Value) -> Option<Comment> {
        let text = |key: &str| comment[key].as_str().unwrap_or_default().to_owned();
        Some(Comment { id: comment["id"].as_u64()?.to_string(), version: comment["version"].as_u64(), author: text("by"), text: text("text") })
    }

    fn add(&self, place: &[String], text: &str) -> Request {
        Request::new("api", "POST", place).body(Body::Text(text.into()))
    }

    fn edit(&self, place: &[String], comment: &Comment, text: &str) -> Request {
        let version = comment.version.map_or_else(String::new, |version| version.to_string());
        Request::new("api", "PUT", place.iter().map(String::as_str).chain([comment.id.as_str()])).query("version", version).body(Body::Text(text.into()))
    }

    fn remove(&self, place: &[String], comment: &Comment) -> Request {
        Request::new("api", "DELETE", place.iter().map(String::as_str).chain([comment.id.as_str()]))
    }

    fn ourselves(&self) -> Option<String> {
        let answer = http::query(Request::new("api", "GET", ["who"]));
        (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).trim_matches('"').to_owned())
    }
}

/// A remote that says who we are, unless it does not, and has these comments at every place.
fn board(who: Option<&'static str>, comments: Value) {
    testing::remote(move |request| match (request.path == ["who"], who) {
        (true, Some(who)) => answer("answered", 200, json!(who)),
        (true, None) => answer("answered", 403, json!({})),
        _ => answer("answered", 200, json!({"comments": comments, "more": false})),
    });
}

/// Says the state of the build in the comment for its builder.
struct Talker;

impl Reporter for Talker {
    type Settings = ();
    const NAME: &'static str = "Talker";
    const DESCRIPTION: &'static str = "";

    fn configure((): ()) -> Result<(Self, Plan), Problems> {
        Ok((Self, Plan::default()))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let build = &event.builds()[0];
        say(&Board, &Thread::new(["o", "r", "7"], &build.builder()), &build.state_string(), "https://ci/1", Terms::titled("news"));
        Ok(Outcome::Sent)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        answered(&Board, tag, answer)
    }
}

fn talker() -> Configured<Talker> {
    testing::configure(json!({})).unwrap()
}

fn says(talker: &Configured<Talker>, text: &str) -> Report {
    talker.report(json!({"kind": "build-finished", "builds": [{"builder": {"name": "linux -->"}, "state_string": text}]}))
}

fn answer(ended: &str, status: u16, body: Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes(), ended: ended.into() }
}

/// Method, path and text.
fn sent(report: &Report) -> (String, String, String) {
    let request = report.only().http();
    let text = if let Body::Text(text) = &request.body { text.clone() } else { String::new() };
    (request.method.clone(), request.path.join("/"), text)
}

fn tag(delivery: &Delivery) -> String {
    delivery.terms().tag.clone().unwrap()
}

const MARKER: &str = "<!-- reporter-host:linux%20%2D%2D%3E -->";

#[test]
fn the_first_is_added_and_the_next_edited() {
    let talker = talker();
    let first = says(&talker, "begun");
    assert_eq!(sent(&first), ("POST".into(), "o/r/7".into(), format!("begun\n\n{MARKER}")));
    let terms = first.only().terms();
    assert_eq!((terms.lane.as_deref(), &terms.supersede), (Some("o/r/7 linux -->"), &terms.lane));
    talker.answered(&tag(first.only()), &answer("delivered", 201, json!({"id": 4, "version": 0, "by": "ci"})));

    let second = says(&talker, "done");
    assert_eq!(sent(&second), ("PUT".into(), "o/r/7/4".into(), format!("done\n\n{MARKER}")));
    assert_eq!(second.only().http().query, [("version".to_owned(), "0".to_owned())]);
    talker.answered(&tag(second.only()), &answer("delivered", 200, json!({"id": 4, "version": 1})));
    assert_eq!(says(&talker, "again").only().http().query, [("version".to_owned(), "1".to_owned())]);
}

#[test]
fn an_unknown_one_is_found_by_its_marker_on_a_later_page() {
    state::set(OURSELVES, Some("ci"));
    testing::remote(|request| {
        let comment = |id: u64, text: &str| json!({"id": id, "text": text, "by": "ci"});
        let page = match request.query[0].1.as_str() {
            "0" => json!({"comments": [comment(1, "<!-- reporter-host:linux -->"), comment(2, "hello")], "more": true}),
            _ => json!({"comments": [comment(3, &format!("old\n\n{MARKER}")), comment(5, MARKER)], "more": false}),
        };
        answer("answered", 200, page)
    });
    assert_eq!(sent(&says(&talker(), "done")).1, "o/r/7/3");
    // It is known from now on.
    testing::remote(|request| panic!("{request:?}"));
    assert_eq!(sent(&says(&talker(), "done")).1, "o/r/7/3");
}

#[test]
fn others_may_copy_a_marker() {
    state::set(OURSELVES, Some("ci"));
    testing::remote(|_| {
        answer("answered", 200, json!({"comments": [{"id": 1, "text": MARKER, "by": "eve"}, {"id": 2, "text": MARKER, "by": "ci"}], "more": false}))
    });
    assert_eq!(sent(&says(&talker(), "done")).1, "o/r/7/2");
}

#[test]
fn a_marker_alone_is_not_trusted() {
    let comments = json!([{"id": 1, "text": MARKER, "by": "eve"}, {"id": 2, "text": MARKER}]);
    for who in [None, Some("ci"), Some("")] {
        board(who, comments.clone());
        assert_eq!(sent(&says(&talker(), "done")).0, "POST", "{who:?}");
        state::set(OURSELVES, None);
    }
    state::set(OURSELVES, Some("eve"));
    assert_eq!(sent(&says(&talker(), "done")).1, "o/r/7/1");
}

#[test]
fn one_that_is_not_known_any_more_is_found_by_who_we_are() {
    let comments =
        json!([{"id": 1, "text": MARKER, "by": "eve"}, {"id": 2, "text": "mine", "by": "ci"}, {"id": 3, "text": format!("old\n\n{MARKER}"), "by": "ci"}]);
    board(Some("ci"), comments.clone());
    assert_eq!(sent(&says(&talker(), "done")).1, "o/r/7/3");
    // That is not asked again, also of other threads.
    KNOWN.forget("o/r/7 linux -->");
    testing::remote(move |request| {
        assert_ne!(request.path, ["who"]);
        answer("answered", 200, json!({"comments": comments, "more": false}))
    });
    assert_eq!(sent(&says(&talker(), "done")).1, "o/r/7/3");
}

#[test]
fn who_learns_by_the_first_comment_who_it_is_removes_the_one_before() {
    let talker = talker();
    let comments = json!([{"id": 1, "text": MARKER, "by": "eve"}, {"id": 2, "text": MARKER, "by": "app"}, {"id": 3, "text": MARKER, "by": "app"}]);
    board(None, comments);
    let added = says(&talker, "done");
    assert_eq!(sent(&added).0, "POST");
    let removal = talker.answered(&tag(added.only()), &answer("delivered", 201, json!({"id": 3, "by": "app"})));
    assert_eq!(sent(&removal), ("DELETE".into(), "o/r/7/2".into(), String::new()));
    assert_eq!(sent(&says(&talker, "more")).1, "o/r/7/3");
    // Known from now on: at another place nothing has been overlooked.
    KNOWN.forget("o/r/7 linux -->");
    board(None, json!([]));
    let elsewhere = says(&talker, "done");
    testing::remote(|request| panic!("{request:?}"));
    assert!(talker.answered(&tag(elsewhere.only()), &answer("delivered", 201, json!({"id": 9, "by": "app"}))).sent.is_empty());
}

#[test]
fn pages_have_an_end_even_if_the_service_knows_none() {
    state::set(OURSELVES, Some("ci"));
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = asked.clone();
    testing::remote(move |_| {
        count.set(count.get() + 1);
        answer("answered", 200, json!({"comments": [], "more": true}))
    });
    assert_eq!(sent(&says(&talker(), "done")).0, "POST");
    assert_eq!(asked.get(), MOST_PAGES);
    testing::remote(|_| answer("answered", 403, json!({})));
    let report = says(&talker(), "done");
    assert_eq!(sent(&report).0, "POST");
    assert!(report.log[0].1.ends_with("the answer was 403"), "{:?}", report.log);
}

/// A host that hands on no more than this of a body, and a board of comments with these lengths, the last of them ours.
fn long_comments(lengths: &'static [usize]) {
    state::set(OURSELVES, Some("ci"));
    testing::remote(move |request| {
        let number = |n: usize| request.query[n].1.parse::<usize>().unwrap();
        let (from, most) = (number(0), number(1));
        assert_eq!(from % most, 0, "{from} {most}");
        let text = |n: usize| if n + 1 == lengths.len() { format!("{}\n{MARKER}", "x".repeat(lengths[n])) } else { "x".repeat(lengths[n]) };
        let shown: Vec<Value> = (from..lengths.len()).take(most).map(|n| json!({"id": n, "text": text(n), "by": "ci"})).collect();
        let mut answer = answer("answered", 200, json!({"more": from + most < lengths.len(), "comments": shown}));
        answer.body.truncate(1_000);
        answer
    });
}

#[test]
fn a_page_that_is_too_long_is_not_an_empty_one() {
    for lengths in [&[300, 300, 300, 300][..], &[2_000, 0], &[0, 400, 400, 400, 2_000, 2_000, 0, 0, 0, 0]] {
        long_comments(lengths);
        let report = says(&talker(), "done");
        assert_eq!(sent(&report).1, format!("o/r/7/{}", lengths.len() - 1), "{lengths:?} {:?}", report.log);
        assert!(report.log.iter().any(|(level, line)| *level == Level::Warn && line.contains("cannot be read")), "{:?}", report.log);
        KNOWN.forget("o/r/7 linux -->");
    }
    long_comments(&[0, 2_000]);
    let report = says(&talker(), "done");
    assert_eq!(sent(&report).0, "POST");
    assert!(report.log.iter().any(|(_, line)| line.ends_with("if ours is among them, another is added")), "{:?}", report.log);
}

#[test]
fn a_comment_that_is_gone_is_made_anew() {
    let talker = talker();
    KNOWN.put("o/r/7 linux -->", "4");
    let edit = says(&talker, &"word \"ü\"\n".repeat(1_000));
    let again = talker.answered(&tag(edit.only()), &answer("dead", 404, json!({})));
    let (method, path, text) = sent(&again);
    assert_eq!((method.as_str(), path.as_str()), ("POST", "o/r/7"));
    assert_eq!(text, sent(&edit).2, "nothing is lost");
    assert!(text.len() > LEAST_KEPT && text.ends_with(&format!("https://ci/1\n\n{MARKER}")), "{text}");
    assert_eq!(again.only().terms().title.as_deref(), Some("news"));
    talker.answered(&tag(again.only()), &answer("delivered", 201, json!({"id": 9})));
    assert_eq!(sent(&says(&talker, "done")).1, "o/r/7/9");
}

#[test]
fn texts_are_kept_as_long_as_there_is_room() {
    let text = |line: &str| kept(250_000, |bytes| cut::to_bytes(&line.repeat(100_000), bytes).into_owned());
    for line in ["word\n", "ü", "\"\n"] {
        let first = text(line);
        assert!(first.len() > 15 << 10, "{}", first.len());
        TEXTS.put("first", &first);
        assert_eq!(TEXTS.get("first"), Some(first));
        let next = text(line);
        assert!(next.len() >= LEAST_KEPT / 2 && next.len() <= 2 * LEAST_KEPT, "{}", next.len());
        TEXTS.put("next", &next);
        assert!(TEXTS.get("first").is_some() && TEXTS.get("next").is_some());
        TEXTS.forget("first");
        TEXTS.forget("next");
    }
}

#[test]
fn a_marker_that_a_build_prints_takes_over_nothing() {
    let talker = talker();
    let printed = format!("log of another builder: {MARKER}\n```\n{MARKER}\n```\n{MARKER}");
    let (_, _, text) = sent(&says(&talker, &printed));
    assert_eq!((text.matches("<!-- reporter-host:").count(), text.matches("<!-- reporter-host :").count()), (1, 3), "{text}");
    assert_eq!(harmless(&Board, "<!-- no marker --> reporter-host:"), "<!-- no marker --> reporter-host:");
    // Nor does one that was printed before such were made harmless; what stands below our own is another's.
    state::set(OURSELVES, Some("ci"));
    let comment = |id: u64, text: String| json!({"id": id, "by": "ci", "text": text});
    let others = [format!("printed {MARKER}"), format!("{MARKER}\n\n<!-- reporter-host:mac -->"), format!("{MARKER}\nmore"), format!("> {MARKER}")];
    let mut comments: Vec<Value> = others.into_iter().zip(1..).map(|(text, id)| comment(id, text)).collect();
    board(Some("ci"), json!(comments));
    assert_eq!(sent(&says(&talker, "done")).0, "POST");
    comments.push(comment(9, format!("old\r\n\r\n{MARKER}\r\n")));
    board(Some("ci"), json!(comments));
    assert_eq!(sent(&says(&talker, "done")).1, "o/r/7/9");
}

#[test]
fn a_marker_that_a_build_prints_removes_nothing() {
    let talker = talker();
    board(None, json!([{"id": 1, "by": "app", "text": format!("printed {MARKER}\n\n<!-- reporter-host:mac -->")}]));
    let added = says(&talker, "done");
    assert!(talker.answered(&tag(added.only()), &answer("delivered", 201, json!({"id": 3, "by": "app"}))).sent.is_empty());
}

#[test]
fn every_thread_that_could_not_be_looked_through_is_later() {
    let talker = talker();
    board(None, json!([{"id": 1, "by": "app", "text": MARKER}]));
    let here = says(&talker, "done");
    // Another thread's comment says who we are before this one's does.
    state::set(OURSELVES, Some("app"));
    let removal = talker.answered(&tag(here.only()), &answer("delivered", 201, json!({"id": 3, "by": "app"})));
    assert_eq!(sent(&removal), ("DELETE".into(), "o/r/7/1".into(), String::new()));
    // The same where the comments could not be read.
    KNOWN.forget("o/r/7 linux -->");
    testing::remote(|_| answer("answered", 500, json!({})));
    let here = says(&talker, "done");
    board(None, json!([{"id": 3, "by": "app", "text": MARKER}]));
    let removal = talker.answered(&tag(here.only()), &answer("delivered", 201, json!({"id": 4, "by": "app"})));
    assert_eq!(sent(&removal).1, "o/r/7/3");
}

#[test]
fn one_that_could_not_be_looked_for_is_removed_as_soon_as_it_can_be() {
    let talker = talker();
    let broken = || testing::remote(|_| answer("answered", 502, json!({})));
    state::set(OURSELVES, Some("ci"));
    // With a version and without, as services have it.
    for version in [json!(null), json!(3)] {
        let written = |report: &Report| talker.answered(&tag(report.only()), &answer("delivered", 200, json!({"id": 91, "version": version, "by": "ci"})));
        broken();
        let added = says(&talker, "begun");
        assert_eq!(sent(&added).0, "POST");
        assert!(written(&added).sent.is_empty());
        assert!(written(&says(&talker, "on its way")).sent.is_empty());
        board(Some("ci"), json!([{"id": 90, "text": MARKER, "by": "ci"}, {"id": 91, "text": MARKER, "by": "ci"}]));
        let edit = says(&talker, "done");
        assert_eq!((sent(&edit).1.as_str(), &edit.only().http().query[0].1), ("o/r/7/91", &version.as_u64().map_or_else(String::new, |it| it.to_string())));
        assert_eq!(sent(&written(&edit)), ("DELETE".into(), "o/r/7/90".into(), String::new()));
        // That is all.
        testing::remote(|request| panic!("{request:?}"));
        assert!(written(&says(&talker, "again")).sent.is_empty());
        KNOWN.forget("o/r/7 linux -->");
    }
    // The new one is gone before the earlier one has been found; what is answered to an edit need not name its author.
    broken();
    talker.answered(&tag(says(&talker, "begun").only()), &answer("delivered", 201, json!({"id": 91, "by": "ci"})));
    let again = talker.answered(&tag(says(&talker, "done").only()), &answer("dead", 404, json!({})));
    assert!(talker.answered(&tag(again.only()), &answer("delivered", 201, json!({"id": 92, "by": "ci"}))).sent.is_empty());
    board(Some("ci"), json!([{"id": 90, "text": MARKER, "by": "ci"}]));
    assert_eq!(sent(&talker.answered(&tag(says(&talker, "more").only()), &answer("delivered", 200, json!({"id": 92})))).1, "o/r/7/90");
}

#[test]
fn one_that_can_never_be_looked_for_is_left_at_last() {
    let talker = talker();
    state::set(OURSELVES, Some("ci"));
    testing::remote(|_| answer("answered", 502, json!({})));
    let mut warned = 0;
    for _ in 0..MOST_LOOKS {
        let report = says(&talker, "news");
        assert_eq!(warned, 0);
        let kept = talker.answered(&tag(report.only()), &answer("delivered", 200, json!({"id": 91, "by": "ci"})));
        warned += kept.log.iter().filter(|(level, line)| *level == Level::Warn && line.contains("could not be read 10 times")).count();
    }
    assert_eq!(warned, 1);
    testing::remote(|request| panic!("{request:?}"));
    assert!(talker.answered(&tag(says(&talker, "news").only()), &answer("delivered", 200, json!({"id": 91, "by": "ci"}))).sent.is_empty());
}

#[test]
fn the_newer_of_two_edits_is_made_anew() {
    let talker = talker();
    KNOWN.put("o/r/7 linux -->", "4");
    let (older, newer) = (says(&talker, "older"), says(&talker, "newer"));
    assert_eq!(talker.answered(&tag(older.only()), &answer("dead", 404, json!({}))).skipped(), "the comment is gone; the next report makes a new one");
    assert!(sent(&talker.answered(&tag(newer.only()), &answer("dead", 410, json!({})))).2.starts_with("newer"));
}

#[test]
fn of_two_that_were_added_the_older_is_removed() {
    let talker = talker();
    let (first, second) = (says(&talker, "begun"), says(&talker, "done"));
    assert_eq!(sent(&second).0, "POST");
    talker.answered(&tag(first.only()), &answer("delivered", 201, json!({"id": 4})));
    let removal = talker.answered(&tag(second.only()), &answer("delivered", 201, json!({"id": 5})));
    assert_eq!(sent(&removal), ("DELETE".into(), "o/r/7/4".into(), String::new()));
    assert_eq!(removal.only().terms().title.as_deref(), Some("removal of the comment before news"));
    assert_eq!(sent(&says(&talker, "more")).1, "o/r/7/5");
    // What was replaced before it went out says nothing.
    assert!(talker.answered(&tag(first.only()), &answer("superseded", 0, json!({}))).sent.is_empty());
}

#[test]
fn somebody_elses_edit_is_read_before_the_next_try() {
    let talker = talker();
    KNOWN.put("o/r/7 linux -->", "4 0");
    let mut report = says(&talker, "done");
    testing::remote(|_| answer("answered", 200, json!({"id": 4, "version": 7})));
    for _ in 0..MOST_CONFLICTS {
        report = talker.answered(&tag(report.only()), &answer("dead", 409, json!({})));
        assert_eq!(report.only().http().query, [("version".to_owned(), "7".to_owned())]);
    }
    assert!(talker.answered(&tag(report.only()), &answer("dead", 409, json!({}))).sent.is_empty());
    testing::remote(|_| answer("answered", 404, json!({})));
    let gone = talker.answered(&tag(says(&talker, "done").only()), &answer("dead", 409, json!({})));
    assert_eq!(sent(&gone).0, "POST");
}

#[test]
fn what_is_refused_for_its_text_changes_nothing() {
    let talker = talker();
    KNOWN.put("o/r/7 linux -->", "4");
    let edit = says(&talker, "done");
    assert_eq!(talker.answered(&tag(edit.only()), &answer("dead", 422, json!({}))).skipped(), "the comment was refused");
    assert_eq!(sent(&says(&talker, "done")).1, "o/r/7/4");
    assert!(talker.answered("no tag of ours", &answer("delivered", 200, json!({}))).sent.is_empty());
}

#[test]
fn one_that_may_not_be_edited_is_left_alone_and_another_added() {
    for status in [401, 403] {
        let talker = talker();
        KNOWN.put("o/r/7 linux -->", "4");
        state::set(OURSELVES, Some("before"));
        let edit = says(&talker, "done");
        let again = talker.answered(&tag(edit.only()), &answer("dead", status, json!({})));
        let (method, path, text) = sent(&again);
        assert_eq!((method.as_str(), path.as_str(), text), ("POST", "o/r/7", format!("done\n\n{MARKER}")));
        // The other one, which has the marker, is not taken up again.
        board(Some("ci"), json!([{"id": 4, "text": MARKER, "by": "before"}]));
        assert_eq!(sent(&says(&talker, "done")).0, "POST");
        // Nobody is asked a third time if even that is refused.
        assert!(talker.answered(&tag(again.only()), &answer("dead", status, json!({}))).sent.is_empty());
        talker.answered(&tag(again.only()), &answer("delivered", 201, json!({"id": 5, "by": "ci"})));
        assert_eq!(sent(&says(&talker, "done")).1, "o/r/7/5");
        KNOWN.forget("o/r/7 linux -->");
    }
}

#[test]
fn of_two_edits_that_are_forbidden_the_newer_is_added() {
    let talker = talker();
    KNOWN.put("o/r/7 linux -->", "4");
    let (older, newer) = (says(&talker, "older"), says(&talker, "newer"));
    assert_eq!(
        talker.answered(&tag(older.only()), &answer("dead", 403, json!({}))).skipped(),
        "the comment may not be edited; the next report makes a new one"
    );
    assert!(sent(&talker.answered(&tag(newer.only()), &answer("dead", 403, json!({})))).2.starts_with("newer"));
}

#[test]
fn texts_are_cut_with_their_marker_in_mind() {
    let (method, _, text) = sent(&says(&talker(), &"ü".repeat(9_000)));
    assert_eq!(method, "POST");
    assert!(text.chars().count() <= 5_000 && text.len() <= 6_000 && text.len() > 5_900, "{}", text.len());
    assert!(text.ends_with(&format!("…\n\nhttps://ci/1\n\n{MARKER}")));
    let long = Thread::new(["o"], &"ü".repeat(300));
    assert!(long.context.len() <= MOST_CONTEXT);
}
