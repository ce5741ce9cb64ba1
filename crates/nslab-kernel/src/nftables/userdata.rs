//! What makers of rules and sets note on them.

use super::data::Data;

/// Notes on a table, chain, rule, set or element, in the form that nft writes and reads: a run of entries, each one byte of type,
/// one byte of length, and content (libnftnl, `include/udata.h`). The kernel keeps them and looks at none.
///
/// nft passes over types that it does not know, so nslab's own entry ([`UserData::OURS`]) does not disturb it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserData {
    entries: Vec<(u8, Vec<u8>)>,
}

impl UserData {
    /// The most bytes that the kernel takes of all entries (`NFT_USERDATA_MAXLEN`).
    pub const MAX_LEN: usize = 256;
    /// The type of a rule's or element's comment, a text with a terminating zero (`NFTNL_UDATA_RULE_COMMENT`,
    /// `NFTNL_UDATA_SET_ELEM_COMMENT`).
    pub const COMMENT: u8 = 0;
    /// The type of a set's comment (`NFTNL_UDATA_SET_COMMENT`).
    pub const SET_COMMENT: u8 = 7;
    /// The type of nslab's own entry: what is meant, as text.
    pub const OURS: u8 = 0xd5;

    /// Nothing noted.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The entries in `data`, up to the first that is cut off.
    pub fn parse(data: &[u8]) -> Self {
        let mut entries = Vec::new();
        let mut rest = data;
        while let Some((&[kind, len], after)) = rest.split_first_chunk::<2>() {
            let Some((content, after)) = after.split_at_checked(usize::from(len)) else { break };
            entries.push((kind, content.to_vec()));
            rest = after;
        }
        Self { entries }
    }

    /// The content of the first entry of this type.
    pub fn get(&self, kind: u8) -> Option<&[u8]> {
        self.entries.iter().find(|(other, _)| *other == kind).map(|(_, content)| &content[..])
    }

    /// Adds an entry; what is too long is cut at 255 bytes.
    #[must_use]
    pub fn with(mut self, kind: u8, content: &[u8]) -> Self {
        self.entries.push((kind, content[..content.len().min(255)].to_vec()));
        self
    }

    /// Adds an entry of four bytes in the machine's order.
    #[must_use]
    pub fn with_u32(self, kind: u8, content: u32) -> Self {
        self.with(kind, &content.to_ne_bytes())
    }

    /// Adds a comment on a rule or element, which nft shows; what is longer than nft's 128 bytes is cut at a character.
    #[must_use]
    pub fn with_comment(self, comment: &str) -> Self {
        self.with_text(Self::COMMENT, comment, 127)
    }

    /// Adds what nslab means by the object; what is longer than 200 bytes is cut at a character.
    #[must_use]
    pub fn with_intent(self, intent: &str) -> Self {
        self.with_text(Self::OURS, intent, 200)
    }

    fn with_text(self, kind: u8, text: &str, most: usize) -> Self {
        let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        let mut content = text.as_bytes()[..end].to_vec();
        content.push(0);
        self.with(kind, &content)
    }

    /// The text of the first entry of this type.
    pub fn text(&self, kind: u8) -> Option<&str> {
        let content = self.get(kind)?;
        std::str::from_utf8(content.strip_suffix(&[0]).unwrap_or(content)).ok()
    }

    /// A rule's or element's comment.
    pub fn comment(&self) -> Option<&str> {
        self.text(Self::COMMENT)
    }

    /// What nslab means by the object, if nslab made it.
    pub fn intent(&self) -> Option<&str> {
        self.text(Self::OURS)
    }

    /// As bytes for the kernel.
    pub fn to_data(&self) -> Data {
        let mut bytes = Vec::new();
        for (kind, content) in &self.entries {
            bytes.extend([*kind, u8::try_from(content.len()).unwrap_or(u8::MAX)]);
            bytes.extend_from_slice(content);
        }
        Data::from(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_are_written() {
        let noted = UserData::new().with_comment("web ↦ app").with_intent("fw.yaml:12").with_u32(1, 7);
        let data = noted.to_data();
        assert_eq!(&data[..2], [0, 12]);
        let read = UserData::parse(&data);
        assert_eq!(read, noted);
        assert_eq!((read.comment(), read.intent()), (Some("web ↦ app"), Some("fw.yaml:12")));
        assert_eq!(UserData::parse(&data[..data.len() - 1]).get(1), None);
        assert_eq!(UserData::parse(&[9]), UserData::new());
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let noted = UserData::new().with_comment(&"€".repeat(100));
        assert_eq!(noted.comment(), Some("€".repeat(42).as_str()));
        assert!(UserData::parse(&noted.to_data()).comment().is_some());
    }
}
