//! Command lines: what the far side splits into words again.
//!
//! A word of letters, digits and `_@%+=:,./-` stands as it is, every other one in single quotes, `'` as `'\''`. A POSIX shell and Gerrit's own
//! splitter (which knows no variables, but the same quotes) read it as one word, line breaks and all.

use super::super::SshCommand;

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

/// Whether the words of an endpoint's `commands` need no quotes: only such can be granted.
pub fn is_plain(word: &str) -> bool {
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
    use std::process::Command;

    use proptest::prelude::*;

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

    /// Gerrit's splitter (BaseCommand.split): blanks outside of quotes separate, a backslash outside of single quotes takes the next character
    /// as it is, everything else is itself, and what is empty is dropped.
    fn gerrit(line: &str) -> Vec<String> {
        let (mut words, mut word, mut single, mut double) = (Vec::new(), String::new(), false, false);
        let mut characters = line.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                ' ' | '\t' if !single && !double => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                '"' if !single => double = !double,
                '\'' if !double => single = !single,
                '\\' if !single && characters.peek().is_some() => word.extend(characters.next()),
                other => word.push(other),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        words
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_argument_arrives_as_it_is(arguments in prop::collection::vec("[^\0]{1,12}|[-'\"\\\\$`;&|<>(){}*?!#~ \t\n\r]{1,8}", 0..6)) {
            let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let line = line(&command(&texts));
            let expected: Vec<String> = ["gerrit", "review"].into_iter().chain(texts).map(str::to_owned).collect();
            prop_assert_eq!(gerrit(&line), expected.clone());
            let shell = Command::new("sh").arg("-c").arg(format!("printf '%s\\0' {line}")).output().unwrap();
            let shell: Vec<String> = String::from_utf8(shell.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect();
            prop_assert_eq!(shell, expected);
        }
    }
}
