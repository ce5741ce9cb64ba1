//! Packets in bytes: what is sent, and what is seen of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// By what a packet is known wherever it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce {
    /// The probe's number.
    pub(crate) number: usize,
    /// It is a program's answer.
    pub(crate) is_answer: bool,
}

const ASKED: [u8; 8] = *b"nslab-q:";
const ANSWERED: [u8; 8] = *b"nslab-a:";

impl Nonce {
    /// Its length in bytes.
    pub(crate) const LENGTH: u32 = 16;

    /// So many bytes that begin with it.
    pub(crate) fn payload(self, size: u32) -> Vec<u8> {
        let size = usize::try_from(size.max(Self::LENGTH)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(size);
        bytes.extend(if self.is_answer { ANSWERED } else { ASKED });
        bytes.extend(u64::try_from(self.number).unwrap_or(0).to_be_bytes());
        bytes.resize(size, 0x5a);
        bytes
    }

    /// Reads one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let is_answer = match *head {
            ASKED => false,
            ANSWERED => true,
            _ => return None,
        };
        let number = usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?;
        Some(Self { number, is_answer })
    }
}

/// An ICMP echo request. The checksum of IPv6 the kernel fills in.
pub(crate) fn echo(is_ipv6: bool, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if is_ipv6 { 128 } else { 8 }, 0, 0, 0];
    bytes.extend(id.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(payload);
    if !is_ipv6 {
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// The beginning of an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The protocol after all headers of IPv6 that were passed over.
    pub(crate) protocol: u8,
    /// It is not the first of its fragments.
    pub(crate) is_later_fragment: bool,
    /// What comes after.
    pub(crate) rest: &'a [u8],
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

impl<'a> Header<'a> {
    /// Reads the header of an IP packet.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => {
                let length = usize::from(bytes[0] & 15) * 4;
                Some(Self {
                    source: Ipv4Addr::from(at::<4>(bytes, 12)?).into(),
                    destination: Ipv4Addr::from(at::<4>(bytes, 16)?).into(),
                    protocol: *bytes.get(9)?,
                    is_later_fragment: u16::from_be_bytes(at(bytes, 6)?) & 0x1fff != 0,
                    rest: bytes.get(length..)?,
                })
            }
            6 => {
                let (mut protocol, mut rest) = (*bytes.get(6)?, bytes.get(40..)?);
                let mut is_later_fragment = false;
                if protocol == 44 {
                    is_later_fragment = u16::from_be_bytes(at(rest, 2)?) & 0xfff8 != 0;
                    (protocol, rest) = (*rest.first()?, rest.get(8..)?);
                }
                Some(Self {
                    source: Ipv6Addr::from(at::<16>(bytes, 8)?).into(),
                    destination: Ipv6Addr::from(at::<16>(bytes, 24)?).into(),
                    protocol,
                    is_later_fragment,
                    rest,
                })
            }
            _ => None,
        }
    }

    /// The ports of TCP and UDP, the identifier of an echo (twice).
    pub(crate) fn ports(&self) -> Option<(u16, u16)> {
        let word = |offset| Some(u16::from_be_bytes(at(self.rest, offset)?));
        match self.protocol {
            6 | 17 => Some((word(0)?, word(2)?)),
            1 | 58 => Some((word(4)?, word(4)?)),
            _ => None,
        }
    }
}

/// What a packet is to the tester.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// A probe itself.
    Asked(usize),
    /// Its answer: an echo reply, a program's datagram.
    Answered(usize),
    /// A TCP segment: both ports, flags, sequence number.
    Segment { source: u16, destination: u16, flags: u8, sequence: u32 },
    /// An ICMP error: type, code, MTU, about which packet.
    Error { kind: u8, code: u8, mtu: Option<u32>, about: Header<'a> },
    /// None of its business.
    Nothing,
}

impl<'a> Meaning<'a> {
    /// What a packet is.
    pub(crate) fn of(header: &Header<'a>) -> Self {
        if header.is_later_fragment {
            return Self::Nothing;
        }
        Self::read(header).unwrap_or(Self::Nothing)
    }

    fn read(header: &Header<'a>) -> Option<Self> {
        let rest = header.rest;
        let nonce = |offset: usize| Nonce::read(rest.get(offset..)?);
        let told = |nonce: Nonce| {
            if nonce.is_answer { Self::Answered(nonce.number) } else { Self::Asked(nonce.number) }
        };
        match header.protocol {
            1 | 58 => Self::icmp(header.protocol == 58, rest),
            17 => nonce(8).map(told),
            6 => Some(Self::Segment {
                source: u16::from_be_bytes(at(rest, 0)?),
                destination: u16::from_be_bytes(at(rest, 2)?),
                sequence: u32::from_be_bytes(at(rest, 4)?),
                flags: *rest.get(13)?,
            }),
            _ => nonce(0).map(told),
        }
    }

    /// An ICMP message, without the IP header.
    pub(crate) fn icmp(is_ipv6: bool, bytes: &'a [u8]) -> Option<Self> {
        let (kind, code) = (*bytes.first()?, *bytes.get(1)?);
        let number = || Some(Nonce::read(bytes.get(8..)?)?.number);
        let error = |mtu| Some(Self::Error { kind, code, mtu, about: Header::read(bytes.get(8..)?)? });
        let wide = |offset| Some(u32::from_be_bytes(at(bytes, offset)?));
        match (is_ipv6, kind) {
            (false, 8) | (true, 128) => Some(Self::Asked(number()?)),
            (false, 0) | (true, 129) => Some(Self::Answered(number()?)),
            (false, 3) if code == 4 => error(Some(wide(4)? & 0xffff)),
            (false, 3 | 11 | 12) | (true, 1 | 3 | 4) => error(None),
            (true, 2) => error(Some(wide(4)?)),
            _ => None,
        }
    }
}

/// Where a frame's IP packet begins, and the one that a tunnel (VXLAN) carries in it.
pub(crate) fn packets(frame: &[u8]) -> (Option<Header<'_>>, Option<Header<'_>>) {
    let outer = ip_of(frame);
    let inner =
        outer.as_ref().filter(|outer| outer.protocol == 17 && !outer.is_later_fragment).and_then(|outer| {
            let port = u16::from_be_bytes(at(outer.rest, 2)?);
            (port == VXLAN).then(|| ip_of(outer.rest.get(16..)?)).flatten()
        });
    (outer, inner)
}

/// The port of VXLAN (RFC 7348), which all tunnels of the generator use.
const VXLAN: u16 = 4789;

fn ip_of(frame: &[u8]) -> Option<Header<'_>> {
    match u16::from_be_bytes(at(frame, 12)?) {
        0x0800 | 0x86dd => Header::read(frame.get(14..)?),
        _ => None,
    }
}
