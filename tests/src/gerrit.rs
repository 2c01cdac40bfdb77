//! How a Gerrit server reads a command.

/// Gerrit's splitter (`BaseCommand.split`): blanks outside of quotes separate, a backslash outside of single quotes takes the next character
/// as it is, everything else is itself, and what is empty is dropped.
pub fn split(line: &str) -> Vec<String> {
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

/// Gerrit's options (`CmdLineParser.parseArgument`): a word that begins with `--` is divided at its first `=`, wherever it stands before a bare `--`.
pub fn options(words: Vec<String>) -> Vec<String> {
    let mut bare = false;
    let divided = words.into_iter().flat_map(|word| {
        bare |= word == "--";
        match word.split_once('=') {
            Some((name, value)) if !bare && name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
            _ => vec![word],
        }
    });
    divided.collect()
}
