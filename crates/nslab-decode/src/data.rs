//! Bytes of which fewer may be at hand than there were.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A part of a packet: the bytes at hand, and how many it had on the wire.
///
/// Fewer are at hand where the capture keeps only the beginning of each packet (the snapshot length), or where an ICMP
/// error quotes the beginning of one. Reading past the end gives `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Data<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Data<'a> {
    /// `bytes`, the beginning of what was `length` bytes long. A smaller `length` leaves off what is beyond it.
    pub fn new(bytes: &'a [u8], length: usize) -> Self {
        Self { bytes: &bytes[..bytes.len().min(length)], length }
    }

    /// What is at hand.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How long it is on the wire, in bytes.
    pub fn length(self) -> usize {
        self.length
    }

    /// Whether bytes are missing at its end.
    pub fn is_cut(self) -> bool {
        self.bytes.len() < self.length
    }

    /// Without its first `count` bytes.
    #[must_use]
    pub fn skip(self, count: usize) -> Self {
        Self { bytes: self.bytes.get(count..).unwrap_or_default(), length: self.length.saturating_sub(count) }
    }

    /// Its first `length` bytes.
    #[must_use]
    pub fn first(self, length: usize) -> Self {
        Self::new(self.bytes, length.min(self.length))
    }

    /// The same bytes, as the beginning of something longer.
    pub(crate) fn beginning_of(self, length: usize) -> Self {
        Self::new(self.bytes, length)
    }

    /// `N` bytes from `at` on.
    pub fn array<const N: usize>(self, at: usize) -> Option<&'a [u8; N]> {
        self.bytes.get(at..)?.first_chunk()
    }

    /// The byte at `at`.
    pub fn u8(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Two bytes at `at`, in network order, as all that follow.
    pub fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Four bytes at `at`.
    pub fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A header of `N` bytes at the beginning.
    pub(crate) fn header<const N: usize>(self) -> Result<&'a [u8; N], Fault> {
        if self.length < N {
            return Err(Fault::Short { length: self.length });
        }
        self.bytes.first_chunk().ok_or(Fault::Cut)
    }

    /// As [`Self::header`], of a length known only now.
    pub(crate) fn header_of(self, length: usize) -> Result<&'a [u8], Fault> {
        if self.length < length {
            return Err(Fault::Short { length: self.length });
        }
        self.bytes.get(..length).ok_or(Fault::Cut)
    }
}

/// As its two lengths: `length` on the wire, `captured` at hand.
impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Data", 2)?;
        fields.serialize_field("length", &self.length)?;
        fields.serialize_field("captured", &self.bytes.len())?;
        fields.end()
    }
}

/// Why a header could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It was not captured whole. No fault of the packet's.
    Cut,
    /// What carries it has room for `length` bytes only.
    Short {
        /// Bytes.
        length: usize,
    },
    /// The header says that it is `length` bytes long, which no such header is.
    HeaderLength {
        /// Bytes.
        length: usize,
    },
    /// The header says that the packet is `length` bytes long, which is less than the header.
    Length {
        /// Bytes.
        length: usize,
    },
    /// A version other than the one that what carries it said.
    Version {
        /// As it stands in the header.
        version: u8,
    },
    /// More headers in each other than are followed.
    TooDeep,
}

/// A header that could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Broken {
    /// Of which protocol, by tcpdump's name for it: `ip`, `tcp`.
    pub protocol: &'static str,
    /// Why.
    pub fault: Fault,
    /// The ports, source first, where these at least are at hand (TCP, UDP and SCTP have them first).
    pub ports: Option<(u16, u16)>,
    /// How long it and all behind it is, in bytes.
    pub length: usize,
    /// How many bytes of that are at hand.
    pub captured: usize,
}

impl Broken {
    /// For `map_err`.
    pub(crate) fn of(protocol: &'static str) -> impl Fn(Fault) -> Self {
        move |fault| Self { protocol, fault, ports: None, length: 0, captured: 0 }
    }

    pub(crate) fn about(mut self, data: Data<'_>) -> Self {
        (self.length, self.captured) = (data.length(), data.bytes().len());
        self
    }

    pub(crate) fn with_ports(mut self, data: Data<'_>) -> Self {
        self.ports = data.u16(0).zip(data.u16(2));
        self.about(data)
    }
}
