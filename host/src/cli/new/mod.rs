//! `new`: a project for a component of one's own, ready to build.

pub mod template;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Failure;
use super::output::Output;

/// Arguments of `new`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's name: `my-formatter`.
    name: String,
    /// Make a formatter (the default): it words what a reporter says.
    #[arg(long, conflicts_with = "reporter")]
    formatter: bool,
    /// Make a reporter: it decides what is sent, and where.
    #[arg(long)]
    reporter: bool,
    /// The folder to make; default: the name.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

/// Writes the template. Files of a template for one kind only are below `formatter/` or `reporter/`.
pub(super) fn new(args: &Args, template: &[(&str, &str)], output: &Output) -> Result<(), Failure> {
    let kind = if args.reporter { "reporter/" } else { "formatter/" };
    let folder = args.to.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let files = files(&args.name, kind, template)?;
    if folder.exists() {
        return Err(Failure::Usage(format!("{} exists already", folder.display())));
    }
    for (path, text) in &files {
        write(&folder.join(path), text).map_err(|why| Failure::Failed(format!("{path} cannot be written: {why}")))?;
    }
    let made = json!({ "folder": folder.display().to_string(), "files": files.iter().map(|(path, _)| path).collect::<Vec<_>>() });
    output.done(&format!("made {} with {} files; its README says how to build and test it", folder.display(), files.len()), &made);
    Ok(())
}

/// The files of one kind, with the project's name in its places.
fn files(name: &str, kind: &str, template: &[(&str, &str)]) -> Result<Vec<(String, String)>, Failure> {
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 60
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits {
        return Err(Failure::Usage(format!("{name:?} is no name for a crate: write lower-case letters, digits and dashes, such as my-formatter")));
    }
    if let Some(why) = taken(name, template) {
        return Err(Failure::Usage(format!("{name:?} is no name for a crate: {why}; write {name}-{}, or another one", kind.trim_end_matches('/'))));
    }
    let others = |path: &str| path.starts_with("formatter/") || path.starts_with("reporter/");
    let files: Vec<_> = template
        .iter()
        .filter_map(|(path, text)| {
            let path = path.strip_prefix(kind).or_else(|| (!others(path)).then_some(path))?;
            Some((fill(path, name), fill(text, name)))
        })
        .collect();
    if files.is_empty() {
        return Err(Failure::Failed(format!("this build has no template for a {}", kind.trim_end_matches('/'))));
    }
    Ok(files)
}

/// Why the crate cannot be called that, though it is spelled as crates are: code could not name it, or it is somebody else's name.
fn taken(name: &str, template: &[(&str, &str)]) -> Option<&'static str> {
    let named = name.replace('-', "_");
    if KEYWORDS.contains(&name) {
        return Some("Rust has that word for itself");
    }
    if OF_RUST.contains(&named.as_str()) {
        return Some("a crate of Rust's own is called that");
    }
    let (_, lock) = template.iter().find(|(path, _)| *path == "Cargo.lock")?;
    // What stands in nobody's list is the project itself.
    let needed = |line: &str| line.strip_prefix(" \"")?.split(['"', ' ']).next().map(|needed| needed.replace('-', "_"));
    lock.lines().filter_map(needed).any(|needed| needed == named).then_some("the project needs another crate that is called that")
}

/// Words that no identifier can be (the Rust reference, "Keywords"), and so no crate.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn",
    "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Crates that are there without being asked for.
const OF_RUST: [&str; 5] = ["alloc", "core", "proc_macro", "std", "test"];

/// `{{name}}` is the crate's name, `{{name_snake}}` the same as an identifier.
fn fill(text: &str, name: &str) -> String {
    text.replace("{{name}}", name).replace("{{name_snake}}", &name.replace('-', "_"))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &[(&str, &str)] =
        &[("Cargo.toml", "name = \"{{name}}\""), ("formatter/src/lib.rs", "mod {{name_snake}}; // {{ name }}"), ("reporter/src/lib.rs", "other")];

    #[test]
    fn a_kind_gets_what_is_common_and_its_own() {
        let files = files("my-formatter", "formatter/", TEMPLATE).unwrap();
        let expected = [("Cargo.toml", "name = \"my-formatter\""), ("src/lib.rs", "mod my_formatter; // {{ name }}")];
        assert_eq!(files, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[test]
    fn names_that_are_somebody_elses_are_refused_with_another() {
        let files = |name: &str| files(name, "formatter/", template::FILES);
        for name in ["fn", "self", "gen", "core", "test", "proc-macro", "serde", "serde-json", "reporter-sdk", "minijinja", "wit-bindgen-rust-macro"] {
            let Err(Failure::Usage(why)) = files(name) else { panic!("{name} is taken") };
            assert!(why.contains(&format!("write {name}-formatter, or another one")), "{why}");
            assert!(files(&format!("{name}-formatter")).is_ok(), "{name}");
        }
        for name in ["headline", "union", "fns", "serde-of-mine"] {
            assert!(files(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_are_no_crates_and_missing_templates_are_refused() {
        for name in ["", "../x", "My", "1st", "a b"] {
            assert!(matches!(files(name, "formatter/", TEMPLATE), Err(Failure::Usage(_))), "{name}");
        }
        assert!(matches!(files("x", "formatter/", &[]), Err(Failure::Failed(_))));
    }
}
