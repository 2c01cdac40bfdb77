//! Conversations with a real InspIRCd: what people say and what the bot makes of it, beside a real master too.

#[allow(dead_code)]
#[path = "../master/buildbot.rs"]
mod buildbot;
mod host;
mod inspircd;
mod master;
mod person;
mod recorded;
mod services;
mod talk;
mod trouble;
