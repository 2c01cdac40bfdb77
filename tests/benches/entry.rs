//! From an event to what goes into the outbox, for one entry: the same logic native, in a fresh instance, and from a snapshot.
//!
//! Native means: parse the same document, decide, render. After criterion's own figures come tables with the ratios.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use headline::Headline;
use http_status_push::HttpStatusPush;
use mail_notifier::MailNotifier;
use reporter_host::event::Details;
use reporter_host_tests::{Kit, Ready, build, details};
use reporter_sdk::component::Reporter;
use reporter_sdk::testing::{self, Configured};
use serde_json::{Value, json};

/// A case: its name, its reporter, the settings there, and the slot of the formatter that it has.
struct Case {
    name: &'static str,
    reporter: &'static str,
    settings: Value,
    formatter: bool,
}

fn cases() -> Vec<Case> {
    let mail = json!({"fromaddr": "ci@example.org", "extraRecipients": ["list@example.org"]});
    let mut jinja = mail.clone();
    jinja["messageFormatter"] = json!({"template": TEMPLATE, "wantSteps": true});
    let mut formatter = mail;
    formatter["messageFormatter"] = json!({"component": "headline.wasm"});
    vec![
        Case { name: "skip", reporter: "HttpStatusPush", settings: json!({"serverUrl": "https://example.org/", "builders": ["other"]}), formatter: false },
        Case {
            name: "json",
            reporter: "HttpStatusPush",
            settings: json!({"serverUrl": "https://example.org/", "wantProperties": true, "wantSteps": true}),
            formatter: false,
        },
        Case { name: "jinja mail", reporter: "MailNotifier", settings: jinja, formatter: false },
        Case { name: "mail with a formatter", reporter: "MailNotifier", settings: formatter, formatter: true },
    ]
}

/// What people write: a heading, properties, steps, changes.
const TEMPLATE: &str = "{{ status_detected }} on {{ buildername }} for {{ projects }}\n{{ build_url }}\nReason: {{ build['properties']['scheduler'][0] }}\n\
{% for step in build['steps'] %}{{ step['number'] }} {{ step['name'] }}: {{ statuses[step['results']] }}\n{% endfor %}\
{{ sourcestamps }}{{ blamelist | join(', ') }}\n{{ summary }}\n";

/// An event with its details at hand, as entries after the first find it.
async fn at_hand() -> Arc<Details> {
    let (event, source) = build(2);
    let rows: Vec<_> = source.rows().map(|(path, rows)| (path.clone(), rows.clone())).collect();
    let details = details(event, Arc::new(source));
    for (path, _) in rows {
        details.get(&path).await.expect("a mapped path");
    }
    details
}

/// The same build as the SDK's tests write it.
fn document() -> String {
    json!({"kind": "build-finished", "source": "main", "id": "main/builds/40/finished", "master": {"title": "Example CI", "url": "https://ci.example.org/"}, "builds": [{
        "buildid": 40, "number": 12, "results": 2, "complete": true, "state_string": "failed 'make check'", "url": "https://ci.example.org/#/builders/3/builds/12",
        "builder": {"builderid": 3, "name": "linux", "tags": ["unit"]},
        "buildset": {"bsid": 60, "reason": "a change", "sourcestamps": [{"ssid": 1, "branch": "main", "revision": "4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f", "project": "octo/repo",
            "repository": "https://github.com/octo/repo.git", "codebase": ""}]},
        "properties": {"scheduler": ["all", "Scheduler"], "buildername": ["linux", "Builder"], "workername": ["w1", "Worker"], "branch": ["main", "Build"], "owners": [["bob@example.org"], "Build"]},
        "changes": [{"changeid": 5, "author": "Zoë <zoe@example.org>", "comments": "Fix it", "revision": "4f1c9d2", "files": ["a.c"]}], "users": ["Zoë <zoe@example.org>", "bob@example.org"],
        "steps": [{"stepid": 70, "number": 1, "name": "check", "results": 2, "state_string": "failed", "urls": [], "hidden": false, "logs": []}],
        "prev_build": {"buildid": 39, "number": 11, "results": 0},
    }]})
    .to_string()
}

fn native(case: &Case, document: &str) -> Box<dyn Fn()> {
    fn run<R: Reporter + 'static>(configured: Configured<R>, document: &str) -> Box<dyn Fn()> {
        let document = document.to_owned();
        Box::new(move || {
            let event = serde_json::from_str(black_box(&document)).expect("JSON");
            black_box(configured.report(event).outcome.expect("an outcome"));
        })
    }
    testing::plug("message", |subjects, context| {
        <Headline as reporter_sdk::component::Formatter>::format(&serde_json::from_value(json!({})).expect("settings"), "message", subjects, context)
    });
    match case.reporter {
        "HttpStatusPush" => run(testing::configure::<HttpStatusPush>(case.settings.clone()).expect("a plan"), document),
        _ => run(testing::configure::<MailNotifier>(case.settings.clone()).expect("a plan"), document),
    }
}

fn kit(case: &Case) -> Kit {
    let mut kit = Kit::new();
    if case.formatter {
        let headline = reporter_bundle::example("example:headline").expect("the example").component;
        let loaded = kit.load(headline).expect("it loads");
        kit.formatters.insert("message".into(), (loaded, json!({})));
    }
    kit
}

async fn once(ready: &Ready<'_>, details: &Arc<Details>) {
    black_box(ready.report(details).await.answer.expect("an outcome"));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut criterion = Criterion::default().configure_from_args();
    let (document, details) = (document(), runtime.block_on(at_hand()));
    let mut table = Vec::new();
    for case in cases() {
        let (native, kit) = (native(&case, &document), kit(&case));
        let loaded = kit.built_in(case.reporter);
        let fresh = runtime.block_on(kit.configure(&loaded, &case.settings)).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let frozen = runtime.block_on(kit.configure(&loaded, &case.settings)).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        runtime.block_on(frozen.freeze());
        let mut group = criterion.benchmark_group("entry");
        group.bench_function(BenchmarkId::new(case.name, "native"), |b| b.iter(&native));
        group.bench_function(BenchmarkId::new(case.name, "fresh"), |b| b.to_async(&runtime).iter(|| once(&fresh, &details)));
        group.bench_function(BenchmarkId::new(case.name, "snapshot"), |b| b.to_async(&runtime).iter(|| once(&frozen, &details)));
        group.finish();
        // In turns, so that whatever else the machine does meets all three.
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..1_000 {
            times[0].push(took(&native));
            times[1].push(took(|| runtime.block_on(once(&fresh, &details))));
            times[2].push(took(|| runtime.block_on(once(&frozen, &details))));
        }
        times.iter_mut().for_each(|times| times.sort_unstable());
        table.push((case.name, times));
    }
    // The best tenth is what the machine can do, the median what it did beside everything else.
    print_table("medians", &table, 2);
    print_table("best tenths", &table, 10);
    criterion.final_summary();
}

/// The times that one of `part` calls keeps within.
fn print_table(title: &str, table: &[(&str, [Vec<Duration>; 3])], part: usize) {
    println!("\n{title:<24}{:>12}{:>12}{:>12}{:>10}{:>11}", "native", "fresh", "snapshot", "fresh ×", "snapshot ×");
    for (name, times) in table {
        let [native, fresh, frozen] = times.each_ref().map(|times| times[times.len() / part]);
        let times = |one: Duration| one.as_secs_f64() / native.as_secs_f64();
        println!("{name:<24}{native:>12.1?}{fresh:>12.1?}{frozen:>12.1?}{:>10.2}{:>11.2}", times(fresh), times(frozen));
    }
}

fn took(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}
