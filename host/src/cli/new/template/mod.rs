//! What `new` writes: a project with a copy of the SDK in it, so that nothing but this program is needed.
//!
//! Paths that begin with `formatter/` or `reporter/` are of that kind only. `{{name}}` and `{{name_snake}}` are filled in.

/// A file of the template itself: where it goes, and where it lies here.
macro_rules! own {
    ($to:literal, $from:literal) => {
        ($to, include_str!($from))
    };
}

/// A file of this repository, copied below `sdk/`.
macro_rules! copied {
    ($path:literal) => {
        (concat!("sdk/", $path), include_str!(concat!("../../../../../", $path)))
    };
}

/// Path and text of every file.
pub const FILES: &[(&str, &str)] = &[
    own!("Cargo.toml", "Cargo.toml.in"),
    own!(".cargo/config.toml", "config.toml.in"),
    own!(".gitignore", "gitignore.in"),
    own!("formatter/README.md", "formatter/README.md"),
    own!("formatter/src/lib.rs", "formatter/lib.rs"),
    own!("formatter/tests/message.rs", "formatter/tests.rs"),
    own!("reporter/README.md", "reporter/README.md"),
    own!("reporter/src/lib.rs", "reporter/lib.rs"),
    own!("reporter/tests/post.rs", "reporter/tests.rs"),
    own!("sdk/Cargo.toml", "sdk.toml.in"),
    own!("rust-toolchain.toml", "../../../../../rust-toolchain.toml"),
    // Versions that are known to work. Cargo puts the project's own name into it.
    own!("Cargo.lock", "lock.in"),
    copied!("guest-sdk/Cargo.toml"),
    copied!("guest-sdk/chat-world/Cargo.toml"),
    copied!("guest-sdk/chat-world/src/lib.rs"),
    copied!("guest-sdk/formatter-world/Cargo.toml"),
    copied!("guest-sdk/formatter-world/src/lib.rs"),
    copied!("guest-sdk/reporter-world/Cargo.toml"),
    copied!("guest-sdk/reporter-world/src/lib.rs"),
    copied!("guest-sdk/src/allocator.rs"),
    copied!("guest-sdk/src/amount.rs"),
    copied!("guest-sdk/src/bindings.rs"),
    copied!("guest-sdk/src/bitbucket/cloud.rs"),
    copied!("guest-sdk/src/bitbucket/mod.rs"),
    copied!("guest-sdk/src/bitbucket/place.rs"),
    copied!("guest-sdk/src/bitbucket/settings.rs"),
    copied!("guest-sdk/src/bitbucket/version.rs"),
    copied!("guest-sdk/src/build.rs"),
    copied!("guest-sdk/src/chat/announce.rs"),
    copied!("guest-sdk/src/chat/answer.rs"),
    copied!("guest-sdk/src/chat/authz.rs"),
    copied!("guest-sdk/src/chat/bot.rs"),
    copied!("guest-sdk/src/chat/channel.rs"),
    copied!("guest-sdk/src/chat/commands/act.rs"),
    copied!("guest-sdk/src/chat/commands/force.rs"),
    copied!("guest-sdk/src/chat/commands/force/fields.rs"),
    copied!("guest-sdk/src/chat/commands/force/options.rs"),
    copied!("guest-sdk/src/chat/commands/help.rs"),
    copied!("guest-sdk/src/chat/commands/list.rs"),
    copied!("guest-sdk/src/chat/commands/mod.rs"),
    copied!("guest-sdk/src/chat/commands/notify.rs"),
    copied!("guest-sdk/src/chat/commands/status.rs"),
    copied!("guest-sdk/src/chat/commands/talk.rs"),
    copied!("guest-sdk/src/chat/commands/waiting.rs"),
    copied!("guest-sdk/src/chat/events.rs"),
    copied!("guest-sdk/src/chat/mod.rs"),
    copied!("guest-sdk/src/chat/read.rs"),
    copied!("guest-sdk/src/chat/shell.rs"),
    copied!("guest-sdk/src/chat/text.rs"),
    copied!("guest-sdk/src/chat/update.rs"),
    copied!("guest-sdk/src/chat/words.rs"),
    copied!("guest-sdk/src/comment.rs"),
    copied!("guest-sdk/src/commit.rs"),
    copied!("guest-sdk/src/component.rs"),
    copied!("guest-sdk/src/context.rs"),
    copied!("guest-sdk/src/cut.rs"),
    copied!("guest-sdk/src/delivery.rs"),
    copied!("guest-sdk/src/endpoint.rs"),
    copied!("guest-sdk/src/event.rs"),
    copied!("guest-sdk/src/excerpt.rs"),
    copied!("guest-sdk/src/export.rs"),
    copied!("guest-sdk/src/filter.rs"),
    copied!("guest-sdk/src/front.rs"),
    copied!("guest-sdk/src/github/commit.rs"),
    copied!("guest-sdk/src/github/mod.rs"),
    copied!("guest-sdk/src/github/state.rs"),
    copied!("guest-sdk/src/giturl.rs"),
    copied!("guest-sdk/src/http.rs"),
    copied!("guest-sdk/src/interpolate.rs"),
    copied!("guest-sdk/src/irc.rs"),
    copied!("guest-sdk/src/jinja.rs"),
    copied!("guest-sdk/src/lazy.rs"),
    copied!("guest-sdk/src/kinds.rs"),
    copied!("guest-sdk/src/lib.rs"),
    copied!("guest-sdk/src/master.rs"),
    copied!("guest-sdk/src/message.rs"),
    copied!("guest-sdk/src/message/build.html"),
    copied!("guest-sdk/src/message/build.txt"),
    copied!("guest-sdk/src/message/short.html"),
    copied!("guest-sdk/src/message/short.txt"),
    copied!("guest-sdk/src/message/back.html"),
    copied!("guest-sdk/src/message/back.txt"),
    copied!("guest-sdk/src/message/worker.html"),
    copied!("guest-sdk/src/message/worker.txt"),
    copied!("guest-sdk/src/missing.rs"),
    copied!("guest-sdk/src/notice.rs"),
    copied!("guest-sdk/src/percent.rs"),
    copied!("guest-sdk/src/remembered.rs"),
    copied!("guest-sdk/src/services.rs"),
    copied!("guest-sdk/src/settings.rs"),
    copied!("guest-sdk/src/slot.rs"),
    copied!("guest-sdk/src/smtp.rs"),
    copied!("guest-sdk/src/snippets.rs"),
    copied!("guest-sdk/src/ssh.rs"),
    copied!("guest-sdk/src/stamps.rs"),
    copied!("guest-sdk/src/status.rs"),
    copied!("guest-sdk/src/subject.rs"),
    copied!("guest-sdk/src/template.rs"),
    copied!("guest-sdk/src/testing.rs"),
    copied!("guest-sdk/src/title.rs"),
    copied!("guest-sdk/src/want.rs"),
    copied!("guest-sdk/src/watched.rs"),
    copied!("guest-sdk/src/wording.rs"),
    copied!("guest-sdk/src/worker.rs"),
    copied!("wit/reporter/chat.wit"),
    copied!("wit/reporter/component.wit"),
    copied!("wit/reporter/delivery.wit"),
    copied!("wit/reporter/events.wit"),
    copied!("wit/reporter/http.wit"),
    copied!("wit/reporter/irc.wit"),
    copied!("wit/reporter/master.wit"),
    copied!("wit/reporter/package.wit"),
    copied!("wit/reporter/services.wit"),
    copied!("wit/reporter/smtp.wit"),
    copied!("wit/reporter/ssh.wit"),
    copied!("wit/reporter/worlds.wit"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::FILES;

    fn repository() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(""))
    }

    fn files_below(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, found);
            } else {
                found.insert(path.strip_prefix(repository()).unwrap().to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn the_whole_sdk_is_copied() {
        let mut there = BTreeSet::from(["guest-sdk/Cargo.toml".to_owned()]);
        for folder in ["guest-sdk/src", "guest-sdk/chat-world", "guest-sdk/formatter-world", "guest-sdk/reporter-world", "wit/reporter"] {
            files_below(&repository().join(folder), &mut there);
        }
        there.retain(|path| !path.ends_with("_tests.rs") && !path.contains("/tests/"));
        let copied: BTreeSet<String> =
            FILES.iter().filter_map(|(path, _)| path.strip_prefix("sdk/")).filter(|path| *path != "Cargo.toml").map(str::to_owned).collect();
        assert_eq!(copied, there);
    }

    #[test]
    fn the_sdk_gets_the_versions_of_this_repository() {
        let ours = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap();
        let (_, theirs) = FILES.iter().find(|(path, _)| *path == "sdk/Cargo.toml").unwrap();
        let settings =
            |text: &str| text.lines().filter(|line| line.contains(" = ") && !line.starts_with("members")).map(str::to_owned).collect::<BTreeSet<_>>();
        let missing: Vec<String> = settings(theirs).difference(&settings(&ours)).cloned().collect();
        assert!(missing.is_empty(), "the workspace has changed: {missing:?}");
    }

    #[test]
    fn nothing_of_the_sdk_is_taken_for_a_placeholder() {
        for (path, text) in FILES.iter().filter(|(path, _)| path.starts_with("sdk/")) {
            assert!(!text.contains("{{name"), "{path}");
        }
    }
}
