//! IRC through endpoints of kind `irc`.

use crate::delivery::Terms;

pub use crate::bindings::chat::reporter_host::reporter::irc::Verb;

/// Queues a text to a channel or nick; each of its lines becomes a message.
pub fn send(endpoint: &str, target: &str, verb: Verb, text: &str, terms: Terms) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::chat::reporter_host::reporter::irc::send(endpoint, target, verb, text, terms.into_host());
    #[cfg(not(target_arch = "wasm32"))]
    {
        let (endpoint, target, text) = (endpoint.into(), target.into(), text.into());
        crate::testing::record(crate::testing::Delivery::Irc { endpoint, target, verb, text, terms });
    }
}

/// Queues joining (true) or leaving a channel.
pub fn membership(endpoint: &str, channel: &str, key: Option<&str>, joined: bool, terms: Terms) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::chat::reporter_host::reporter::irc::membership(endpoint, channel, key, joined, terms.into_host());
    #[cfg(not(target_arch = "wasm32"))]
    {
        let (endpoint, channel, key) = (endpoint.into(), channel.into(), key.map(str::to_owned));
        crate::testing::record(crate::testing::Delivery::Membership { endpoint, channel, key, joined, terms });
    }
}
