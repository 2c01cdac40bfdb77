//! Raw bindings of the world of reporters that hold conversations, for reporter-sdk.
//!
//! A crate of its own for the same reason as the formatter world's.

wit_bindgen::generate!({
    path: "../../wit/reporter",
    world: "chat-reporter",
    with: {
        "reporter-host:reporter/events@0.1.0": reporter_sdk_formatter_world::reporter_host::reporter::events,
        "reporter-host:reporter/log@0.1.0": reporter_sdk_formatter_world::reporter_host::reporter::log,
        "reporter-host:reporter/delivery@0.1.0": reporter_sdk_reporter_world::reporter_host::reporter::delivery,
        "reporter-host:reporter/http@0.1.0": reporter_sdk_reporter_world::reporter_host::reporter::http,
        "reporter-host:reporter/smtp@0.1.0": reporter_sdk_reporter_world::reporter_host::reporter::smtp,
        "reporter-host:reporter/ssh@0.1.0": reporter_sdk_reporter_world::reporter_host::reporter::ssh,
        "reporter-host:reporter/state@0.1.0": reporter_sdk_reporter_world::reporter_host::reporter::state,
        "reporter-host:reporter/formatters@0.1.0": reporter_sdk_reporter_world::reporter_host::reporter::formatters,
    },
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_chat_world",
    default_bindings_module: "reporter_sdk::bindings::chat",
});
