//! Mail addresses, as settings and components write them.

use lettre::Address;
use lettre::message::Mailbox;

/// An address that is none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text:?} is no mail address ({why}); write name@example.org or Name <name@example.org>")]
pub struct AddressError {
    /// What was written.
    pub text: String,
    /// What is wrong.
    pub why: String,
}

/// `name@example.org`, `<name@example.org>` or `Any Name, quoted or not <name@example.org>`. International domains are made
/// ASCII (`bücher.example` is `xn--bcher-kva.example`), which every server understands.
///
/// # Errors
/// There is no address in it.
pub fn mailbox(text: &str) -> Result<Mailbox, AddressError> {
    let wrong = |why: &str| AddressError { text: text.to_owned(), why: why.to_owned() };
    let trimmed = text.trim();
    let (name, address) = match trimmed.strip_suffix('>') {
        Some(rest) => rest.rsplit_once('<').ok_or_else(|| wrong("there is no <"))?,
        None => ("", trimmed),
    };
    if text.contains(['\r', '\n', '\0']) {
        return Err(wrong("it contains a line break"));
    }
    let (user, domain) = address.trim().rsplit_once('@').ok_or_else(|| wrong("there is no @"))?;
    let domain = if domain.is_ascii() { domain.to_owned() } else { url::Host::parse(domain).map_err(|e| wrong(&e.to_string()))?.to_string() };
    let domain = domain.strip_suffix('.').unwrap_or(&domain);
    // Dots where RFC 5321 has none are the same mailbox between quotes; people have such addresses.
    let atoms = user.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    let odd_dots = atoms && (user.starts_with('.') || user.ends_with('.') || user.contains(".."));
    let user = if odd_dots { format!("\"{user}\"") } else { user.to_owned() };
    let address = Address::new(user, domain).map_err(|e| wrong(&e.to_string()))?;
    let name = unquoted(name.trim());
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
}

/// Without the quotes of RFC 5322, if it has them.
fn unquoted(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) else { return name.to_owned() };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Whether an address needs a server that offers SMTPUTF8.
pub(super) fn is_international(address: &Address) -> bool {
    !AsRef::<str>::as_ref(address).is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for (text, name, address) in [
            ("a@example.org", None, "a@example.org"),
            (" <a@example.org> ", None, "a@example.org"),
            ("buildbot@localhost", None, "buildbot@localhost"),
            ("Jörg Müller, CI <j@example.org>", Some("Jörg Müller, CI"), "j@example.org"),
            ("\"Mü \\\"x\\\" <y>\" <j@example.org>", Some("Mü \"x\" <y>"), "j@example.org"),
            ("j@bücher.example", None, "j@xn--bcher-kva.example"),
            ("jörg@example.org", None, "jörg@example.org"),
            ("a..b@example.org", None, "\"a..b\"@example.org"),
            (".a.@example.org.", None, "\".a.\"@example.org"),
        ] {
            let mailbox = mailbox(text).unwrap();
            assert_eq!((mailbox.name.as_deref(), mailbox.email.to_string().as_str()), (name, address), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in ["", "nobody", "a@", "@b", "a b@example.org", "x a@b>", "a@example.org\r\nRCPT TO:<b@c>", "a@b<c", "a@exa mple.org", "<a@b> c"] {
            assert!(mailbox(text).is_err(), "{text}");
        }
    }
}
