//! IPv4 (RFC 791).

use std::net::Ipv4Addr;

use serde::{Serialize, Serializer};

use crate::checksum::{self, Checked};
use crate::data::{Broken, Data, Fault};
use crate::layers::{Fragment, Transport, Walk, ip};

/// A packet of IPv4.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ipv4<'a> {
    /// From whom.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
    /// The DSCP (upper six bits, RFC 2474) and the ECN (lower two, RFC 3168).
    pub tos: u8,
    /// The packet's length as it says itself, with this header, in bytes; 0 of one that is longer than 65535.
    pub total_length: u16,
    /// The length of the header with its options: 20 to 60 bytes.
    pub header_length: u8,
    /// Its number, by which its fragments are known.
    pub id: u16,
    /// It may not be fragmented on its way.
    pub dont_fragment: bool,
    /// The first flag, which means nothing.
    pub reserved_flag: bool,
    /// Fragments of the same packet come behind it.
    pub more_fragments: bool,
    /// Where it begins in its packet's payload, in bytes: 0 unless it is a later fragment.
    pub fragment_offset: u16,
    /// So many more hops it may take.
    pub ttl: u8,
    /// What it carries (include/uapi/linux/in.h).
    pub protocol: u8,
    /// Of the header.
    pub checksum: u16,
    /// Its options.
    #[serde(skip_serializing_if = "Ipv4Options::is_empty")]
    pub options: Ipv4Options<'a>,
    /// What it carries.
    #[serde(flatten)]
    pub transport: Transport<'a>,
    /// From the header on, as long as the packet is by its header.
    #[serde(skip)]
    pub data: Data<'a>,
    /// So many bytes what carries it is too short for `total_length`.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Ipv4<'a>, Broken> {
    let broken = |fault| Broken::of("ip")(fault).about(data);
    if let Some(first) = data.u8(0)
        && first >> 4 != 4
    {
        return Err(broken(Fault::Version { version: first >> 4 }));
    }
    let header: &[u8; 20] = data.header().map_err(broken)?;
    let u16 = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let address = |at: usize| Ipv4Addr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let header_length = usize::from(header[0] & 0x0f) * 4;
    if header_length < header.len() {
        return Err(broken(Fault::HeaderLength { length: header_length }));
    }
    let total_length = u16(2);
    // Segments that are still to be cut can be longer than the field can say, and say 0 then (BIG TCP,
    // `iph_set_totlen`, include/net/ip.h).
    let length = match total_length {
        0 if data.length() > usize::from(u16::MAX) => data.length(),
        length => usize::from(length),
    };
    if length < header_length {
        return Err(broken(Fault::Length { length }));
    }
    let missing = length.saturating_sub(data.length());
    let data = data.beginning_of(length);
    let options = data.header_of(header_length).map_err(broken)?.get(header.len()..).unwrap_or_default();
    let fragment = u16(6);
    let (protocol, offset, more) = (header[9], (fragment & 0x1fff) << 3, fragment & 0x2000 != 0);
    let payload = data.skip(header_length);
    let transport = if offset == 0 {
        ip::transport(protocol, payload, false, walk)
    } else {
        Transport::LaterFragment(payload)
    };
    Ok(Ipv4 {
        source: address(12),
        destination: address(16),
        tos: header[1],
        total_length,
        header_length: header[0] << 2,
        id: u16(4),
        dont_fragment: fragment & 0x4000 != 0,
        reserved_flag: fragment & 0x8000 != 0,
        more_fragments: more,
        fragment_offset: offset,
        ttl: header[8],
        protocol,
        checksum: u16(10),
        options: Ipv4Options(options),
        transport,
        data,
        missing,
    })
}

impl<'a> Ipv4<'a> {
    /// Whether it is one of several pieces, and which.
    pub fn fragment(&self) -> Option<Fragment> {
        let Self { id, fragment_offset: offset, more_fragments: more, .. } = *self;
        (more || offset != 0).then_some(Fragment { id: u32::from(id), offset, more })
    }

    /// What comes behind its header.
    pub fn payload(&self) -> Data<'a> {
        self.data.skip(usize::from(self.header_length))
    }

    /// What the header's checksum is found to be.
    pub fn check(&self) -> Checked {
        let header = &self.data.bytes()[..usize::from(self.header_length).min(self.data.bytes().len())];
        checksum::check(self.checksum, checksum::sum(header))
    }
}

/// The options of a header (RFC 791 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4Options<'a>(pub &'a [u8]);

/// One option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Ipv4Option<'a> {
    /// Its number, with the bits for copying and its class: 0 end, 1 nothing, 7 record route, 68 time stamps, 131 loose and
    /// 137 strict source route, 148 router alert.
    pub kind: u8,
    /// Its length as it says itself, 1 for those of one byte.
    pub length: u8,
    /// What is in it, behind type and length.
    pub value: &'a [u8],
}

impl Ipv4Options<'_> {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Up to the end of options, or to one whose length cannot be.
impl<'a> Iterator for Ipv4Options<'a> {
    type Item = Ipv4Option<'a>;

    fn next(&mut self) -> Option<Ipv4Option<'a>> {
        let (&kind, rest) = self.0.split_first()?;
        if kind <= 1 {
            self.0 = if kind == 0 { &[] } else { rest };
            return Some(Ipv4Option { kind, length: 1, value: &[] });
        }
        let length = *rest.first()?;
        let value = self.0.get(2..usize::from(length));
        self.0 = self.0.get(usize::from(length)..).filter(|_| value.is_some()).unwrap_or_default();
        Some(Ipv4Option { kind, length, value: value.unwrap_or_default() })
    }
}

impl Serialize for Ipv4Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}
