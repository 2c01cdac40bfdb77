//! That an argument arrives as it is, whatever is in it.

use std::process::Command;

use proptest::prelude::*;
use reporter_host::transport::ssh::line;
use reporter_host_tests::gerrit::split;

use super::{PATIENT, Sshd, command, endpoint, run, said, transport};

/// The words that a shell makes of a line.
fn shell(line: &str) -> Vec<String> {
    let read = Command::new("sh").arg("-c").arg(format!("printf '%s\\0' {line}")).output().unwrap();
    String::from_utf8(read.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_argument_arrives_as_it_is(arguments in prop::collection::vec("[^\0]{1,12}|[-'\"\\\\$`;&|<>(){}*?!#~ \t\n\r]{1,8}", 0..6)) {
        let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let line = line(&command("gerrit review", &texts));
        let expected: Vec<String> = ["gerrit", "review"].into_iter().chain(texts).map(str::to_owned).collect();
        prop_assert_eq!(split(&line), expected.clone());
        prop_assert_eq!(shell(&line), expected);
    }
}

#[tokio::test]
async fn through_a_server_and_its_shell() {
    let sshd = Sshd::start("3.9.1").await;
    let evil = format!("$(touch {0}) `touch {0}` '; touch {0}; ' \" \\ \n# ü", sshd.path("evil").display());
    let arguments = ["--project", "p", "--message", &evil, "--notify", "OWNER", "cafebabe"];
    assert_eq!(said(&run(&transport(), &endpoint(&sshd), command("gerrit review", &arguments), PATIENT).await), (0, String::new()));
    assert_eq!(sshd.reviews()[0][2..], arguments);
    assert!(!sshd.path("evil").exists());
}

/// A message of 16 KiB in which every character is an apostrophe.
#[tokio::test]
async fn the_longest_command() {
    let sshd = Sshd::start("3.9.1").await;
    let long = "'".repeat(16_000);
    let arguments = ["--project", "p", "--message", &long, "cafebabe"];
    assert_eq!(said(&run(&transport(), &endpoint(&sshd), command("gerrit review", &arguments), PATIENT).await).0, 0);
    assert_eq!(sshd.reviews()[0][5].len(), 16_000);
}
