//! A mail through the whole host to Postfix: what is tried again, and what becomes a dead letter.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reporter_host_tests::play::{Noted, play};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::postfix::Postfix;

/// A policy server that puts each recipient off the first time that it is asked, as greylisting does.
async fn greylist(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let known = Arc::new(tokio::sync::Mutex::new(BTreeSet::new()));
    while let Ok((stream, _)) = listener.accept().await {
        let known = known.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let (mut line, mut recipient) = (String::new(), String::new());
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                if let Some(address) = line.trim_end().strip_prefix("recipient=") {
                    recipient = address.to_owned();
                } else if line == "\n" {
                    let action = if known.lock().await.insert(recipient.clone()) { "450 4.7.1 greylisted" } else { "DUNNO" };
                    stream.write_all(format!("action={action}\n\n").as_bytes()).await.unwrap();
                }
                line.clear();
            }
        });
    }
}

async fn mail(server: &Postfix, recipients: &str) -> Arc<Noted> {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "[[services]]\nreporter = 'MailNotifier'\nname = 'mail'\nfromaddr = 'ci@example.org'\nrelayhost = 'localhost'\nsmtpPort = {}\nuseTls = false\n\
         sendToInterestedUsers = false\nextraRecipients = [{recipients}]\n",
        server.plain
    );
    tokio::time::timeout(Duration::from_secs(200), play(folder.path(), &settings, 1)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_4xx_is_tried_again_and_a_5xx_is_a_dead_letter_for_that_one() {
    let server = Postfix::start().await;
    tokio::spawn(greylist(server.policy));
    let noted = mail(&server, "'ada@example.org', 'bob@example.org', 'nobody@example.org'").await;
    let ends = noted.of("mail");
    // A minute passes before the second try (backoff.rs). The one who does not exist is split off; the others are put off, and get it.
    assert!(ends.iter().any(|end| end.starts_with("Retry") && end.contains("greylisted")), "{ends:?}");
    assert_eq!(ends.iter().filter(|end| *end == "delivered").count(), 1, "{ends:?}");
    assert_eq!(server.mails(2).await.iter().map(|mail| mail.recipient()).collect::<Vec<_>>(), ["ada@example.org", "bob@example.org"]);
    let dead = noted.dead_letters();
    assert_eq!(dead.len(), 1, "{dead:?} {ends:?}");
    assert!(dead[0].contains("no such user"), "{dead:?}");
}
