//! Options of neighbour discovery (RFC 4861 4.6, RFC 8106).

use std::net::Ipv6Addr;

use nslab_types::MacAddr;
use serde::{Serialize, Serializer};

use crate::data::Data;

/// The options of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NdOptions<'a>(pub Data<'a>);

/// One option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct NdOption<'a> {
    /// Its number.
    pub kind: u8,
    /// Its length with type and length, in bytes.
    pub length: usize,
    /// What it says.
    pub value: NdValue<'a>,
    /// Behind type and length.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// What an option says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NdValue<'a> {
    /// 1: the sender's link-layer address.
    SourceLinkAddress(MacAddr),
    /// 2: the target's.
    TargetLinkAddress(MacAddr),
    /// 3: a prefix of this link.
    Prefix {
        /// Its length in bits.
        length: u8,
        /// On-link 0x80, autonomous 0x40, router's address 0x20.
        flags: u8,
        /// Seconds; `u32::MAX` for ever.
        valid: u32,
        /// Seconds.
        preferred: u32,
        /// The prefix.
        prefix: Ipv6Addr,
    },
    /// 4: the packet that is to take another way.
    Redirected(Data<'a>),
    /// 5: the link's MTU in bytes.
    Mtu(u32),
    /// 25: name servers.
    NameServers {
        /// For so many seconds.
        lifetime: u32,
        /// Their addresses.
        servers: Addresses<'a>,
    },
    /// 24: a way to elsewhere (RFC 4191 2.3).
    Route {
        /// The length of the prefix, in bits.
        length: u8,
        /// The preference 0x18.
        flags: u8,
        /// For so many seconds.
        lifetime: u32,
        /// Of the prefix, the bytes that are not left off as zeros: 0, 8 or 16.
        prefix: &'a [u8],
    },
    /// 31: domains to look for names in.
    SearchList {
        /// For so many seconds.
        lifetime: u32,
        /// In labels, as in DNS.
        names: &'a [u8],
    },
    /// Another, or one that is cut or too short for what it should say.
    Other(Data<'a>),
}

/// Addresses in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses<'a>(pub(crate) &'a [u8]);

impl Iterator for Addresses<'_> {
    type Item = Ipv6Addr;

    fn next(&mut self) -> Option<Ipv6Addr> {
        let (address, rest) = self.0.split_first_chunk::<16>()?;
        self.0 = rest;
        Some(Ipv6Addr::from(*address))
    }
}

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}

/// Up to the end, or to one without a length.
impl<'a> Iterator for NdOptions<'a> {
    type Item = NdOption<'a>;

    fn next(&mut self) -> Option<NdOption<'a>> {
        let data = std::mem::take(&mut self.0);
        let (kind, length) = (data.u8(0)?, usize::from(data.u8(1)?) * 8);
        if length == 0 {
            return None;
        }
        self.0 = data.skip(length);
        let value = data.first(length).skip(2);
        Some(NdOption {
            kind,
            length,
            value: read(kind, value).unwrap_or(NdValue::Other(value)),
            data: value,
        })
    }
}

fn read(kind: u8, value: Data<'_>) -> Option<NdValue<'_>> {
    let mac = || value.array(0).map(|bytes| MacAddr(*bytes));
    Some(match kind {
        1 => NdValue::SourceLinkAddress(mac()?),
        2 => NdValue::TargetLinkAddress(mac()?),
        3 => NdValue::Prefix {
            length: value.u8(0)?,
            flags: value.u8(1)?,
            valid: value.u32(2)?,
            preferred: value.u32(6)?,
            prefix: Ipv6Addr::from(*value.array::<16>(14)?),
        },
        4 => NdValue::Redirected(value.skip(6)),
        5 => NdValue::Mtu(value.u32(2)?),
        25 if !value.is_cut() => {
            NdValue::NameServers { lifetime: value.u32(2)?, servers: Addresses(value.bytes().get(6..)?) }
        }
        24 if !value.is_cut() => NdValue::Route {
            length: value.u8(0)?,
            flags: value.u8(1)?,
            lifetime: value.u32(2)?,
            prefix: value.bytes().get(6..)?,
        },
        31 if !value.is_cut() => {
            NdValue::SearchList { lifetime: value.u32(2)?, names: value.bytes().get(6..)? }
        }
        _ => return None,
    })
}

impl Serialize for NdOptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}
