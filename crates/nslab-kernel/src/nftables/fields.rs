//! Attributes taken one by one, so that what nobody took is known.

use super::abi::{NFTA_DATA_VALUE, NFTA_LIST_ELEM};
use super::data::{Data, RawAttribute, Register};
use crate::netlink::{Attribute, Attributes};

/// The most attributes of one object that are told apart; more make it an unknown one.
const MOST: usize = 24;
/// Attributes that only pad others to eight bytes (`NFTA_*_PAD`) have no content.
const fn is_padding(attribute: &Attribute<'_>) -> bool {
    attribute.payload.is_empty()
}

/// The attributes of one object.
pub(super) struct Fields<'a> {
    all: [Option<Attribute<'a>>; MOST],
    /// There is more than what `all` can hold, or one twice.
    more: Vec<Attribute<'a>>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(attributes: Attributes<'a>) -> Self {
        let mut fields = Self { all: [None; MOST], more: Vec::new() };
        for attribute in attributes {
            match fields.all.get_mut(usize::from(attribute.kind)) {
                Some(field @ None) => *field = Some(attribute),
                _ => fields.more.push(attribute),
            }
        }
        fields
    }

    /// Takes one out.
    pub(super) fn take(&mut self, kind: u16) -> Option<Attribute<'a>> {
        self.all.get_mut(usize::from(kind))?.take()
    }

    pub(super) fn u8(&mut self, kind: u16) -> Option<u8> {
        self.take(kind)?.u8()
    }

    pub(super) fn be16(&mut self, kind: u16) -> Option<u16> {
        self.take(kind)?.be16()
    }

    pub(super) fn be32(&mut self, kind: u16) -> Option<u32> {
        self.take(kind)?.be32()
    }

    pub(super) fn be64(&mut self, kind: u16) -> Option<u64> {
        self.take(kind)?.be64()
    }

    /// A text, if it is UTF-8.
    pub(super) fn text(&mut self, kind: u16) -> Option<String> {
        let attribute = self.take(kind)?;
        let text = attribute.text();
        // What was replaced would not be found again under its name.
        attribute.payload.starts_with(text.as_bytes()).then_some(text)
    }

    /// A name; what is not UTF-8 is replaced, so that whatever bears the name is shown under some name.
    pub(super) fn name(&mut self, kind: u16) -> Option<String> {
        Some(self.take(kind)?.text())
    }

    pub(super) fn bytes(&mut self, kind: u16) -> Option<Data> {
        Some(Data::from(self.take(kind)?.payload))
    }

    /// A register for data.
    pub(super) fn register(&mut self, kind: u16) -> Option<Register> {
        Register::from_number(self.be32(kind)?)
    }

    /// A register that need not be there; the outer none is one that cannot be.
    #[expect(clippy::option_option, reason = "absent is not wrong")]
    pub(super) fn register_if_any(&mut self, kind: u16) -> Option<Option<Register>> {
        match self.be32(kind) {
            None => Some(None),
            Some(number) => Register::from_number(number).map(Some),
        }
    }

    /// A value (`NFTA_DATA_VALUE` in a nest).
    pub(super) fn value(&mut self, kind: u16) -> Option<Data> {
        let mut inner = Fields::new(self.take(kind)?.nested());
        let value = inner.bytes(NFTA_DATA_VALUE)?;
        inner.is_spent().then_some(value)
    }

    /// The elements of a list (`NFTA_LIST_ELEM` in a nest); none if something else is in it.
    pub(super) fn list(&mut self, kind: u16) -> Option<Vec<Attribute<'a>>> {
        let list = self.take(kind)?.nested();
        list.map(|element| (element.kind == NFTA_LIST_ELEM).then_some(element)).collect()
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.all.iter().flatten().chain(&self.more).all(is_padding)
    }

    /// What is left, to be kept as it came.
    pub(super) fn rest(self) -> Vec<RawAttribute> {
        let raw = |attribute: &Attribute<'_>| RawAttribute {
            kind: attribute.kind,
            payload: Data::from(attribute.payload),
        };
        self.all.iter().flatten().chain(&self.more).filter(|one| !is_padding(one)).map(raw).collect()
    }
}
