//! The built-in reporters as components, under the names of Buildbot's documentation.
//!
//! ```
//! let name = reporter_bundle::canonical("reporters.mail.MailNotifier").unwrap();
//! assert_eq!(name, "MailNotifier");
//! assert!(reporter_bundle::find(name).unwrap().component.starts_with(b"\0asm"));
//! ```

mod names;

pub use names::{DOCUMENTED, canonical, not_yet_built};

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

/// The one of this name, spelled as in [`all`]; [`canonical`] knows the other spellings.
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    all().iter().find(|built_in| built_in.name == name)
}
