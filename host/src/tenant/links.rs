//! The folders in which a file can become another one: its own, and that of every symbolic link on the way to it.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};

/// As many links as the system itself follows.
const MOST: usize = 40;

/// The folder in which the file really is (a folder is its own), and those of the symbolic links that lead there, each by the
/// path that has no link in it.
pub(super) fn folders(file: &Path) -> BTreeSet<PathBuf> {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut folders = BTreeSet::new();
    let (mut at, mut rest, mut links) = (PathBuf::new(), parts(&whole), 0);
    while let Some(part) = rest.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::Normal(name)) => {
                let next = at.join(name);
                match next.read_link() {
                    Ok(target) if links < MOST => {
                        links += 1;
                        folders.insert(at.clone());
                        let mut ahead = parts(&target);
                        ahead.append(&mut rest);
                        rest = ahead;
                    }
                    _ => at = next,
                }
            }
            Some(Component::ParentDir) => {
                at.pop();
            }
            Some(Component::RootDir) => at = PathBuf::from("/"),
            _ => {}
        }
    }
    let own = if at.is_dir() { Some(at.as_path()) } else { at.parent() };
    folders.extend(own.map(Path::to_owned));
    folders
}

fn parts(path: &Path) -> VecDeque<PathBuf> {
    path.components().map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let path = |name: &str| root.join(name);
        for name in ["conf", "shared/v1", "other"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::write(path("shared/v1/ci.toml"), "").unwrap();
        symlink("v1", path("shared/now")).unwrap();
        symlink(path("shared/now/ci.toml"), path("other/ci.toml")).unwrap();
        symlink("../other/ci.toml", path("conf/ci.toml")).unwrap();
        symlink("loop", path("other/loop")).unwrap();
        for (file, expected) in [
            ("shared/v1/ci.toml", &["shared/v1"][..]),
            ("shared/now/ci.toml", &["shared", "shared/v1"]),
            ("conf/ci.toml", &["conf", "other", "shared", "shared/v1"]),
            ("shared/now", &["shared", "shared/v1"]),
            ("conf/none.toml", &["conf"]),
            ("other/loop", &["other"]),
        ] {
            assert_eq!(folders(&path(file)), expected.iter().map(|name| path(name)).collect(), "{file}");
        }
    }
}
