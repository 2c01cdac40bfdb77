//! Raw bindings of the reporter world, for reporter-sdk.
//!
//! A crate of its own for the same reason as the formatter world's.

wit_bindgen::generate!({
    path: "../../wit/reporter",
    world: "reporter",
    with: {
        "reporter-host:reporter/events@0.1.0": reporter_sdk_formatter_world::reporter_host::reporter::events,
        "reporter-host:reporter/log@0.1.0": reporter_sdk_formatter_world::reporter_host::reporter::log,
    },
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_reporter_world",
    default_bindings_module: "reporter_sdk::bindings::reporter",
});
