//! Command lines: what the far side splits into words again.
//!
//! A word of letters, digits and `_@%+=:,./-` stands as it is, every other one in single quotes, `'` as `'\''`. A POSIX shell and Gerrit's own
//! splitter (which knows no variables, but the same quotes) read it as one word, line breaks and all.

use super::super::{SshCommand, SshEndpoint};

/// Arguments that one command may have.
const MOST_ARGUMENTS: usize = 1_000;
/// Bytes of them. OpenSSH hands the line to a shell as one argument, of which Linux takes 128 KiB.
const MOST_LINE: usize = 64 << 10;
/// Bytes of standard input.
const MOST_STDIN: usize = 1 << 20;

/// Why a command could never be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// An empty argument.
    #[error("an argument is empty; some servers (Gerrit) lose it")]
    Empty,
    /// A NUL in an argument.
    #[error("an argument has a NUL in it")]
    Nul,
    /// Too much of something.
    #[error("it has {what} over {most}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much there may be.
        most: usize,
    },
}

/// Whether a command can be run at all.
///
/// # Errors
/// [`CommandError`].
pub fn check_command(command: &SshCommand) -> Result<(), CommandError> {
    let much = |what, most, is: bool| if is { Err(CommandError::TooMuch { what, most }) } else { Ok(()) };
    much("arguments", MOST_ARGUMENTS, command.arguments.len() > MOST_ARGUMENTS)?;
    much("bytes of standard input", MOST_STDIN, command.stdin.len() > MOST_STDIN)?;
    if command.arguments.iter().any(String::is_empty) {
        return Err(CommandError::Empty);
    }
    if command.arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(CommandError::Nul);
    }
    much("bytes of arguments", MOST_LINE, line(command).len() > MOST_LINE)
}

/// Whether a list of an endpoint's commands has this one, word for word.
pub fn names(list: &[String], words: &[String]) -> bool {
    list.iter().any(|command| command.split(' ').eq(words.iter().map(String::as_str)))
}

/// Whether an endpoint can be what it says.
///
/// # Errors
/// In words: a command with anything but plain words in it, a host that is no name and no address, no user.
pub fn check_endpoint(ssh: &SshEndpoint) -> Result<(), String> {
    if let Some(wrong) = ssh.commands.iter().chain(&ssh.queries).find(|command| !command.split(' ').all(is_plain)) {
        return Err(format!("the command {wrong:?} is not words of letters, digits, _, . and - with a blank between them"));
    }
    // Grants are read by the text of the destination, so nothing in a host may look like more than one.
    if ssh.host.is_empty() || !ssh.host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]%".contains(&b) || b >= 0x80) {
        return Err(format!("its host {:?} is no name and no address", ssh.host));
    }
    if ssh.user.is_empty() {
        return Err("it has no user to log in".into());
    }
    Ok(())
}

/// Whether a word of an endpoint's commands needs no quotes: only such can be granted.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && !word.starts_with('-') && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// The command as one line.
pub fn line(command: &SshCommand) -> String {
    let words = command.words.iter().chain(&command.arguments);
    words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(arguments: &[&str]) -> SshCommand {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        SshCommand { words: owned(&["gerrit", "review"]), arguments: owned(arguments), stdin: Vec::new() }
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(line(&command(&["--label", "Verified=-1", "it's $HOME"])), r"gerrit review --label Verified=-1 'it'\''s $HOME'");
        assert_eq!(line(&command(&["a\nb", "~", "#x"])), "gerrit review 'a\nb' '~' '#x'");
    }

    #[test]
    fn what_can_never_be_run() {
        assert_eq!(check_command(&command(&["a", ""])), Err(CommandError::Empty));
        assert_eq!(check_command(&command(&["a\0b"])), Err(CommandError::Nul));
        assert_eq!(check_command(&command(&["a"; 1_001])).unwrap_err().to_string(), "it has arguments over 1000");
        assert!(matches!(check_command(&command(&[&"'".repeat(20_000)])), Err(CommandError::TooMuch { .. })));
        assert_eq!(check_command(&command(&[&"a".repeat(60_000)])), Ok(()));
        for (word, plain) in [("gerrit", true), ("ls-projects", true), ("", false), ("-x", false), ("a b", false), ("a;b", false), ("a/b", false)] {
            assert_eq!(is_plain(word), plain, "{word}");
        }
    }

    #[test]
    fn endpoints() {
        let ssh = |host: &str, command: &str| SshEndpoint {
            host: host.into(),
            port: 29418,
            user: "bot".into(),
            identity: None,
            identity_file: None,
            passphrase: None,
            known_hosts: None,
            commands: vec![command.into()],
            queries: vec![],
        };
        for host in ["gerrit.example.org", "192.0.2.1", "::1", "[fe80::1%eth0]", "bücher.example"] {
            assert_eq!(check_endpoint(&ssh(host, "gerrit review")), Ok(()), "{host}");
        }
        for host in ["", "a/b", "a b", "user@host", "h:1/gerrit/review", "h\n"] {
            assert!(check_endpoint(&ssh(host, "gerrit review")).is_err(), "{host}");
        }
        for command in ["", "gerrit  review", "gerrit; rm", "sh -c", "gerrit review "] {
            assert!(check_endpoint(&ssh("h", command)).is_err(), "{command}");
        }
        assert!(check_endpoint(&SshEndpoint { user: String::new(), ..ssh("h", "a") }).is_err());
    }

    #[test]
    fn commands_are_named_word_for_word() {
        let list = ["gerrit review".to_owned()];
        let named = |words: &[&str]| names(&list, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(named(&["gerrit", "review"]));
        for other in [&["gerrit"][..], &["gerrit review"], &["gerrit", "", "review"], &["gerrit", "review", "x"], &["review", "gerrit"], &[]] {
            assert!(!named(other), "{other:?}");
        }
    }
}
