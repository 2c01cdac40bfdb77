//! What can go out at all.

use super::super::{IrcEndpoint, IrcMessage};

/// Bytes of a text.
const TEXT: usize = 256 << 10;
/// Bytes of a target.
const TARGET: usize = 200;
/// Control characters that give a form: bold, colour, hex colour, reset, monospace, reverse, italics, strike, underline.
const FORMS: [char; 9] = ['\u{2}', '\u{3}', '\u{4}', '\u{f}', '\u{11}', '\u{16}', '\u{1d}', '\u{1e}', '\u{1f}'];

/// Checks an endpoint of a plan.
///
/// # Errors
/// In words.
pub fn check_endpoint(endpoint: &IrcEndpoint) -> Result<(), String> {
    if endpoint.host.is_empty() || endpoint.host.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/') {
        return Err(format!("its host {:?} is no host name", endpoint.host));
    }
    if let Some((host, port)) = with_port(&endpoint.host) {
        return Err(format!("its host has a port in it: write host = {host:?} and port = {port}"));
    }
    if endpoint.port == 0 {
        return Err("its port is 0: write the server's, often 6667, or 6697 with encryption".into());
    }
    word(&endpoint.nick, "nick")?;
    endpoint.nickserv.iter().try_for_each(|nickserv| word(nickserv, "nickserv"))?;
    endpoint.channels.iter().try_for_each(|channel| word(&channel.name, "channel"))?;
    if endpoint.certificate.is_some() != endpoint.key.is_some() {
        return Err("certificate and key go together".into());
    }
    if endpoint.line_rate.is_some_and(|rate| !(0.0..=60.0).contains(&rate)) {
        return Err("its line_rate is not from 0 to 60 seconds".into());
    }
    Ok(())
}

/// Checks a message.
///
/// # Errors
/// In words.
pub fn check_message(message: &IrcMessage) -> Result<(), String> {
    match message {
        IrcMessage::Say { target, text, .. } => {
            word(target, "target")?;
            if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\n' && !FORMS.contains(c)) {
                return Err(format!("its text has the control character {c:?}"));
            }
            if text.len() > TEXT {
                return Err(format!("its text has more than {TEXT} bytes"));
            }
            if text.lines().all(|line| line.trim().is_empty()) {
                return Err("its text is empty".into());
            }
            Ok(())
        }
        IrcMessage::Membership { channel, key, .. } => {
            word(channel, "channel")?;
            key.as_ref().map_or(Ok(()), |key| word(key, "key"))
        }
    }
}

/// Host and port, if a host's name has both. An IPv6 address has more colons, or brackets.
fn with_port(host: &str) -> Option<(&str, u16)> {
    let (name, port) = host.rsplit_once(':')?;
    let is_name = !name.contains(':') || name.ends_with(']');
    port.parse().ok().filter(|_| is_name).map(|port| (name, port))
}

/// Whether something can stand as one word in a line of IRC.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= TARGET && !text.starts_with(':') && !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == ',')
}

fn word(text: &str, what: &str) -> Result<(), String> {
    if is_word(text) {
        Ok(())
    } else {
        Err(format!("its {what} {text:?} is none: 1 to {TARGET} bytes, no blank, comma or control character, and no colon in front"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::IrcVerb;
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (host, found) in [("irc.example.org:6697", Some(("irc.example.org", 6_697))), ("[::1]:6697", Some(("[::1]", 6_697)))] {
            assert_eq!(with_port(host), found);
        }
        for host in ["irc.example.org", "::1", "[::1]", "2001:db8::7", "a:b"] {
            assert_eq!(with_port(host), None, "{host}");
        }
        let check = |host: &str, port: u16, nickserv: &str| {
            let settings = serde_json::json!({"host": host, "port": port, "nick": "b", "nickserv": nickserv});
            check_endpoint(&serde_json::from_value(settings).unwrap())
        };
        assert_eq!(check("h", 1, "NickServ@services.example.org"), Ok(()));
        assert!(check("h:6697", 6_667, "N").unwrap_err().contains("host = \"h\" and port = 6697"));
        assert!(check("h", 0, "N").unwrap_err().contains("6697 with encryption"));
        assert!(check("h", 1, "a b").unwrap_err().contains("nickserv"));
    }

    #[test]
    fn what_could_smuggle_a_command_is_refused() {
        let say = |target: &str, text: &str| check_message(&IrcMessage::Say { target: target.into(), verb: IrcVerb::Message, text: text.into() });
        assert_eq!(say("#c", "a\nb \u{3}04red\u{f}"), Ok(()));
        for (target, text) in [
            ("#c", "a\rQUIT"),
            ("#c", "a\0"),
            ("#c", "\u{1}VERSION\u{1}"),
            ("#c", ""),
            ("#c", " \n "),
            ("", "a"),
            ("a b", "x"),
            ("a,b", "x"),
            (":a", "x"),
            ("a\nb", "x"),
        ] {
            assert!(say(target, text).is_err(), "{target:?} {text:?}");
        }
        assert!(say("#c", &"x".repeat(TEXT + 1)).is_err());
        let join =
            |channel: &str, key: Option<&str>| check_message(&IrcMessage::Membership { channel: channel.into(), key: key.map(str::to_owned), joined: true });
        assert!(join("#c", Some("k")).is_ok() && join("#c", Some("k l")).is_err() && join("#a,#b", None).is_err());
    }
}
