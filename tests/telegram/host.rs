//! The program with a bot on Telegram.

use reporter_host_tests::bot::Bot;

use crate::fake::{Fake, TOKEN};

/// Starts a bot; `more` are further settings of the entry.
pub async fn start(fake: &Fake, more: &str) -> Bot {
    let mut bot = new(fake.port, "", more);
    bot.run().await;
    bot
}

/// Not started yet, for a server at this port; `host` are further settings of `[host]`.
pub fn new(port: u16, host: &str, more: &str) -> Bot {
    let bot = Bot::new(env!("CARGO_BIN_EXE_host-under-test"), host, &service(port, more));
    std::fs::write(bot.folder().join("token"), format!("{TOKEN}\n")).unwrap();
    bot
}

/// The settings of the entry, and the token's file beside them.
pub fn service(port: u16, more: &str) -> String {
    format!(
        "reporter = 'TelegramBot'\nname = 'bot'\nbot_token = {{ secret = 'telegram' }}\nbase_url = 'http://127.0.0.1:{port}'\npollTimeout = 2\nretryDelay = 1\n{more}\n[secrets]\ntelegram = {{ file = 'token' }}"
    )
}

/// The token is told nowhere: in no log, and in nothing that is kept, encoded or not.
pub fn assert_no_token(bot: &mut Bot) {
    let said = bot.process().said();
    let secret = TOKEN.split(':').nth(1).unwrap();
    assert!(!said.contains(secret), "the log has the token:\n{said}");
    let state = bot.folder().join("state");
    for file in std::fs::read_dir(state).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|it| it == secret.as_bytes()), "{} has the token", path.display());
        }
    }
}
