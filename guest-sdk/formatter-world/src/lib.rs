//! Raw bindings of the formatter world, for reporter-sdk.
//!
//! A crate of its own because wit-bindgen names an export macro after its interface, and both worlds export `component`.

wit_bindgen::generate!({
    path: "../../wit/reporter",
    world: "formatter",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_formatter_world",
    default_bindings_module: "reporter_sdk::bindings::formatter",
});
