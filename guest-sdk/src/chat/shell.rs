//! Words as a POSIX shell splits them.

/// Splits a line into words: blanks divide, quotes and backslashes keep together.
///
/// # Errors
///
/// A quote that is not closed, or a backslash at the end: a sentence for the person.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => loop {
                let word = word.get_or_insert_default();
                match rest.next() {
                    Some('\'') => break,
                    Some(c) => word.push(c),
                    None => return Err("A quote (') is not closed.".into()),
                }
            },
            '"' => loop {
                let word = word.get_or_insert_default();
                match rest.next() {
                    Some('"') => break,
                    Some('\\') => match rest.next() {
                        Some(c @ ('"' | '\\')) => word.push(c),
                        Some(c) => word.extend(['\\', c]),
                        None => return Err("A quote (\") is not closed.".into()),
                    },
                    Some(c) => word.push(c),
                    None => return Err("A quote (\") is not closed.".into()),
                }
            },
            '\\' => match rest.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("There is nothing behind the last backslash.".into()),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A word that [`split`] takes for one.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=#".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_shell_does() {
        for (line, words) in [
            ("", vec![]),
            ("  a  b ", vec!["a", "b"]),
            (r#""slow one" mistake made"#, vec!["slow one", "mistake", "made"]),
            (r"slow\ one 'it''s' '' x", vec!["slow one", "its", "", "x"]),
            (r#""a\"b\n" c"#, vec!["a\"b\\n", "c"]),
            ("é\u{a0}x", vec!["é", "x"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line:?}");
        }
        for line in ["'a", "\"a", "\"a\\", "a\\"] {
            assert!(split(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn what_is_quoted_comes_back() {
        for word in ["", "a", "slow one", "it's", "a\\b", "\"", "$x"] {
            assert_eq!(split(&quote(word)).unwrap(), [word]);
        }
    }
}
