//! The built-in reporters as components, under the names of Buildbot's documentation.
//!
//! ```
//! assert!(reporter_bundle::find("MailNotifier").unwrap().component.starts_with(b"\0asm"));
//! ```

/// A reporter that comes with the host.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// As in `reporter = "…"`: `MailNotifier`.
    pub name: &'static str,
    /// The component. It imports nothing but `reporter-host:reporter/*`.
    pub component: &'static [u8],
}

/// All of them, sorted by name.
pub fn all() -> &'static [BuiltIn] {
    const ALL: &[BuiltIn] = include!(concat!(env!("OUT_DIR"), "/built_in.rs"));
    ALL
}

/// An example formatter, by the name under which settings reach it: `example:headline`.
pub fn example(name: &str) -> Option<&'static BuiltIn> {
    const EXAMPLES: &[BuiltIn] = include!(concat!(env!("OUT_DIR"), "/examples.rs"));
    EXAMPLES.iter().find(|example| example.name == name)
}

/// The one of this name, spelled as in [`all`].
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    all().iter().find(|built_in| built_in.name == name)
}
