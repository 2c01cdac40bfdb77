//! What a message may be (<https://pushover.net/api#limits>).

use reporter_sdk::cut;
use reporter_sdk::notice::Notice;

/// Characters of a title.
const MOST_TITLE: usize = 250;
/// Characters of a message.
const MOST_MESSAGE: usize = 1_024;
/// Characters of the link beside a message.
const MOST_LINK: usize = 512;

/// The texts of a message.
#[derive(Debug, PartialEq)]
pub struct Text {
    pub title: String,
    pub message: String,
    pub html: bool,
    /// The link beside the message, where it does not stand in it any more.
    pub link: Option<String>,
}

/// Cuts what is too long. HTML becomes text by that, so that no tag is cut; and if `may_link`, the link goes beside it.
pub fn fit(notice: Notice, may_link: bool) -> Text {
    let title = cut::to_chars(&notice.title, MOST_TITLE).into_owned();
    if notice.text.chars().count() <= MOST_MESSAGE {
        return Text { title, message: notice.text, html: notice.html, link: None };
    }
    let text = if notice.html { plain(&notice.text) } else { notice.text };
    let link = Some(notice.link).filter(|link| may_link && !link.is_empty() && link.chars().count() <= MOST_LINK);
    Text { title, message: cut::to_chars(&text, MOST_MESSAGE).into_owned(), html: false, link }
}

/// HTML without its tags.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: String, html: bool) -> Notice {
        Notice { title: "t".repeat(300), text, html, words: Vec::new(), link: "http://ci/1".into(), about: String::new() }
    }

    #[test]
    fn what_fits_stays() {
        let text = fit(notice("<b>ü</b>".into(), true), true);
        assert_eq!((text.title.chars().count(), text.message.as_str(), text.html, text.link), (250, "<b>ü</b>", true, None));
    }

    #[test]
    fn what_is_too_long_is_cut_and_keeps_its_link() {
        let text = fit(notice(format!("<a href=\"http://ci/1\">linux</a> &lt;x&gt; &amp;lt; {}", "ü".repeat(1_100)), true), true);
        assert!(text.message.starts_with("linux <x> &lt; ü") && text.message.ends_with('…'), "{}", text.message);
        assert_eq!((text.message.chars().count(), text.html, text.link.as_deref()), (1_024, false, Some("http://ci/1")));
        assert_eq!(fit(notice("x".repeat(2_000), false), false).link, None);
    }
}
