//! `irc`: texts to channels and nicks.

use wasmtime::component::Resource;

use super::budget::PART;
use super::call::{Call, Ended, Phase};
use super::chat::reporter_host::reporter::irc::{Host, Verb};
use super::delivery::Terms;
use crate::transport::irc::{check_message, fold};
use crate::transport::{EndpointKind, IrcMessage, IrcVerb, Payload};

impl Call {
    fn to_irc(&mut self, endpoint: &str, message: IrcMessage, terms: Resource<Terms>, function: &str) -> wasmtime::Result<()> {
        self.only(&[Phase::Report], function)?;
        let (entry, endpoint) = self.endpoint(endpoint)?;
        if !matches!(endpoint.kind, EndpointKind::Irc(_)) {
            return Err(Ended::Misuse(format!("it called {function} for endpoint {:?}, which is of another kind", endpoint.name)).into());
        }
        if let Err(wrong) = check_message(&message) {
            return Err(Ended::Misuse(format!("its message cannot go out: {wrong}")).into());
        }
        // What goes to one target arrives in order. Joining does not wait for texts: some are not taken before it is done.
        let (lane, bytes) = match &message {
            IrcMessage::Say { target, text, .. } => (fold(target), target.len() + text.len() + PART * text.lines().count()),
            IrcMessage::Membership { channel, key, .. } => {
                (format!("membership of {}", fold(channel)), channel.len() + key.as_ref().map_or(0, String::len) + PART)
            }
        };
        self.default_lane(&terms, lane)?;
        self.queue(&entry, &endpoint, Payload::Irc(message), bytes, terms)
    }
}

impl Host for Call {
    fn send(&mut self, endpoint: String, target: String, verb: Verb, text: String, terms: Resource<Terms>) -> wasmtime::Result<()> {
        let verb = match verb {
            Verb::Message => IrcVerb::Message,
            Verb::Notice => IrcVerb::Notice,
            Verb::Action => IrcVerb::Action,
        };
        self.to_irc(&endpoint, IrcMessage::Say { target, verb, text }, terms, "irc.send")
    }

    fn membership(&mut self, endpoint: String, channel: String, key: Option<String>, joined: bool, terms: Resource<Terms>) -> wasmtime::Result<()> {
        self.to_irc(&endpoint, IrcMessage::Membership { channel, key, joined }, terms, "irc.membership")
    }
}
