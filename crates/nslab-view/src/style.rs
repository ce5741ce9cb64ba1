//! What the text is to be shown on, and the few means to use it.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// What the text is to be shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colour and bold, as escape sequences (ECMA-48).
    pub color: bool,
    /// Columns of the terminal. Where text can be broken or shortened in a sensible way it is; addresses and names are
    /// never cut.
    pub width: usize,
    /// Characters beyond ASCII, for lines and signs.
    pub unicode: bool,
}

impl Default for Style {
    /// Plain text of 80 columns, with lines.
    fn default() -> Self {
        Self { color: false, width: 80, unicode: true }
    }
}

/// What a piece of text is, which gives it its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Heading,
    Node,
    Switch,
    Good,
    Bad,
    Faint,
}

impl Style {
    /// The text in the colour of its role.
    pub(crate) fn paint<'a>(&self, role: Role, text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        let text = text.into();
        if !self.color || text.is_empty() {
            return text;
        }
        // Select Graphic Rendition (ECMA-48 8.3.117).
        let code = match role {
            Role::Heading | Role::Node => "1",
            Role::Switch => "1;36",
            Role::Good => "32",
            Role::Bad => "31",
            Role::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m").into()
    }

    /// The text in the colour of what is as it should be.
    pub fn good(&self, text: &str) -> String {
        self.paint(Role::Good, text).into_owned()
    }

    /// The text in the colour of what is not.
    pub fn bad(&self, text: &str) -> String {
        self.paint(Role::Bad, text).into_owned()
    }

    /// One of two texts, by what can be shown.
    pub(crate) fn sign<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }
}

/// Columns that the text takes, without those escape sequences that [`Style::paint`] writes.
pub(crate) fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            characters.by_ref().find(|&character| character == 'm');
        } else {
            columns += character.width().unwrap_or(0);
        }
    }
    columns
}

/// The text with blanks behind it up to `columns`.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text with blanks before it up to `columns`.
pub(crate) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_columns_not_bytes() {
        for (text, columns) in
            [("", 0), ("red", 3), ("grün", 4), ("─┬─", 3), ("開発", 4), ("\x1b[1;36mbr0\x1b[0m", 3)]
        {
            assert_eq!(width(text), columns, "{text}");
        }
        assert_eq!(left("開", 4), "開  ");
        assert_eq!(right("✗", 3), "  ✗");
        assert_eq!(left("too long", 3), "too long");
    }

    #[test]
    fn paints_only_in_colour() {
        let plain = Style::default();
        assert_eq!(plain.paint(Role::Bad, "x"), "x");
        let color = Style { color: true, ..plain };
        assert_eq!(color.paint(Role::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(color.paint(Role::Bad, ""), "");
    }
}
