//! MarkdownV2 as Telegram reads it: what is shown, or why it is refused.
//!
//! <https://core.telegram.org/bots/api#markdownv2-style>

/// What has to be escaped wherever it is not markup.
const RESERVED: &str = "_*[]()~`>#+-=|{}.!";

/// What is shown of a text: `name` for code, `[text](url)` for links.
pub fn shown(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut open: Vec<char> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(next) if next.is_ascii() => out.push(next),
                _ => return Err("Bad Request: can't parse entities: Character '\\' is reserved and must be escaped with the preceding '\\'".into()),
            },
            '`' => out.push_str(&format!("`{}`", until(&mut rest, '`')?)),
            '[' => {
                let label = until(&mut rest, ']')?;
                if rest.next() != Some('(') {
                    return Err("Bad Request: can't parse entities: Character '[' is reserved and must be escaped with the preceding '\\'".into());
                }
                let url = until(&mut rest, ')')?;
                out.push_str(&format!("[{label}]({url})"));
            }
            '*' | '_' | '~' => match open.last() {
                Some(last) if *last == c => _ = open.pop(),
                _ => open.push(c),
            },
            c if RESERVED.contains(c) => {
                return Err(format!("Bad Request: can't parse entities: Character '{c}' is reserved and must be escaped with the preceding '\\'"));
            }
            c => out.push(c),
        }
    }
    match open.last() {
        Some(_) => Err("Bad Request: can't parse entities: Can't find end of the entity".into()),
        None => Ok(out),
    }
}

fn until(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, end: char) -> Result<String, String> {
    let mut inner = String::new();
    while let Some(c) = rest.next() {
        match c {
            '\\' => inner.extend(rest.next()),
            c if c == end => return if inner.is_empty() { Err("Bad Request: can't parse entities: an entity is empty".into()) } else { Ok(inner) },
            c => inner.push(c),
        }
    }
    Err("Bad Request: can't parse entities: Can't find end of the entity".into())
}

#[test]
fn what_telegram_refuses_is_refused() {
    assert_eq!(shown(r"a\_b `x_\`` [\#1](https://h/\)) *b*"), Ok("a_b `x_`` [#1](https://h/)) b".into()));
    for wrong in ["a.b", "a_b", "`a", "[a]", "[a](b", "(", "x!", "*a", "``", "a\\"] {
        assert!(shown(wrong).unwrap_err().contains("can't parse entities"), "{wrong}");
    }
}
