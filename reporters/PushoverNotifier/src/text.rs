//! What a message may be (<https://pushover.net/api#limits>).

use reporter_sdk::cut;
use reporter_sdk::notice::Notice;

/// Characters of a title.
const MOST_TITLE: usize = 250;
/// Characters of a message.
const MOST_MESSAGE: usize = 1_024;
/// Characters of the link beside a message.
pub const MOST_LINK: usize = 512;

/// The texts of a message.
#[derive(Debug, PartialEq)]
pub struct Text {
    pub title: String,
    pub message: String,
    pub html: bool,
    /// The link beside the message, where it does not stand in the text any more.
    pub link: Option<String>,
}

/// Cuts what is too long. HTML becomes text by that, so that no tag is cut; and if `may_link`, the link goes beside it. It also becomes text
/// unless it `may_be_html`.
pub fn fit(mut notice: Notice, may_link: bool, may_be_html: bool) -> Text {
    let title = cut::to_chars(&notice.title, MOST_TITLE).into_owned();
    let as_text = notice.html && !may_be_html;
    if as_text {
        notice = Notice { text: plain(&notice.text), html: false, ..notice };
    }
    let is_long = notice.text.chars().count() > MOST_MESSAGE;
    if !is_long && (!as_text || notice.text.is_empty()) {
        return Text { title, message: notice.text, html: notice.html, link: None };
    }
    let text = if notice.html { plain(&notice.text) } else { notice.text };
    let link = Some(notice.link).filter(|link| !link.is_empty());
    let beside = link.clone().filter(|link| may_link && link.chars().count() <= MOST_LINK);
    // Where nothing can stand beside it, the link stands below the text.
    let below = link.filter(|link| !may_link && !text.contains(link.as_str())).map(|link| format!("{text}\n{link}"));
    let text = below.filter(|text| text.chars().count() <= MOST_MESSAGE).unwrap_or(text);
    Text { title, message: cut::to_chars(&text, MOST_MESSAGE).into_owned(), html: false, link: beside }
}

/// HTML without its tags: those that end a line do, and references are the characters that they stand for.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(&characters(before));
        let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
        let name: String = tag.chars().take_while(|c| *c == '/' || c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
        if ["br", "br/", "/p", "/div", "/li", "/tr", "/h1", "/h2", "/h3", "/h4", "/pre"].contains(&name.as_str()) && !after.starts_with('\n') {
            text.push('\n');
        }
        rest = after;
    }
    text.push_str(&characters(rest));
    text.trim().to_owned()
}

/// Character references (`&amp;`, `&#34;`, `&#x22;`), each once; what is none stays.
fn characters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once('&') {
        out.push_str(before);
        match reference.split_once(';').and_then(|(name, after)| Some((character(name)?, after))) {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = reference;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The names are those of XML, and those that people write in messages.
fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(number.ok()?).filter(|c| *c != '\0');
    }
    let names = [
        ("lt", '<'),
        ("gt", '>'),
        ("amp", '&'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("hellip", '…'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("middot", '·'),
    ];
    names.into_iter().find(|(known, _)| *known == name).map(|(_, character)| character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: String, html: bool) -> Notice {
        Notice { title: "t".repeat(300), text, html, words: Vec::new(), link: "http://ci/1".into(), about: String::new() }
    }

    #[test]
    fn what_fits_stays() {
        let text = fit(notice("<b>ü</b>".into(), true), true, true);
        assert_eq!((text.title.chars().count(), text.message.as_str(), text.html, text.link), (250, "<b>ü</b>", true, None));
    }

    #[test]
    fn what_is_too_long_is_cut_and_keeps_its_link() {
        let text = fit(notice(format!("<a href=\"http://ci/1\">linux</a> &lt;x&gt; &amp;lt; {}", "ü".repeat(1_100)), true), true, true);
        assert!(text.message.starts_with("linux <x> &lt; ü") && text.message.ends_with('…'), "{}", text.message);
        assert_eq!((text.message.chars().count(), text.html, text.link.as_deref()), (1_024, false, Some("http://ci/1")));
        assert_eq!(fit(notice("x".repeat(2_000), false), false, true).link, None);
    }

    #[test]
    fn html_as_text() {
        for (html, text) in [
            ("<p>a &#34;b&#34; &#x26;&#X2F;</p><p>c&nbsp;&hellip;</p>", "a \"b\" &/\nc …"),
            ("one<br>\ntwo<BR/>three <i>four</i>", "one\ntwo\nthree four"),
            ("&amp;lt; &unknown; &; & &#; &#xD800; &#0; AT&T", "&lt; &unknown; &; & &#; &#xD800; &#0; AT&T"),
            ("unclosed <a href=", "unclosed"),
        ] {
            let fitted = fit(notice(html.into(), true), true, false);
            assert_eq!((fitted.message.as_str(), fitted.html), (text, false), "{html}");
        }
    }
}
