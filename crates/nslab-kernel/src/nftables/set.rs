//! Sets and maps.

use serde::{Deserialize, Serialize};

use super::data::{Data, RawAttribute, Verdict};
use super::expr::{Expr, ObjectKind};
use super::flags::flags;

/// A set, or a map from keys to something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Its name, at most 255 bytes. One that is [anonymous](SetFlags::ANONYMOUS) is named by the kernel; within a transaction
    /// any name of its own serves for it.
    pub name: String,
    /// The kernel's number for it; 0 for one that is to be made.
    #[serde(default)]
    pub handle: u64,
    /// How it is.
    #[serde(default)]
    pub flags: SetFlags,
    /// What keys are, in nft's numbers ([`crate::nftables::datatype`]); the kernel only keeps it.
    pub key_type: u32,
    /// Bytes of a key.
    pub key_len: u32,
    /// What it has for each key.
    #[serde(default)]
    pub maps_to: MapsTo,
    /// Built for little memory rather than for speed (`NFT_SET_POL_MEMORY`).
    #[serde(default)]
    pub save_memory: bool,
    /// The most elements it may hold.
    #[serde(default)]
    pub size: Option<u32>,
    /// Bytes of each field of a key that is several values one after the other, each padded to a multiple of four.
    #[serde(default)]
    pub fields: Vec<u32>,
    /// After how many milliseconds elements go that say nothing themselves.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// How often, in milliseconds, elements that are over are swept up.
    #[serde(default)]
    pub gc_interval: Option<u32>,
    /// What comes with each element, as a counter.
    #[serde(default)]
    pub expressions: Vec<Expr>,
    /// What its maker notes on it ([`crate::nftables::UserData`]).
    #[serde(default)]
    pub user_data: Data,
    /// What it holds. As the kernel shows it in no order, this is sorted when it is read.
    #[serde(default)]
    pub elements: Vec<Element>,
    /// How the kernel keeps it, where it says so (Linux 6.16); not to be chosen.
    #[serde(default)]
    pub backend: Option<String>,
    /// What else the kernel tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RawAttribute>,
}

impl Set {
    /// An empty set of keys of this type and length.
    pub fn new(name: impl Into<String>, key_type: u32, key_len: u32) -> Self {
        Self {
            name: name.into(),
            handle: 0,
            flags: SetFlags::empty(),
            key_type,
            key_len,
            maps_to: MapsTo::Nothing,
            save_memory: false,
            size: None,
            fields: Vec::new(),
            timeout: None,
            gc_interval: None,
            expressions: Vec::new(),
            user_data: Data::empty(),
            elements: Vec::new(),
            backend: None,
            other: Vec::new(),
        }
    }

    /// Whether it exists only for the rule that looks into it.
    pub fn is_anonymous(&self) -> bool {
        self.flags.contains(SetFlags::ANONYMOUS)
    }

    /// Whether it maps keys to something.
    pub fn is_map(&self) -> bool {
        self.maps_to != MapsTo::Nothing
    }

    /// What it holds as ranges from the least to the greatest key, both included, each with the element that stands for it; of
    /// a set without intervals both are the same. Catch-all elements are left out.
    ///
    /// The kernel keeps a range of single values as an element at its start and another, marked
    /// [`ElementFlags::INTERVAL_END`], at the value after its end; the last may lack where the range goes to the greatest
    /// value. `elements` must be sorted, as [`Set::sort`] leaves them.
    pub fn ranges(&self) -> Vec<(Data, Data, &Element)> {
        let pairs = self.flags.contains(SetFlags::INTERVAL) && self.fields.is_empty();
        let mut ranges = Vec::with_capacity(self.elements.len());
        let mut elements = self.elements.iter().peekable();
        while let Some(element) = elements.next() {
            let Some(first) = &element.key else { continue };
            if element.flags.contains(ElementFlags::INTERVAL_END) {
                continue;
            }
            let last = match (&element.key_end, pairs) {
                (Some(last), _) => last.clone(),
                (None, false) => first.clone(),
                // The next element is the end, or the start of the range that follows without a gap.
                (None, true) => match elements.peek().and_then(|next| next.key.as_ref()) {
                    Some(next) => one_less(next),
                    None => Data::from(vec![0xff; first.len()]),
                },
            };
            ranges.push((first.clone(), last, element));
        }
        ranges
    }

    /// Puts the elements into the order of their keys; the end of a range before the start of the one that follows.
    pub fn sort(&mut self) {
        self.elements.sort_by(|a, b| {
            let end = |element: &Element| !element.flags.contains(ElementFlags::INTERVAL_END);
            // A catch-all element has no key; it is last.
            (a.key.is_none(), &a.key, end(a), &a.key_end).cmp(&(b.key.is_none(), &b.key, end(b), &b.key_end))
        });
    }
}

/// The value before this one, as a number in network order.
fn one_less(value: &Data) -> Data {
    let mut bytes = value.to_vec();
    for byte in bytes.iter_mut().rev() {
        let (less, borrow) = byte.overflowing_sub(1);
        *byte = less;
        if !borrow {
            break;
        }
    }
    Data::from(bytes)
}

flags! {
    /// How a set is (`enum nft_set_flags`).
    SetFlags {
        /// It exists only for the rule that looks into it.
        ANONYMOUS = 0x1,
        /// Nothing is added once it is used.
        CONSTANT = 0x2,
        /// It holds ranges.
        INTERVAL = 0x4,
        /// It maps keys to values or verdicts; set by itself where [`Set::maps_to`] says so.
        MAP = 0x8,
        /// Elements may go after a time.
        TIMEOUT = 0x10,
        /// Packets may add to it.
        EVAL = 0x20,
        /// It maps keys to objects; set by itself where [`Set::maps_to`] says so.
        OBJECT = 0x40,
        /// Keys are several values one after the other.
        CONCAT = 0x80,
        /// Something comes with each element.
        EXPR = 0x100,
    }
}

/// What a map has for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapsTo {
    /// It is a set.
    #[default]
    Nothing,
    /// A verdict.
    Verdict,
    /// A value.
    Value {
        /// What it is, in nft's numbers ([`crate::nftables::datatype`]).
        kind: u32,
        /// Its length in bytes.
        len: u32,
    },
    /// An object.
    Object(ObjectKind),
}

/// An element of a set, as the kernel keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// The key, or the least of a range; none of an element that stands for all other keys.
    pub key: Option<Data>,
    /// The greatest key, in sets of several fields with ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_end: Option<Data>,
    /// How it is.
    #[serde(default, skip_serializing_if = "no_flags")]
    pub flags: ElementFlags,
    /// What a map has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ElementValue>,
    /// After how many milliseconds it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// In how many milliseconds it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// What comes with it, as a counter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expr>,
    /// What its maker notes on it, as a comment.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub user_data: Data,
    /// What else the kernel tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RawAttribute>,
}

fn is_empty(data: &Data) -> bool {
    data.is_empty()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn no_flags(flags: &ElementFlags) -> bool {
    flags.is_empty()
}

impl Element {
    /// An element with this key.
    pub fn new(key: impl Into<Data>) -> Self {
        Self {
            key: Some(key.into()),
            key_end: None,
            flags: ElementFlags::empty(),
            value: None,
            timeout: None,
            expires: None,
            expressions: Vec::new(),
            user_data: Data::empty(),
            other: Vec::new(),
        }
    }

    /// The end of a range: `key` is the first value that is not in it.
    pub fn interval_end(key: impl Into<Data>) -> Self {
        Self { flags: ElementFlags::INTERVAL_END, ..Self::new(key) }
    }

    /// An element that stands for all keys that no other stands for (Linux 5.13).
    pub fn catch_all() -> Self {
        Self { key: None, flags: ElementFlags::CATCHALL, ..Self::new(Data::empty()) }
    }

    /// This element, mapped to something.
    #[must_use]
    pub fn with_value(self, value: ElementValue) -> Self {
        Self { value: Some(value), ..self }
    }
}

flags! {
    /// How an element is (`enum nft_set_elem_flags`).
    ElementFlags {
        /// It is the first value after a range.
        INTERVAL_END = 0x1,
        /// It stands for all keys that no other stands for.
        CATCHALL = 0x2,
    }
}

/// What a map has for a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementValue {
    /// A verdict.
    Verdict(Verdict),
    /// A value.
    Value(Data),
    /// An object, by its name.
    Object(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_put_together() {
        let mut set = Set::new("s", 0, 2);
        set.flags = SetFlags::INTERVAL;
        set.elements = vec![
            Element::new([0xff, 0]),
            Element::interval_end([0, 20]),
            Element::new([0, 10]),
            Element::new([0, 20]),
            Element::interval_end([1, 0]),
            Element::catch_all(),
        ];
        set.sort();
        let ranges: Vec<_> = set.ranges().into_iter().map(|(first, last, _)| (first, last)).collect();
        let range = |a: [u8; 2], b: [u8; 2]| (Data::from(a), Data::from(b));
        let wanted = [range([0, 10], [0, 19]), range([0, 20], [0, 255]), range([255, 0], [255, 255])];
        assert_eq!(ranges, wanted);
        assert!(set.elements.last().unwrap().key.is_none());
    }
}
