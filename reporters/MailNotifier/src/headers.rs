//! `extraHeaders`.

use std::collections::BTreeMap;

use reporter_sdk::cut;
use reporter_sdk::interpolate::Values;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::smtp;
use reporter_sdk::subject::one_line;

/// Headers that are made from other settings, or by the host.
const MADE: [&str; 12] = ["from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version", "sender", "auto-submitted", "return-path", "received"];

/// Bytes of a name that the host takes.
const MOST_NAME: usize = 76;

/// Headers of one's own: those of threads and lists come on top.
const MOST: usize = smtp::MOST_HEADERS - 10;

/// The compiled `extraHeaders`.
#[derive(Debug, Default)]
pub struct Headers(Vec<(Interpolate, Interpolate)>);

impl Headers {
    /// Compiles.
    ///
    /// # Errors
    ///
    /// Names that cannot be headers, or that are made otherwise.
    pub fn compile(headers: BTreeMap<String, Interpolate>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        if headers.len() > MOST {
            problems.add("/extraHeaders", format!("a mail has {} headers at most, {MOST} of them of your own", smtp::MOST_HEADERS));
        }
        let mut compiled = Vec::new();
        for (name, value) in headers {
            let at = reporter_sdk::settings::pointer("/extraHeaders", &name);
            match Interpolate::of_setting(&name) {
                Ok(name_) if name_.is_static() => match refuse(&name) {
                    Some(why) => problems.add(at, why),
                    None => compiled.push((name_, value)),
                },
                Ok(name) => compiled.push((name, value)),
                Err(error) => problems.add(at, error.to_string()),
            }
        }
        problems.or(Self(compiled))
    }

    /// The headers for a build or worker. A name that turns out to be none is left out, with a line in the log.
    ///
    /// # Errors
    ///
    /// If a value does not fit its conversion.
    pub fn render(&self, values: &dyn Values) -> Result<Vec<(String, String)>, Failure> {
        let mut rendered = Vec::new();
        for (name, value) in &self.0 {
            let name = name.render(values)?;
            match refuse(&name) {
                Some(why) => log(Level::Warn, &format!("extraHeaders: {why}; left out")),
                None => rendered.push((name, one_line(&value.render(values)?))),
            }
        }
        Ok(rendered)
    }
}

fn refuse(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        Some(format!("{name:?} cannot be a header's name: write X-Something"))
    } else if name.len() > MOST_NAME {
        Some(format!("{:?} has {} bytes, {MOST_NAME} are the most of a header's name", cut::to_chars(name, 60), name.len()))
    } else if lower == "subject" {
        Some("the subject is the setting subject, or that of messageFormatter".into())
    } else if MADE.contains(&lower.as_str()) || lower.starts_with("content-") {
        Some(format!("{name} is made from the other settings"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names() {
        for name in ["Subject", "TO", "Content-Type", "Message-Id", "Auto-Submitted", "X: Y", "", "X Y", "Ä", "%(prop:a"] {
            assert!(Headers::compile(BTreeMap::from([(name.to_owned(), Interpolate::literal("v"))])).is_err(), "{name}");
        }
        let named = |name: String| Headers::compile(BTreeMap::from([(name, Interpolate::literal("v"))]));
        assert!(named("X".repeat(76)).is_ok());
        assert!(named("X".repeat(77)).unwrap_err().to_string().contains("has 77 bytes, 76 are the most"));
        let long = named(format!("X-%(kw:x:-{})s", "Z".repeat(80))).unwrap();
        assert_eq!(long.render(&()).unwrap(), []);
        let headers = Headers::compile(BTreeMap::from([("X-%(kw:x:-Z)s".to_owned(), Interpolate::literal("a\r\nBcc: b"))])).unwrap();
        assert_eq!(headers.render(&()).unwrap(), [("X-Z".to_owned(), "a Bcc: b".to_owned())]);
    }
}
