//! Python's `%(key)s` format, as far as settings use it.

use serde_json::Value;

/// A piece of a format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    /// What stands in the parentheses, how to format it, and the byte at which the `%` is.
    Key {
        key: String,
        form: Form,
        at: usize,
    },
}

/// What follows the parentheses: flags, width, precision, conversion.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Form {
    left: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

/// What is wrong, and at which character (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The character, from 1.
    pub character: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl FormatError {
    /// An error at byte `at` of `text`.
    pub(crate) fn new(text: &str, at: usize, message: impl Into<String>) -> Self {
        let character = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        Self { character, message: message.into() }
    }
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "character {}: {}", self.character, self.message)
    }
}

impl std::error::Error for FormatError {}

/// Widths beyond this are a mistake or an attack.
const WIDEST: usize = 1000;

/// Splits a format into its pieces.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(offset) = rest.find('%') {
        literal.push_str(&rest[..offset]);
        let at = text.len() - rest.len() + offset;
        let after = &rest[offset + 1..];
        if let Some(after) = after.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let Some(after) = after.strip_prefix('(') else {
            return Err(FormatError::new(text, at, "a % stands alone: write %% for a percent sign, or %(…)s"));
        };
        let Some(end) = closing(after) else {
            return Err(FormatError::new(text, at, "%( has no matching )"));
        };
        let (form, after_form) = form(&after[end + 1..]).map_err(|message| FormatError::new(text, at, message))?;
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Key { key: after[..end].to_owned(), form, at });
        rest = after_form;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// The byte of the `)` that closes what began before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return Some(at),
            ')' => open -= 1,
            _ => {}
        }
    }
    None
}

fn form(text: &str) -> Result<(Form, &str), String> {
    let mut form = Form { left: false, zero: false, plus: false, width: 0, precision: None, conversion: 's' };
    let flags = text.len() - text.trim_start_matches(['-', '0', '+', ' ', '#']).len();
    for flag in text[..flags].chars() {
        match flag {
            '-' => form.left = true,
            '0' => form.zero = true,
            '+' => form.plus = true,
            _ => {}
        }
    }
    let (width, mut rest) = number(&text[flags..])?;
    form.width = width.unwrap_or(0);
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = number(after)?;
        form.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    let conversion = rest.chars().next().ok_or("a letter is missing behind the ): write %(…)s")?;
    if !matches!(conversion, 's' | 'd' | 'i' | 'f' | 'x' | 'X') {
        return Err(format!("there is no conversion {conversion:?} behind the ): write %(…)s"));
    }
    form.conversion = conversion;
    Ok((form, &rest[conversion.len_utf8()..]))
}

fn number(text: &str) -> Result<(Option<usize>, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    match text[..end].parse() {
        Ok(number) if number <= WIDEST => Ok((Some(number), &text[end..])),
        _ => Err(format!("a width of {} is too much", &text[..end])),
    }
}

impl Form {
    /// Formats a value.
    pub(crate) fn apply(&self, value: &Value) -> Result<String, String> {
        let not_a_number = || format!("%{} needs a number, and the value is {value}", self.conversion);
        let text = match self.conversion {
            'd' | 'i' => {
                let number = value.as_i64().or_else(|| value.as_bool().map(i64::from)).or_else(|| value.as_f64().map(|f| f as i64));
                number.ok_or_else(not_a_number)?.to_string()
            }
            'f' => format!("{:.*}", self.precision.unwrap_or(6), value.as_f64().ok_or_else(not_a_number)?),
            'x' => format!("{:x}", value.as_i64().ok_or_else(not_a_number)?),
            'X' => format!("{:X}", value.as_i64().ok_or_else(not_a_number)?),
            _ => match self.precision {
                Some(most) => python_str(value).chars().take(most).collect(),
                None => python_str(value),
            },
        };
        let numeric = self.conversion != 's';
        let text = if numeric && self.plus && !text.starts_with('-') { format!("+{text}") } else { text };
        let missing = self.width.saturating_sub(text.chars().count());
        Ok(match missing {
            0 => text,
            _ if self.left => format!("{text}{}", " ".repeat(missing)),
            _ if self.zero && numeric => {
                let sign = text.len() - text.trim_start_matches(['-', '+']).len();
                format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
            }
            _ => format!("{}{text}", " ".repeat(missing)),
        })
    }
}

/// Python's `str()` of a JSON value.
pub fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => python_repr(other),
    }
}

fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{}\"", text.replace('\\', "\\\\").replace('\n', "\\n")),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\n', "\\n").replace('\'', "\\'")),
        Value::Array(items) => format!("[{}]", items.iter().map(python_repr).collect::<Vec<_>>().join(", ")),
        Value::Object(items) => {
            let pairs: Vec<_> = items.iter().map(|(key, value)| format!("{}: {}", python_repr(&Value::String(key.clone())), python_repr(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// Whether Python would call it true.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
    }
}

/// Formats with values by key: `format("%(a)s", &|key| …)`.
///
/// # Errors
///
/// The first mistake in the text, or what `value` says about a key.
pub fn format(text: &str, value: &dyn Fn(&str) -> Result<Value, String>) -> Result<String, FormatError> {
    let mut out = String::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Key { key, form, at } => {
                let formatted = value(&key).and_then(|value| form.apply(&value));
                out.push_str(&formatted.map_err(|message| FormatError::new(text, at, message))?);
            }
        }
    }
    Ok(out)
}
