//! What is to be taken apart, and with what is known of it besides its bytes.

use crate::data::Data;
use crate::layers::{Decoded, Tag};

/// With what a frame begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Link {
    /// A header of Ethernet: `ARPHRD_ETHER` and `ARPHRD_LOOPBACK`.
    #[default]
    Ethernet,
    /// The header of IPv4 or IPv6: tun devices, `WireGuard` (`ARPHRD_NONE`), and tunnels of IP as packet sockets show
    /// them (`ARPHRD_TUNNEL`, `ARPHRD_SIT`, …).
    Ip,
}

/// A frame as the kernel or a file gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// How long it was, in bytes, without `vlan`. Not less than `bytes`.
    pub length: usize,
    /// With what it begins.
    pub link: Link,
    /// A VLAN tag that is not in the bytes: packet sockets hand the outermost over beside them (`PACKET_AUXDATA`,
    /// `tp_vlan_tci` and `tp_vlan_tpid` of `struct tpacket_hdr_variant1`).
    pub vlan: Option<Tag>,
    /// Checksums of TCP and UDP are not filled in yet (`TP_STATUS_CSUMNOTREADY`).
    pub partial_checksum: bool,
}

impl<'a> Frame<'a> {
    /// A whole frame of Ethernet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, length: bytes.len(), link: Link::Ethernet, vlan: None, partial_checksum: false }
    }

    /// Whose length was `length`.
    #[must_use]
    pub fn of_length(mut self, length: usize) -> Self {
        self.length = length.max(self.bytes.len());
        self
    }

    /// That begins with `link`.
    #[must_use]
    pub fn on(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    pub(crate) fn data(&self) -> Data<'a> {
        Data::new(self.bytes, self.length.max(self.bytes.len()))
    }
}

/// Which ports mean what, beyond the well-known ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ports<'p> {
    /// UDP ports of VXLAN, beside 4789 (RFC 7348) and 8472 (the kernel's default, `drivers/net/vxlan`).
    pub vxlan: &'p [u16],
}

/// Takes a frame apart.
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    decode_with(frame, Ports::default())
}

/// As [`decode`], with ports that only the caller knows.
pub fn decode_with<'a>(frame: &Frame<'a>, ports: Ports<'_>) -> Decoded<'a> {
    crate::layers::decode(frame, ports)
}
