//! The program with a bot on IRC.

pub use reporter_host_tests::bot::Bot;

/// Starts a bot `bbot` on a server's port; `more` are further settings of the entry.
pub async fn start(port: u16, more: &str) -> Bot {
    let mut bot = new(port, more);
    bot.run().await;
    bot
}

/// Not started yet.
pub fn new(port: u16, more: &str) -> Bot {
    bot(&service(port, more))
}

/// One that speaks as slowly as it does by itself; not started yet.
pub fn slow(port: u16, more: &str) -> Bot {
    bot(&by_itself(port, more))
}

fn bot(service: &str) -> Bot {
    Bot::new(env!("CARGO_BIN_EXE_host-under-test"), "", service)
}

/// The settings of the entry.
pub fn service(port: u16, more: &str) -> String {
    by_itself(port, &format!("lineRate = 0.02\n{more}"))
}

fn by_itself(port: u16, more: &str) -> String {
    format!("reporter = 'IRC'\nname = 'bot'\nhost = 'localhost'\nport = {port}\nnick = 'bbot'\nlostDelay = 1\nfailedDelay = 1\n{more}")
}
