//! What wit-bindgen makes of `wit/reporter`: the raw contract, for what the crate does not wrap.

/// The world of formatters; events and log of all worlds are its types.
pub use reporter_sdk_formatter_world as formatter;

/// The world of reporters; what the world of conversations shares with it are its types.
pub use reporter_sdk_reporter_world as reporter;

/// The world of reporters that hold conversations.
pub use reporter_sdk_chat_world as chat;
