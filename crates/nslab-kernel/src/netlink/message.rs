//! Writing netlink messages.

use std::fmt;

use crate::error::{Error, Refusal};

/// The flag of an attribute that holds attributes (`NLA_F_NESTED`, `include/uapi/linux/netlink.h`). Newer parts of the
/// kernel insist on it, older ones pass over it.
const NLA_F_NESTED: u16 = 0x8000;

/// Bytes of `struct nlmsghdr` (`include/uapi/linux/netlink.h`).
pub(super) const HEADER_LEN: usize = 16;
/// Everything in a message starts at a multiple of this (`NLMSG_ALIGNTO`, `NLA_ALIGNTO`).
const ALIGN: usize = 4;

pub(super) const fn align(len: usize) -> usize {
    (len + ALIGN - 1) & !(ALIGN - 1)
}

/// Something to ask of the kernel over netlink.
///
/// Its [`Display`](fmt::Display) completes the sentence "cannot …" in errors, as `create link eth0`.
pub trait Request: fmt::Display {
    /// The message type, as `RTM_NEWLINK`.
    fn message_type(&self) -> u16;
    /// Flags besides `NLM_F_REQUEST` and `NLM_F_ACK`, as `NLM_F_CREATE | NLM_F_EXCL`.
    fn flags(&self) -> u16 {
        0
    }
    /// Writes the family's fixed header and the attributes.
    fn write(&self, message: &mut MessageWriter<'_>);
    /// What this kernel was built without, if that is what `refusal` of this request means.
    fn unsupported(&self, _refusal: &Refusal) -> Option<Error> {
        None
    }
    /// The error that `refusal` of this request amounts to; for users of batches, who learn only place and refusal.
    fn refused(&self, refusal: Refusal) -> Error {
        self.unsupported(&refusal).unwrap_or_else(|| Error::Refused { request: self.to_string(), refusal })
    }
}

/// Appends one message's body to a buffer.
pub struct MessageWriter<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> MessageWriter<'a> {
    /// Appends a whole message for `request` to `bytes` and returns the offset at which it starts.
    pub(super) fn message(bytes: &'a mut Vec<u8>, request: &dyn Request, flags: u16, sequence: u32) -> usize {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&request.message_type().to_ne_bytes());
        bytes.extend_from_slice(&(request.flags() | flags).to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]); // port id: the kernel fills it in
        request.write(&mut MessageWriter { bytes });
        let len = u32::try_from(bytes.len() - start).expect("a netlink message is far below 4 GiB");
        bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
        start
    }

    /// Appends a fixed header, as `struct ifinfomsg`, padded to a multiple of four bytes.
    pub fn header(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    /// Appends an attribute.
    ///
    /// # Panics
    /// If `payload` is longer than the 65531 bytes that an attribute can hold.
    pub fn attribute(&mut self, kind: u16, payload: &[u8]) {
        let len = u16::try_from(payload.len() + 4).expect("an attribute holds at most 65531 bytes");
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    /// Appends an attribute of one byte.
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.attribute(kind, &[value]);
    }

    /// Appends an attribute of two bytes in the machine's order.
    pub fn u16(&mut self, kind: u16, value: u16) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Appends an attribute of four bytes in the machine's order.
    pub fn u32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Appends an attribute of eight bytes in the machine's order.
    pub fn u64(&mut self, kind: u16, value: u64) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Appends an attribute of two bytes in network order, as nfnetlink has its numbers.
    pub fn be16(&mut self, kind: u16, value: u16) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Appends an attribute of four bytes in network order.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Appends an attribute of eight bytes in network order.
    pub fn be64(&mut self, kind: u16, value: u64) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Appends a text with its terminating zero.
    pub fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    /// Appends an IPv4 or IPv6 address.
    pub fn address(&mut self, kind: u16, address: std::net::IpAddr) {
        match address {
            std::net::IpAddr::V4(address) => self.attribute(kind, &address.octets()),
            std::net::IpAddr::V6(address) => self.attribute(kind, &address.octets()),
        }
    }

    /// Appends an attribute whose payload is what `content` writes, as a rule attributes.
    ///
    /// # Panics
    /// If that is longer than the 65531 bytes that an attribute can hold.
    pub fn nested(&mut self, kind: u16, content: impl FnOnce(&mut MessageWriter<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        content(&mut MessageWriter { bytes: self.bytes });
        let len = u16::try_from(self.bytes.len() - start).expect("an attribute holds at most 65531 bytes");
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    }

    /// Appends an attribute whose payload is attributes already.
    ///
    /// # Panics
    /// If it is longer than the 65531 bytes that an attribute can hold.
    pub fn nested_raw(&mut self, kind: u16, attributes: &[u8]) {
        self.attribute(kind | NLA_F_NESTED, attributes);
    }

    /// Bytes in the buffer so far, those of messages before this one too.
    pub(crate) fn position(&self) -> usize {
        self.bytes.len()
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}
