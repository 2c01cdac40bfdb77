//! Puts values in the place of placeholders, encoded for where they stand.
//!
//! | where | encoding of the text and the values in it |
//! |---|---|
//! | [`Encode::Header`] | as it is; CR, LF and NUL are refused |
//! | [`Encode::Segment`] | percent-encoded, `/` and `%` included |
//! | [`Encode::Component`] | `application/x-www-form-urlencoded`: query and form names and values |
//! | [`Encode::Credential`] | as it is; CR, LF and NUL are refused |
//! | [`Encode::Key`] | as it is |

use url::form_urlencoded;

use super::{PLACEHOLDER_LEN, PLACEHOLDER_PREFIX, Plain, Vault, VaultError};

/// What a text is going to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encode {
    /// A header's value.
    Header,
    /// One segment of a path.
    Segment,
    /// A name or value of a query or a form.
    Component,
    /// A user name or a password.
    Credential,
    /// A private key: lines.
    Key,
}

/// Why a text cannot be sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubstituteError {
    /// A secret is not given out.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// CR, LF or NUL where a line must not end.
    #[error("a header, a user name or a password contains a line break or NUL; if it comes from a secret, its file must hold one line")]
    LineBreak,
}

/// The text with every placeholder of this vault replaced, and all of it encoded. Placeholders may stand
/// anywhere in it (`bot…`); those of other entries mean nothing and stay.
///
/// # Errors
/// A placeholder is not granted to `endpoint` or cannot be read, or the result does not fit its place.
pub fn substitute(text: &str, endpoint: &str, vault: &dyn Vault, place: Encode) -> Result<String, SubstituteError> {
    encode(&revealed(text, endpoint, vault)?, place)
}

/// The text with the secrets' names in place of their placeholders, which are each entry's own: `{secret github}`.
pub fn named(text: &str, vault: &dyn Vault) -> String {
    let name = |placeholder: &str| Ok(vault.name(placeholder).map(|name| Plain::new(format!("{{secret {name}}}"))));
    replaced(text, name).unwrap_or_else(|_| text.to_owned())
}

fn revealed(text: &str, endpoint: &str, vault: &dyn Vault) -> Result<String, VaultError> {
    replaced(text, |placeholder| vault.reveal(endpoint, placeholder))
}

fn replaced(text: &str, by: impl Fn(&str) -> Result<Option<Plain>, VaultError>) -> Result<String, VaultError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PLACEHOLDER_PREFIX) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        // A boundary inside a character, or a text that ends too early, is no placeholder.
        let value = match from.split_at_checked(PLACEHOLDER_LEN) {
            Some((placeholder, after)) => by(placeholder)?.map(|value| (value, after)),
            None => None,
        };
        rest = match &value {
            Some((value, after)) => {
                out.push_str(value.expose());
                after
            }
            None => {
                out.push_str(PLACEHOLDER_PREFIX);
                &from[PLACEHOLDER_PREFIX.len()..]
            }
        };
    }
    out.push_str(rest);
    Ok(out)
}

/// A text without placeholders, encoded for its place.
///
/// # Errors
/// CR, LF or NUL in a header or a credential.
pub fn encode(text: &str, place: Encode) -> Result<String, SubstituteError> {
    match place {
        Encode::Header | Encode::Credential if text.contains(['\r', '\n', '\0']) => Err(SubstituteError::LineBreak),
        Encode::Header | Encode::Credential | Encode::Key => Ok(text.to_owned()),
        Encode::Segment => Ok(percent_encoded(text.as_bytes())),
        Encode::Component => Ok(form_urlencoded::byte_serialize(text.as_bytes()).collect()),
    }
}

/// All but the unreserved characters of RFC 3986 and those of its `pchar` that no server reads
/// as something else (`+` is a space to some).
fn percent_encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~!$&()*,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "RHSECRETAAAAAAAAAAAAAAAAAAAAAAAA";

    struct Fixed(&'static str);

    impl Vault for Fixed {
        fn reveal(&self, _: &str, placeholder: &str) -> Result<Option<Plain>, VaultError> {
            Ok((placeholder == ONE).then(|| Plain::new(self.0)))
        }
        fn values(&self) -> Vec<Plain> {
            vec![Plain::new(self.0)]
        }
    }

    #[test]
    fn values_are_encoded_for_their_place() {
        let vault = Fixed("12:a/b c%+é");
        let at = |place| substitute(&format!("bot{ONE}/x"), "api", &vault, place).unwrap();
        assert_eq!(at(Encode::Header), "bot12:a/b c%+é/x");
        assert_eq!(at(Encode::Credential), "bot12:a/b c%+é/x");
        assert_eq!(at(Encode::Segment), "bot12:a%2Fb%20c%25%2B%C3%A9%2Fx");
        assert_eq!(at(Encode::Component), "bot12%3Aa%2Fb+c%25%2B%C3%A9%2Fx");
    }

    #[test]
    fn line_breaks_are_refused_where_a_line_ends() {
        for value in ["a\nb", "a\rb", "a\0b"] {
            for place in [Encode::Header, Encode::Credential] {
                assert!(matches!(substitute(ONE, "api", &Fixed(value), place), Err(SubstituteError::LineBreak)));
            }
            assert!(substitute(ONE, "api", &Fixed(value), Encode::Segment).is_ok());
        }
    }

    #[test]
    fn placeholders_side_by_side_and_almost_placeholders() {
        let vault = Fixed("v");
        let text = format!("RHSECRET{ONE}{ONE}RHSECRETé");
        assert_eq!(substitute(&text, "api", &vault, Encode::Header).unwrap(), "RHSECRETvvRHSECRETé");
    }

    proptest! {
        #[test]
        fn any_text_without_placeholders_stays(text in "(RHSECRET|[a-zé]|\\PC){0,20}") {
            prop_assume!(!text.contains(ONE));
            prop_assert_eq!(substitute(&text, "api", &Fixed("v"), Encode::Header).unwrap(), text);
        }
    }
}
