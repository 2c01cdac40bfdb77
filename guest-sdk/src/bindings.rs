//! What wit-bindgen makes of `wit/reporter`: the raw contract, for what the crate does not wrap.

/// The world of formatters; events and log of both worlds are its types.
pub use reporter_sdk_formatter_world as formatter;

/// The world of reporters.
pub mod reporter {
    wit_bindgen::generate!({
        path: "../wit/reporter",
        world: "reporter",
        // The drafts only resolve with their features on; no stable world imports them.
        features: ["chat"],
        with: {
            "reporter-host:reporter/events@0.1.0": reporter_sdk_formatter_world::reporter_host::reporter::events,
            "reporter-host:reporter/log@0.1.0": reporter_sdk_formatter_world::reporter_host::reporter::log,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_reporter_world",
        default_bindings_module: "reporter_sdk::bindings::reporter",
    });
}
