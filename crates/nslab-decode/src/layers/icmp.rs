//! ICMP (RFC 792, RFC 1191).

use std::net::Ipv4Addr;

use serde::Serialize;

use crate::checksum::{self, Checked};
use crate::data::{Broken, Data, Fault};
use crate::layers::{Ipv4, Ipv6, Walk, ip4, ip6};

/// A message of ICMP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Icmp<'a> {
    /// Its type (include/uapi/linux/icmp.h).
    #[serde(rename = "type")]
    pub kind: u8,
    /// What of that type.
    pub code: u8,
    /// As it stands there.
    pub checksum: u16,
    /// What it says.
    #[serde(flatten)]
    pub message: IcmpMessage<'a>,
    /// All of it.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IcmpMessage<'a> {
    /// Types 8 and 0.
    Echo {
        /// It is the answer.
        is_reply: bool,
        /// The program that asks.
        id: u16,
        /// Its number.
        sequence: u16,
        /// What is sent back as it came.
        payload: Data<'a>,
    },
    /// Type 3.
    Unreachable {
        /// With code 4 (fragmentation needed): what would get through, in bytes; 0 of routers before RFC 1191.
        mtu: u16,
        /// The packet that did not get there.
        quoted: Quoted<'a>,
    },
    /// Type 4, out of use.
    SourceQuench {
        /// The packet that was one too many.
        quoted: Quoted<'a>,
    },
    /// Type 5: there is a better way.
    Redirect {
        /// By whom.
        gateway: Ipv4Addr,
        /// The packet that took a worse one.
        quoted: Quoted<'a>,
    },
    /// Type 11: its TTL ran out, or not all of its fragments came.
    TimeExceeded {
        /// The packet.
        quoted: Quoted<'a>,
    },
    /// Type 12.
    ParameterProblem {
        /// Which byte of the packet is wrong.
        pointer: u8,
        /// The packet.
        quoted: Quoted<'a>,
    },
    /// Types 13 and 14, in milliseconds since midnight UTC.
    Timestamp {
        /// It is the answer.
        is_reply: bool,
        /// The program that asks.
        id: u16,
        /// Its number.
        sequence: u16,
        /// When it was asked, received, answered.
        times: Option<[u32; 3]>,
    },
    /// Types 17 and 18.
    AddressMask {
        /// It is the answer.
        is_reply: bool,
        /// The mask.
        mask: Ipv4Addr,
    },
    /// Another.
    Other,
}

/// The beginning of the packet that an error is about, as far as the error quotes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quoted<'a> {
    /// A packet of IPv4.
    Ipv4(Box<Ipv4<'a>>),
    /// A packet of IPv6.
    Ipv6(Box<Ipv6<'a>>),
    /// Nothing that could be read.
    Broken(Broken),
}

impl<'a> Quoted<'a> {
    /// The packet quoted in `data`, which is as long as it says itself.
    pub(crate) fn ipv4(data: Data<'a>, walk: Walk<'_>) -> Self {
        let length = data.u16(2).map_or(data.length(), usize::from);
        walk.down()
            .map_err(Broken::of("ip"))
            .and_then(|walk| ip4::read(data.beginning_of(length), walk))
            .map_or_else(Self::Broken, |packet| Self::Ipv4(Box::new(packet)))
    }

    /// As [`Self::ipv4`].
    pub(crate) fn ipv6(data: Data<'a>, walk: Walk<'_>) -> Self {
        let length = data.u16(4).map_or(data.length(), |length| usize::from(length) + 40);
        walk.down()
            .map_err(Broken::of("ip6"))
            .and_then(|walk| ip6::read(data.beginning_of(length), walk))
            .map_or_else(Self::Broken, |packet| Self::Ipv6(Box::new(packet)))
    }
}

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Icmp<'a>, Broken> {
    let broken = Broken::of("icmp");
    let [kind, code, c0, c1] = *data.header().map_err(&broken)?;
    let words = || -> Result<[u8; 4], Broken> { Ok(*data.skip(4).header().map_err(&broken)?) };
    let pair = |[a, b, c, d]: [u8; 4]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let quoted = || match data.length() {
        ..=8 => Quoted::Broken(broken(Fault::Short { length: 0 })),
        _ => Quoted::ipv4(data.skip(8), walk),
    };
    let message = match kind {
        0 | 8 => {
            let (id, sequence) = pair(words()?);
            IcmpMessage::Echo { is_reply: kind == 0, id, sequence, payload: data.skip(8) }
        }
        3 => IcmpMessage::Unreachable { mtu: pair(words()?).1, quoted: quoted() },
        4 => IcmpMessage::SourceQuench { quoted: quoted() },
        5 => IcmpMessage::Redirect { gateway: words()?.into(), quoted: quoted() },
        11 => IcmpMessage::TimeExceeded { quoted: quoted() },
        12 => IcmpMessage::ParameterProblem { pointer: words()?[0], quoted: quoted() },
        13 | 14 => {
            let (id, sequence) = pair(words()?);
            let times = data.u32(8).zip(data.u32(12)).zip(data.u32(16)).map(|((a, b), c)| [a, b, c]);
            IcmpMessage::Timestamp { is_reply: kind == 14, id, sequence, times }
        }
        17 | 18 => {
            let mask = data.u32(8).unwrap_or_default().into();
            IcmpMessage::AddressMask { is_reply: kind == 18, mask }
        }
        _ => IcmpMessage::Other,
    };
    Ok(Icmp { kind, code, checksum: u16::from_be_bytes([c0, c1]), message, data })
}

impl<'a> Icmp<'a> {
    /// What the checksum is found to be. It is to be asked of whole packets only, not of fragments.
    pub fn check(&self) -> Checked {
        if self.data.is_cut() {
            return Checked::Unknown;
        }
        checksum::check(self.checksum, checksum::sum(self.data.bytes()))
    }

    /// The packet that it is about, if it is an error.
    pub fn quoted(&self) -> Option<&Quoted<'a>> {
        match &self.message {
            IcmpMessage::Unreachable { quoted, .. }
            | IcmpMessage::SourceQuench { quoted }
            | IcmpMessage::Redirect { quoted, .. }
            | IcmpMessage::TimeExceeded { quoted }
            | IcmpMessage::ParameterProblem { quoted, .. } => Some(quoted),
            _ => None,
        }
    }
}
