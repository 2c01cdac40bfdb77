//! `new`: the project builds and is tested with plain cargo, and its component plugs in.

use std::path::Path;
use std::process::Command;

use crate::Place;

fn cargo(project: &Path, words: &[&str]) {
    // Its own target folder, kept between runs; the crates are those that this workspace was built with.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    let output =
        Command::new("cargo").args(words).arg("--offline").current_dir(project).env("CARGO_TARGET_DIR", target).env_remove("RUSTFLAGS").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {words:?}:\n{}\n{errors}", String::from_utf8_lossy(&output.stdout));
    assert!(!errors.contains("Adding "), "its Cargo.lock lacks crates:\n{errors}");
}

#[test]
fn a_new_formatter_builds_is_tested_and_plugs_in() {
    let place = Place::new("");
    place.run(&["new", "my-formatter"]).ended(0).says("my-formatter");
    place.run(&["new", "my-formatter"]).ended(2).says("my-formatter");
    place.run(&["new", "not a name"]).ended(2).says("not a name");
    place.run(&["new", "fn"]).ended(2).says("write fn-formatter");
    place.run(&["new", "serde", "--reporter", "--to", "mine"]).ended(2).says("write serde-reporter");
    assert!(!place.path("fn").exists() && !place.path("mine").exists());
    let project = place.path("my-formatter");
    cargo(&project, &["test"]);
    cargo(&project, &["build", "--release", "--target", "wasm32-wasip2"]);
    let component = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new/wasm32-wasip2/release/my_formatter.wasm");
    place.write(&format!(
        "[host]\nsink = true\n[[recordings]]\nname = 'main'\nfile = 'RECORDING'\n[[services]]\nreporter = 'MailNotifier'\nname = 'mail'\nfromaddr = 'ci@example.org'\n\
         extraRecipients = 'list@example.org'\nmessageFormatter = {{ component = '{}' }}\n",
        component.display()
    ));
    place.run(&["check"]).ended(0);
    place.run(&["run"]).ended(0).says("failure of build 1 on fail to list@example.org");
}

#[test]
fn a_new_reporter_is_made() {
    let place = Place::new("");
    place.run(&["new", "my-reporter", "--reporter"]).ended(0);
    let project = place.path("my-reporter");
    cargo(&project, &["test"]);
    // The project's own word for it, optimised as a whole.
    cargo(&project, &["component-build"]);
    let component = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new/wasm32-wasip2/release/my_reporter.wasm");
    place.write(&format!("[[services]]\ncomponent = '{}'\nurl = 'https://example.org/hook'\nallow = ['https://example.org']\n", component.display()));
    place.run(&["check"]).ended(0);
}
