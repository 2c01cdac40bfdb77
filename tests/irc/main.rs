//! Conversations with a real InspIRCd: what people say and what the bot makes of it, beside a real master too.

mod begin;
#[allow(dead_code)]
#[path = "../master/buildbot.rs"]
mod buildbot;
#[path = "../master/chat.rs"]
mod chat;
mod host;
mod inspircd;
mod master;
mod person;
mod recorded;
mod services;
mod talk;
mod trouble;
