//! The facts in a default message. Its sentences are ours to choose; what it says is not.

/// What the recorded default message tells, each as a text that ours must have too.
///
/// Buildbot's words for what is not known are no facts.
pub fn facts(recorded: &str, html: bool) -> Vec<String> {
    let text = if html { plain(recorded) } else { recorded.to_owned() };
    let mut facts = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some((detected, what)) = line.split_once(" has been detected on builder").or_else(|| line.split_once(" on builder ")) {
            facts.push(result(detected).to_owned());
            // In HTML the builder is a link, on a line of its own.
            let what = if what.trim().is_empty() {
                format!("{} {}", lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
            } else {
                what.trim().to_owned()
            };
            let (builder, project) = what.split_once("while building").unwrap_or((&what, ""));
            let builder = builder.trim();
            if builder != "whole buildset" {
                facts.push(builder.to_owned());
            }
            facts.push(project.trim().trim_end_matches('.').to_owned());
        }
        for label in ["Build state: ", "Revision: ", "Worker: ", "Worker for this Build: ", "Build Reason: ", "BUILD FAILED: "] {
            // Of several codebases, a Python dict.
            let value = line.strip_prefix(label);
            match value.and_then(|value| value.strip_prefix('{')) {
                Some(dict) => facts.extend(dict.split('\'').skip(1).step_by(2).map(str::to_owned)),
                None => facts.extend(value.map(str::to_owned)),
            }
        }
        if let Some(worker) = line.strip_prefix("The Buildbot worker named ").and_then(|rest| rest.split(" went away").next()) {
            facts.push(worker.to_owned());
        }
        facts.extend(line.strip_prefix("It last disconnected at ").map(|when| when.trim_end_matches('.').to_owned()));
        facts.extend(line.split_once("info/admin) was ").map(|(_, admin)| admin.to_owned()));
        if let Some(people) = line.strip_prefix("Blamelist: ") {
            facts.extend(people.split(", ").map(str::to_owned));
        }
        if line.starts_with("http") && !line.contains("/steps/") {
            facts.push(line.to_owned());
        }
    }
    facts.retain(|fact| !fact.is_empty() && !["(unknown)", "<unknown>"].contains(&fact.as_str()));
    facts
}

/// What the recorded default notification tells: one line of HTML.
pub fn of_notification(recorded: &str) -> Vec<String> {
    let between = |before: &str, after: &str| recorded.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(fact, _)| fact);
    let detected = between("\">", "</a>").map(result).unwrap_or_default();
    let mut facts = vec![detected.to_owned()];
    for (before, after) in [("href=\"", "\""), ("<i>", "</i>"), ("while building ", " on "), (" on ", ".")] {
        facts.extend(between(before, after).filter(|fact| !fact.starts_with('<')).map(str::to_owned));
    }
    facts
}

/// The result in our words.
fn result(detected: &str) -> &'static str {
    let says = |words: &str| detected.contains(words);
    match () {
        () if says("exception") => "exception",
        () if says("problem") => "warnings",
        () if says("fail") => "failure",
        () if says("passing") || says("restored") => "success",
        () if says("cancelled") => "cancelled",
        () if says("retry") => "retry",
        () if says("skipped") => "skipped",
        () => "",
    }
}

/// A page's text, with the targets of its links on lines of their own.
pub fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut links = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        // Buildbot does not escape: what begins like no tag is text.
        let is_tag = tag.starts_with('/') || ["p>", "ul>", "li", "a ", "b>", "br", "span"].iter().any(|name| tag.starts_with(name));
        match tag.split_once('>') {
            Some((inside, after)) if is_tag => {
                if let Some((_, link)) = inside.split_once("href=\"") {
                    links.push_str(&format!("\n{}", link.trim_end_matches('"')));
                }
                rest = after;
            }
            _ => {
                text.push('<');
                rest = tag;
            }
        }
    }
    text.push_str(rest);
    unescaped(&(text + &links))
}

/// Without character references.
pub fn unescaped(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (reference, character)| text.replace(reference, character))
}
