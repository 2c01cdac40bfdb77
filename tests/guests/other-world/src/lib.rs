//! A component that greets.

#[allow(missing_docs)]
mod bindings {
    wit_bindgen::generate!({
        inline: "package acme:greeter@1.0.0; world greeter { import now: func() -> u64; export greet: func(name: string) -> string; }",
    });
}

#[cfg(target_arch = "wasm32")]
const _: () = {
    struct Greeter;
    impl bindings::Guest for Greeter {
        fn greet(name: String) -> String {
            format!("Hello, {name}, it is {}", bindings::now())
        }
    }
    bindings::export!(Greeter with_types_in bindings);
};
