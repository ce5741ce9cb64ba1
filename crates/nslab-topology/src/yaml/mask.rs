//! `${…}` in the unquoted text of flow collections.
//!
//! YAML ends unquoted text in `[…]` and `{…}` at a brace, so `[r${i}, lan]` would need quotes. The braces of
//! `${…}` are hidden from the YAML parser behind two characters that the file doesn't use, one for one, so that
//! places stay what they are, and shown again in every text it returns.

use std::borrow::Cow;

/// The two characters that stand for the braces; `None` if nothing is hidden.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask(Option<(char, char)>);

impl Mask {
    /// Hides the braces of every `${…}` that stands on one line and holds no braces or quotes itself.
    pub(super) fn hide(source: &str) -> (Self, Cow<'_, str>) {
        if !source.contains("${") {
            return (Self(None), Cow::Borrowed(source));
        }
        let mut unused = ('\u{e000}'..='\u{f8ff}').filter(|&c| !source.contains(c));
        let (Some(open), Some(close)) = (unused.next(), unused.next()) else {
            return (Self(None), Cow::Borrowed(source));
        };
        let mut hidden = String::with_capacity(source.len() + source.len() / 8);
        let mut rest = source;
        while let Some(at) = rest.find("${") {
            hidden.push_str(&rest[..=at]);
            rest = &rest[at + 2..];
            match rest.find(['{', '}', '\n', '"', '\'']) {
                Some(end) if rest[end..].starts_with('}') => {
                    hidden.push(open);
                    hidden.push_str(&rest[..end]);
                    hidden.push(close);
                    rest = &rest[end + 1..];
                }
                _ => hidden.push('{'),
            }
        }
        hidden.push_str(rest);
        (Self(Some((open, close))), Cow::Owned(hidden))
    }

    /// Shows them again.
    pub(super) fn show(self, text: &str) -> String {
        match self.0 {
            Some((open, close)) if text.contains([open, close]) => {
                text.replace(open, "{").replace(close, "}")
            }
            _ => text.to_owned(),
        }
    }
}
