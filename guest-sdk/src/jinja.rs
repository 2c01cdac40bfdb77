//! The template engine: minijinja, and what closes its differences to Jinja2 (docs/templates.md).

use minijinja::value::{Kwargs, Rest, StringInput, Value, ValueKind, ValueOrKwargs, from_args};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};

/// An environment for templates that produce HTML (escaped) or plain text. Strict: an undefined variable is an error.
pub(crate) fn environment(html: bool, strict: bool) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(move |_| if html { AutoEscape::Html } else { AutoEscape::None });
    env.set_undefined_behavior(if strict { UndefinedBehavior::Strict } else { UndefinedBehavior::Lenient });
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    // Line numbers are in every error; excerpts of the context would bring its values into logs.
    env.set_debug(false);
    env.set_formatter(|out, state, value| match state.auto_escape() {
        AutoEscape::Html if !value.is_safe() && !value.is_undefined() => out.write_str(&escaped(&value.to_string())).map_err(Error::from),
        _ => minijinja::escape_formatter(out, state, value),
    });
    env
}

/// Filters that take another's name, which may be made only when the template is rendered.
const BY_NAME: [&str; 5] = ["map", "reject", "rejectattr", "select", "selectattr"];

/// Adds what of the filters and functions below the words of templates may name. Minijinja shares its own between
/// environments and copies them when one is added, which costs a fresh instance more than a small template does.
pub(crate) fn add_named<'a>(env: &mut Environment<'_>, words: impl Iterator<Item = &'a str>) {
    for word in words {
        if BY_NAME.contains(&word) {
            NAMES.iter().for_each(|name| add(env, name));
        } else if NAMES.contains(&word) {
            add(env, word);
        }
    }
}

/// What [`add`] knows.
const NAMES: [&str; 21] = [
    "attr",
    "e",
    "escape",
    "center",
    "duration",
    "filesizeformat",
    "forceescape",
    "lipsum",
    "one_line",
    "random",
    "replace",
    "striptags",
    "tojson",
    "truncate",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
    "cycler",
    "joiner",
];

fn add(env: &mut Environment<'_>, name: &str) {
    match name {
        "attr" => env.add_filter("attr", attr),
        "e" => env.add_filter("e", escape),
        "escape" => env.add_filter("escape", escape),
        "center" => env.add_filter("center", center),
        "duration" => env.add_filter("duration", duration),
        "filesizeformat" => env.add_filter("filesizeformat", minijinja_contrib::filters::filesizeformat),
        "forceescape" => env.add_filter("forceescape", forceescape),
        "lipsum" => {
            env.add_filter("lipsum", not_repeatable);
            env.add_function("lipsum", || not_repeatable(&Value::UNDEFINED));
        }
        "one_line" => env.add_filter("one_line", one_line),
        "random" => env.add_filter("random", not_repeatable),
        "replace" => env.add_filter("replace", replace),
        "striptags" => env.add_filter("striptags", minijinja_contrib::filters::striptags),
        "tojson" => env.add_filter("tojson", tojson),
        "truncate" => env.add_filter("truncate", truncate),
        "urlencode" => env.add_filter("urlencode", urlencode),
        "urlize" => env.add_filter("urlize", urlize),
        "wordcount" => env.add_filter("wordcount", wordcount),
        "wordwrap" => env.add_filter("wordwrap", wordwrap),
        "xmlattr" => env.add_filter("xmlattr", xmlattr),
        "cycler" => env.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0)),
        "joiner" => env.add_function("joiner", minijinja_contrib::globals::joiner),
        _ => {}
    }
}

/// What went wrong, for the operator: `line 3: …`, and a rewrite where there is one.
pub(crate) fn explain(error: &Error) -> String {
    let mut message = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    message.push_str(&error.kind().to_string());
    if let Some(detail) = error.detail() {
        message.push_str(": ");
        message.push_str(detail);
        if detail.contains("% operator") {
            message.push_str("; templates have no % for texts, write {{ 'a %s'|format(x) }} instead of {{ 'a %s' % x }}");
        }
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&match cause.downcast_ref::<Error>() {
            Some(error) => match (error.name(), error.line(), error.detail()) {
                (Some(name), Some(line), detail) => format!("{name} line {line}: {}", detail.unwrap_or_default()),
                _ => error.to_string(),
            },
            None => cause.to_string(),
        });
        source = cause.source();
    }
    message
}

/// A filter's arguments, which Jinja2 takes by position or by name alike.
struct Arguments {
    positional: std::vec::IntoIter<Value>,
    named: Kwargs,
}

impl Arguments {
    fn new(given: Rest<ValueOrKwargs>) -> Result<Self, Error> {
        let mut values = given.into_values();
        let (count, named) = {
            let (positional, named) = from_args::<(&[Value], Kwargs)>(&values)?;
            (positional.len(), named)
        };
        values.truncate(count);
        Ok(Self { positional: values.into_iter(), named })
    }

    /// The next argument; none is as good as missing.
    fn next<T: TryFrom<Value, Error = Error>>(&mut self, name: &str) -> Result<Option<T>, Error> {
        self.value(name)?.map(T::try_from).transpose()
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.value(name)?.map(|value| value.to_string()))
    }

    fn value(&mut self, name: &str) -> Result<Option<Value>, Error> {
        let value = match self.positional.next() {
            Some(value) => Some(value),
            None if self.named.has(name) => Some(self.named.get::<Value>(name)?),
            None => None,
        };
        Ok(value.filter(|value| !value.is_none() && !value.is_undefined()))
    }

    fn finish(mut self) -> Result<(), Error> {
        match self.positional.next() {
            Some(_) => Err(Error::from(ErrorKind::TooManyArguments)),
            None => self.named.assert_all_used(),
        }
    }
}

fn not_repeatable(_: &Value) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "what is random differs between a preview, a retry and a replay; take |first, or build.number % n as an index"))
}

// Jinja2 asks for an attribute here, which a dict has none of.
fn attr(value: &Value, key: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Map && value.downcast_object_ref::<minijinja::value::Tuple>().is_none() { Ok(Value::UNDEFINED) } else { value.get_item(key) }
}

/// Texts wider than this are a mistake or an attack.
const WIDEST: usize = 10_000;

fn center(value: StringInput<'_>, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut given = Arguments::new(given)?;
    let width = given.next("width")?.unwrap_or(80).min(WIDEST);
    given.finish()?;
    let text = value.as_str();
    let missing = width.saturating_sub(text.chars().count());
    // Python puts the odd space to the left only if the width is odd.
    let left = missing / 2 + (missing & width & 1);
    Ok(value.preserve_safety(format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left))))
}

/// Seconds as `1 h 2 min`, `2 min 3 s`, `3 s`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let parts = match (days, hours, minutes) {
        (0, 0, 0) => [(rest, "s"), (0, "")],
        (0, 0, _) => [(minutes, "min"), (rest, "s")],
        (0, _, _) => [(hours, "h"), (minutes, "min")],
        _ => [(days, "d"), (hours, "h")],
    };
    let words: Vec<String> =
        parts.iter().enumerate().filter(|(n, (count, _))| *n == 0 || *count > 0).map(|(_, (count, unit))| format!("{count} {unit}")).collect();
    words.join(" ")
}

/// A name that somebody gave themselves, without what would begin a line of its own.
fn one_line(value: Value) -> Value {
    match value.as_str().filter(|text| text.contains(char::is_control)).map(crate::subject::one_line) {
        Some(text) if value.is_safe() => Value::from_safe_string(text),
        Some(text) => Value::from(text),
        None => value,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

// minijinja also escapes the slash, which makes links hard to read in a mail's source.
fn escape(value: &Value) -> Value {
    if value.is_safe() { value.clone() } else { forceescape(value) }
}

fn forceescape(value: &Value) -> Value {
    Value::from_safe_string(escaped(&value.to_string()))
}

fn replace(state: &mut State, value: StringInput<'_>, old: StringInput<'_>, new: StringInput<'_>, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut given = Arguments::new(given)?;
    let count: Option<usize> = given.next("count")?;
    given.finish()?;
    match count {
        None => minijinja::filters::replace(state, value, old, new),
        Some(count) => Ok(value.preserve_safety(value.as_str().replacen(old.as_str(), new.as_str(), count))),
    }
}

fn tojson(value: &Value, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut given = Arguments::new(given)?;
    let indent: Option<usize> = given.next("indent")?;
    given.finish()?;
    let mut sorted = serde_json::to_value(value).map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("there is no JSON for this: {error}")))?;
    sorted.sort_all_objects();
    let mut json = String::new();
    write_json(&sorted, indent.map(|indent| indent.min(16)), 0, &mut json);
    // Safe in HTML and in attributes, as Jinja2's.
    let json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027");
    Ok(Value::from_safe_string(json))
}

/// As Python's `json.dumps`: `", "` and `": "`, non-ASCII escaped.
fn write_json(value: &serde_json::Value, indent: Option<usize>, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * depth));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { comma });
                line(depth + 1, out);
                write_json(item, indent, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        serde_json::Value::Object(items) if !items.is_empty() => {
            out.push('{');
            for (n, (key, item)) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { comma });
                line(depth + 1, out);
                ascii(&serde_json::Value::from(key.as_str()).to_string(), out);
                out.push_str(": ");
                write_json(item, indent, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        other => ascii(&other.to_string(), out),
    }
}

fn ascii(json: &str, out: &mut String) {
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

fn truncate(value: StringInput<'_>, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut given = Arguments::new(given)?;
    let length: usize = given.next("length")?.unwrap_or(255);
    let killwords = given.next("killwords")?.unwrap_or(false);
    let end = given.text("end")?.unwrap_or_else(|| "...".to_owned());
    let leeway: usize = given.next("leeway")?.unwrap_or(5);
    given.finish()?;
    let text = value.as_str();
    let Some(room) = length.checked_sub(end.chars().count()) else {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("length is {length}, which is less than that of end")));
    };
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(value.preserve_safety(text.to_owned()));
    }
    let kept: String = text.chars().take(room).collect();
    let kept = if killwords { &kept[..] } else { kept.rsplit_once(' ').map_or(&kept[..], |(words, _)| words) };
    Ok(value.preserve_safety(format!("{kept}{end}")))
}

/// Python's `quote`; a space becomes `+` in a query.
fn quoted(text: &str, query: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn urlencode(value: &Value) -> Result<String, Error> {
    let pairs: Vec<(Value, Value)> = match value.kind() {
        ValueKind::Map => value.try_iter()?.checked().map(|key| key.and_then(|key| Ok((key.clone(), value.get_item(&key)?)))).collect::<Result<_, Error>>()?,
        ValueKind::Seq | ValueKind::Iterable => {
            let pair = |pair: Result<Value, Error>| pair.and_then(|pair| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?)));
            value.try_iter()?.checked().map(pair).collect::<Result<_, Error>>()?
        }
        _ => return Ok(quoted(&value.to_string(), false)),
    };
    let encoded: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", quoted(&key.to_string(), true), quoted(&value.to_string(), true))).collect();
    Ok(encoded.join("&"))
}

fn urlize(value: StringInput<'_>, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut given = Arguments::new(given)?;
    let limit: Option<usize> = given.next("trim_url_limit")?;
    let nofollow = given.next("nofollow")?.unwrap_or(false);
    let target = given.text("target")?.unwrap_or_default();
    let rel = given.text("rel")?.unwrap_or_default();
    given.finish()?;
    let mut rels: Vec<&str> = rel.split_whitespace().chain(["noopener"]).chain(nofollow.then_some("nofollow")).collect();
    rels.sort_unstable();
    rels.dedup();
    let target = if target.is_empty() { String::new() } else { format!(" target=\"{}\"", escaped(&target)) };
    let attributes = format!(" rel=\"{}\"{target}", escaped(&rels.join(" ")));
    let text = if value.is_safe() { value.as_str().to_owned() } else { escaped(value.as_str()) };
    let mut out = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        out.push_str(&linked(bare, limit, &attributes));
        out.push_str(&word[bare.len()..]);
    }
    Ok(Value::from_safe_string(out))
}

/// One escaped word as a link, if it is an address.
fn linked(word: &str, limit: Option<usize>, attributes: &str) -> String {
    let mut start = 0;
    for opening in ["(", "&lt;"] {
        if word[start..].starts_with(opening) {
            start += opening.len();
        }
    }
    let mut end = word.len();
    while let Some(closing) = [".", ",", ")", "\n", "&gt;", ";"]
        .into_iter()
        .find(|closing| word[start..end].ends_with(closing) && !(*closing == ";" && word[start..end].contains('&')))
    {
        end -= closing.len();
    }
    let middle = &word[start..end];
    let shown = match limit {
        Some(limit) if middle.chars().count() > limit => format!("{}...", middle.chars().take(limit).collect::<String>()),
        _ => middle.to_owned(),
    };
    let mail =
        middle.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.starts_with('.') && !middle.contains([':', '/']));
    let href = if middle.starts_with("http://") || middle.starts_with("https://") {
        middle.to_owned()
    } else if middle.starts_with("www.") {
        format!("https://{middle}")
    } else if mail {
        return format!("{}<a href=\"mailto:{middle}\">{middle}</a>{}", &word[..start], &word[end..]);
    } else {
        return word.to_owned();
    };
    format!("{}<a href=\"{href}\"{attributes}>{shown}</a>{}", &word[..start], &word[end..])
}

fn wordcount(value: StringInput<'_>) -> usize {
    value.as_str().split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).count()
}

fn wordwrap(value: StringInput<'_>, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut given = Arguments::new(given)?;
    let width = given.next("width")?.unwrap_or(79).max(1);
    let break_long_words = given.next("break_long_words")?.unwrap_or(true);
    let newline = given.text("wrapstring")?.unwrap_or_else(|| "\n".to_owned());
    let break_on_hyphens = given.next("break_on_hyphens")?.unwrap_or(true);
    given.finish()?;
    let wrapped: Vec<String> = value.as_str().lines().map(|line| wrap(line, width, break_long_words, break_on_hyphens).join(&newline)).collect();
    Ok(value.preserve_safety(wrapped.join(&newline)))
}

/// Python's `textwrap.wrap` of one line, blanks kept inside lines and dropped at their ends.
fn wrap(line: &str, width: usize, break_long_words: bool, break_on_hyphens: bool) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let mut lines = Vec::new();
    let mut current = String::new();
    for chunk in chunks(line, break_on_hyphens) {
        let mut chunk = chunk;
        if length(&current) + length(chunk) > width {
            if chunk.trim().is_empty() {
                continue;
            }
            while break_long_words && length(chunk) > width {
                let room = match width.saturating_sub(length(&current)) {
                    0 => {
                        lines.push(std::mem::take(&mut current).trim_end().to_owned());
                        continue;
                    }
                    room => room,
                };
                let cut = chunk.char_indices().nth(room).map_or(chunk.len(), |(at, _)| at);
                lines.push(format!("{current}{}", &chunk[..cut]));
                current.clear();
                chunk = &chunk[cut..];
            }
            if length(&current) + length(chunk) > width && !current.is_empty() {
                lines.push(std::mem::take(&mut current).trim_end().to_owned());
            }
        }
        if !(current.is_empty() && !lines.is_empty() && chunk.trim().is_empty()) {
            current.push_str(chunk);
        }
    }
    if !current.trim_end().is_empty() || lines.is_empty() {
        lines.push(current.trim_end().to_owned());
    }
    lines
}

/// Words, blanks, and the parts of words that hyphens allow to break.
fn chunks(line: &str, break_on_hyphens: bool) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    for (at, c) in line.char_indices() {
        let edge = match before {
            Some(b) => b.is_whitespace() != c.is_whitespace() || (break_on_hyphens && b == '-' && c.is_alphabetic() && at >= start + 2),
            None => false,
        };
        if edge {
            chunks.push(&line[start..at]);
            start = at;
        }
        before = Some(c);
    }
    if start < line.len() {
        chunks.push(&line[start..]);
    }
    chunks
}

fn xmlattr(value: &Value, autospace: Option<bool>) -> Result<Value, Error> {
    if value.kind() != ValueKind::Map {
        return Err(Error::new(ErrorKind::InvalidOperation, "xmlattr takes a dict: {{ {'class': 'x'}|xmlattr }}"));
    }
    let mut out = String::new();
    for key in value.try_iter()?.checked() {
        let key = key?;
        let item = value.get_item(&key)?;
        if item.is_none() || item.is_undefined() {
            continue;
        }
        let name = key.to_string();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '=')) {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("{name:?} is no name for an attribute")));
        }
        let space = if out.is_empty() && !autospace.unwrap_or(true) { "" } else { " " };
        out.push_str(&format!("{space}{}=\"{}\"", escaped(&name), escaped(&item.to_string())));
    }
    Ok(Value::from_safe_string(out))
}

#[cfg(test)]
#[path = "jinja_tests.rs"]
mod tests;
