//! Reads the settings file and what it includes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Found};
use super::keys;
use super::node::{Kind, Node};
use super::source::{Source, Span};
use super::table::Table;

/// The largest settings file, in bytes.
const MOST_BYTES: u64 = 4 << 20;
/// How deep includes go.
const MOST_DEEP: usize = 16;

/// The trees of a file and of all that it includes, in reading order.
pub(super) fn read(file: &Path, found: &mut Found) -> Vec<Node> {
    let mut reader = Reader { read: Vec::new(), trees: Vec::new() };
    match text(file) {
        Ok(text) => reader.add(file, text, 0, found),
        Err(why) => {
            found.file(file.to_owned());
            found.error(Diagnostic::unread(file.to_owned(), format!("the settings cannot be read: {why}")).with_help("name the file with --settings FILE"));
        }
    }
    reader.trees
}

struct Reader {
    /// Real paths, to know a file again whatever it is called.
    read: Vec<PathBuf>,
    trees: Vec<Node>,
}

impl Reader {
    fn add(&mut self, path: &Path, text: String, depth: usize, found: &mut Found) {
        found.file(path.to_owned());
        self.read.push(real(path));
        let source = Arc::new(Source { path: path.to_owned(), text });
        let Some(tree) = Node::parse(&source, found) else { return };
        let includes = Table::new(&tree, "the settings file", keys::TOP, found)
            .and_then(|table| table.texts("include", found))
            .map(|texts| texts.into_iter().map(|(text, span)| (text.to_owned(), span.clone())).collect::<Vec<_>>())
            .unwrap_or_default();
        self.trees.push(tree);
        for (written, span) in includes {
            for path in matching(&written, &span, found) {
                self.include(&path, &span, depth, found);
            }
        }
    }

    fn include(&mut self, path: &Path, span: &Span, depth: usize, found: &mut Found) {
        let shown = path.display();
        if self.read.contains(&real(path)) {
            let error = Diagnostic::error(span, format!("{shown} is included a second time"));
            found.error(error.with_help("every file is read once; includes must not form a loop"));
        } else if depth == MOST_DEEP {
            found.error(Diagnostic::error(span, format!("includes go deeper than {MOST_DEEP} files")));
        } else {
            match text(path) {
                Ok(text) => self.add(path, text, depth + 1, found),
                Err(why) => {
                    found.file(path.to_owned());
                    found.error(Diagnostic::error(span, format!("{shown} cannot be read: {why}")));
                }
            }
        }
    }
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The text of a file that has a decent size.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let size = path.metadata().map_err(|e| e.to_string())?;
    if !size.is_file() {
        return Err("it is not a file".to_owned());
    }
    if size.len() > MOST_BYTES {
        return Err(format!("it has {} bytes, and {MOST_BYTES} is the most", size.len()));
    }
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8; save the file in that encoding")
    })
}

/// The files that an include names, sorted.
fn matching(written: &str, span: &Span, found: &mut Found) -> Vec<PathBuf> {
    let path = span.path(written);
    let pattern = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let folder = path.parent().map_or_else(|| span.folder().to_owned(), Path::to_owned);
    if folder.to_string_lossy().contains(['*', '?']) {
        found.error(Diagnostic::error(span, "`*` and `?` are for the last part of a path only"));
        return Vec::new();
    }
    if !pattern.contains(['*', '?']) {
        return vec![path];
    }
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    found.file(listed.to_owned());
    let entries = match std::fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(e) => {
            found.error(Diagnostic::error(span, format!("{} cannot be listed: {e}", listed.display())));
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && fits(&pattern, name))
        .map(|name| folder.join(name))
        .collect();
    files.sort();
    files
}

/// Whether a name fits a pattern of `*` (anything) and `?` (one character).
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut retry) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, eaten)) => {
                    retry = Some((star, eaten + 1));
                    p = star + 1;
                    n = eaten + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// Every table of `[[name]]` in all files, in order; `[name]` counts as one.
pub(super) fn tables<'t>(trees: &'t [Node], name: &str, found: &mut Found) -> Vec<&'t Node> {
    let mut all = Vec::new();
    for node in trees.iter().filter_map(|tree| tree.get(name)) {
        match &node.kind {
            Kind::List(items) => all.extend(items),
            Kind::Table(_) => all.push(node),
            _ => found.error(
                Diagnostic::error(&node.span, format!("`{name}` is a list of tables, not {}", node.what()))
                    .with_help(format!("write each one as [[{name}]] with its settings below")),
            ),
        }
    }
    all
}

/// The one table `[name]`, put together from all files; a key given twice is refused.
pub(super) fn table(trees: &[Node], name: &str, found: &mut Found) -> Option<Node> {
    let mut whole: Option<Node> = None;
    for node in trees.iter().filter_map(|tree| tree.get(name)) {
        let Kind::Table(entries) = &node.kind else {
            found.error(Diagnostic::error(&node.span, format!("[{name}] is a table, not {}", node.what())));
            continue;
        };
        let Some(whole) = &mut whole else {
            whole = Some(node.clone());
            continue;
        };
        let Kind::Table(all) = &mut whole.kind else { continue };
        for (key, value) in entries {
            match all.iter().find(|(other, _)| other.name == key.name) {
                Some((other, _)) => {
                    let (line, _) = other.span.line_and_column();
                    let place = format!("{}:{line}", other.span.source.path.display());
                    found.error(Diagnostic::error(&key.span, format!("`{}` stands in {place} already", key.name)));
                }
                None => all.push((key.clone(), value.clone())),
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml.bak", false),
            ("team-?.toml", "team-a.toml", true),
            ("team-?.toml", "team-ab.toml", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
