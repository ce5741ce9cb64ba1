//! Reading netlink messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::align;

/// The flag bits of an attribute's type (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`), which are not part of it.
const TYPE_MASK: u16 = 0x3fff;

/// Reads fixed headers from the start of a message's payload; a read past the end gives zeros, as the kernel may
/// send a shorter (older) header than the one we know.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`, a message's payload after its `nlmsghdr`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The byte at `offset`.
    pub fn u8(&self, offset: usize) -> u8 {
        self.bytes.get(offset).copied().unwrap_or(0)
    }

    /// Two bytes at `offset` in the machine's order.
    pub fn u16(&self, offset: usize) -> u16 {
        u16::from_ne_bytes([self.u8(offset), self.u8(offset + 1)])
    }

    /// Four bytes at `offset` in the machine's order.
    pub fn u32(&self, offset: usize) -> u32 {
        u32::from_ne_bytes([0, 1, 2, 3].map(|byte| self.u8(offset + byte)))
    }

    /// The attributes after a fixed header of `header_len` bytes.
    pub fn attributes(&self, header_len: usize) -> Attributes<'a> {
        Attributes { bytes: self.bytes.get(align(header_len)..).unwrap_or_default() }
    }
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// Its type, without the flag bits.
    pub kind: u16,
    /// Its content.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The content as one byte.
    pub fn u8(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// The content as two bytes in the machine's order.
    pub fn u16(&self) -> Option<u16> {
        Some(u16::from_ne_bytes(*self.payload.first_chunk()?))
    }

    /// The content as two bytes in network order.
    pub fn be16(&self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.payload.first_chunk()?))
    }

    /// The content as four bytes in network order, as nfnetlink has its numbers.
    pub fn be32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(*self.payload.first_chunk()?))
    }

    /// The content as eight bytes in network order.
    pub fn be64(&self) -> Option<u64> {
        Some(u64::from_be_bytes(*self.payload.first_chunk()?))
    }

    /// The content as four bytes in the machine's order.
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.payload.first_chunk()?))
    }

    /// The content as four bytes in the machine's order, signed.
    pub fn i32(&self) -> Option<i32> {
        Some(i32::from_ne_bytes(*self.payload.first_chunk()?))
    }

    /// The content as eight bytes in the machine's order.
    pub fn u64(&self) -> Option<u64> {
        Some(u64::from_ne_bytes(*self.payload.first_chunk()?))
    }

    /// The content as text up to the first zero; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        let end = self.payload.iter().position(|&byte| byte == 0).unwrap_or(self.payload.len());
        String::from_utf8_lossy(&self.payload[..end]).into_owned()
    }

    /// The content as an IPv4 (4 bytes) or IPv6 (16 bytes) address.
    pub fn address(&self) -> Option<IpAddr> {
        match self.payload.len() {
            4 => Some(IpAddr::V4(Ipv4Addr::from(*self.payload.first_chunk::<4>()?))),
            16 => Some(IpAddr::V6(Ipv6Addr::from(*self.payload.first_chunk::<16>()?))),
            _ => None,
        }
    }

    /// The content as attributes.
    pub fn nested(&self) -> Attributes<'a> {
        Attributes { bytes: self.payload }
    }
}

/// A run of attributes. Iterating ends at the first one that is cut off.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads `bytes` as attributes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The first attribute of this type.
    pub fn get(&self, kind: u16) -> Option<Attribute<'a>> {
        self.clone().find(|attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (&header, _) = self.bytes.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK;
        let payload = self.bytes.get(4..len)?;
        self.bytes = self.bytes.get(align(len)..).unwrap_or_default();
        Some(Attribute { kind, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_attributes_and_stops_at_what_is_cut_off() {
        let bytes = [5, 0, 1, 0, 42, 0, 0, 0, 8, 0, 2, 0x80, 1, 2, 3, 4, 9, 0, 3, 0, 1];
        let attributes: Vec<_> = Attributes::new(&bytes).collect();
        assert_eq!(attributes.len(), 2);
        assert_eq!((attributes[0].kind, attributes[0].u8()), (1, Some(42)));
        assert_eq!(attributes[1].kind, 2, "flag bits are not part of the type");
        assert_eq!(attributes[1].address(), Some("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn survives_lengths_that_lie() {
        for len in 0..=3 {
            assert_eq!(Attributes::new(&[len, 0, 1, 0, 9, 9, 9, 9]).count(), 0);
        }
        assert_eq!(Reader::new(&[1]).u32(0), u32::from_ne_bytes([1, 0, 0, 0]));
    }
}
