//! Conversations with a Bot API server that refuses what Telegram would: what people write and press, and what the bot makes of it,
//! beside a real master too.

#[allow(dead_code)]
#[path = "../master/buildbot.rs"]
mod buildbot;
#[path = "../master/chat.rs"]
mod chat;
mod fake;
mod host;
mod markdown;
mod master;
mod recorded;
mod rules;
mod talk;
mod trouble;
mod webhook;
