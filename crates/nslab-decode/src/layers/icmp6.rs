//! `ICMPv6` (RFC 4443), with neighbour discovery (RFC 4861) and listener discovery (RFC 2710, RFC 3810).

use std::net::Ipv6Addr;

use serde::Serialize;

use crate::checksum::{self, Checked};
use crate::data::{Broken, Data, Fault};
use crate::layers::ip::{Ends, protocol};
use crate::layers::nd::NdOptions;
use crate::layers::{GroupRecords, Quoted, Sources, Walk};

/// A message of `ICMPv6`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Icmpv6<'a> {
    /// Its type (include/uapi/linux/icmpv6.h).
    #[serde(rename = "type")]
    pub kind: u8,
    /// What of that type.
    pub code: u8,
    /// As it stands there.
    pub checksum: u16,
    /// What it says.
    #[serde(flatten)]
    pub message: Icmpv6Message<'a>,
    /// All of it.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Icmpv6Message<'a> {
    /// Type 1.
    Unreachable {
        /// The packet that did not get there.
        quoted: Quoted<'a>,
    },
    /// Type 2.
    PacketTooBig {
        /// What would get through, in bytes.
        mtu: u32,
        /// The packet that did not.
        quoted: Quoted<'a>,
    },
    /// Type 3.
    TimeExceeded {
        /// The packet whose hops ran out, or of which not all fragments came.
        quoted: Quoted<'a>,
    },
    /// Type 4.
    ParameterProblem {
        /// Which byte of the packet is wrong.
        pointer: u32,
        /// The packet.
        quoted: Quoted<'a>,
    },
    /// Types 128 and 129.
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
    /// Type 130: who listens?
    ListenerQuery {
        /// It is answered within so many milliseconds; encoded above 32767 (RFC 3810 5.1.3).
        max_delay: u16,
        /// Which group; `::` for all.
        group: Ipv6Addr,
        /// What version 2 says besides.
        second: Option<ListenerQuery2<'a>>,
    },
    /// Type 131: its sender listens.
    ListenerReport {
        /// To which group.
        group: Ipv6Addr,
    },
    /// Type 132: its sender listens no more.
    ListenerDone {
        /// To which group.
        group: Ipv6Addr,
    },
    /// Type 143: what its sender listens to, and no more.
    ListenerReport2 {
        /// Of each group.
        records: GroupRecords<'a>,
    },
    /// Type 133: routers are to tell of themselves.
    RouterSolicitation {
        /// What is said besides.
        options: NdOptions<'a>,
    },
    /// Type 134: its sender is a router.
    RouterAdvertisement {
        /// The hop limit that hosts are to use; 0 for none said.
        hop_limit: u8,
        /// Managed 0x80, other 0x40, home agent 0x20, preference 0x18 (RFC 4191), proxy 0x04.
        flags: u8,
        /// For how long it is a default router, in seconds.
        lifetime: u16,
        /// How long a neighbour counts as reachable, in milliseconds; 0 for not said.
        reachable: u32,
        /// The time between solicitations, in milliseconds; 0 for not said.
        retransmit: u32,
        /// What is said besides.
        options: NdOptions<'a>,
    },
    /// Type 135: who has the address?
    NeighborSolicitation {
        /// The address.
        target: Ipv6Addr,
        /// What is said besides.
        options: NdOptions<'a>,
    },
    /// Type 136: its sender has.
    NeighborAdvertisement {
        /// It is a router.
        router: bool,
        /// It was asked.
        solicited: bool,
        /// Another link-layer address that is known is to be replaced.
        overrides: bool,
        /// The address.
        target: Ipv6Addr,
        /// What is said besides.
        options: NdOptions<'a>,
    },
    /// Type 137: there is a better way.
    Redirect {
        /// By whom.
        target: Ipv6Addr,
        /// To whom.
        destination: Ipv6Addr,
        /// What is said besides.
        options: NdOptions<'a>,
    },
    /// Another.
    Other,
}

/// What a query of version 2 says besides (RFC 3810 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ListenerQuery2<'a> {
    /// Other routers' timers are not to be touched by it.
    pub suppress: bool,
    /// How many messages may get lost; 0 for more than 7.
    pub robustness: u8,
    /// How often is asked, in seconds; encoded above 127 (RFC 3810 5.1.9).
    pub interval_code: u8,
    /// From these sources only.
    pub sources: Sources<'a>,
}

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Icmpv6<'a>, Broken> {
    let broken = Broken::of("icmp6");
    let [kind, code, c0, c1] = *data.header().map_err(&broken)?;
    let word = || -> Result<[u8; 4], Broken> { Ok(*data.skip(4).header().map_err(&broken)?) };
    let number = || word().map(u32::from_be_bytes);
    let address = |at: usize| -> Result<Ipv6Addr, Broken> {
        Ok(Ipv6Addr::from(*data.skip(at).header::<16>().map_err(&broken)?))
    };
    let options = |at: usize| NdOptions(data.skip(at));
    let quoted = || match data.length() {
        ..=8 => Quoted::Broken(broken(Fault::Short { length: 0 })),
        _ => Quoted::ipv6(data.skip(8), walk),
    };
    let message = match kind {
        1 => Icmpv6Message::Unreachable { quoted: quoted() },
        2 => Icmpv6Message::PacketTooBig { mtu: number()?, quoted: quoted() },
        3 => Icmpv6Message::TimeExceeded { quoted: quoted() },
        4 => Icmpv6Message::ParameterProblem { pointer: number()?, quoted: quoted() },
        128 | 129 => {
            let [i0, i1, s0, s1] = word()?;
            let (id, sequence) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([s0, s1]));
            Icmpv6Message::Echo { is_reply: kind == 129, id, sequence, payload: data.skip(8) }
        }
        130 => {
            let [d0, d1, ..] = word()?;
            let second =
                data.u8(24).zip(data.u8(25)).zip(data.u16(26)).map(|((flags, interval_code), count)| {
                    ListenerQuery2 {
                        suppress: flags & 8 != 0,
                        robustness: flags & 7,
                        interval_code,
                        sources: Sources::new(data.skip(28), count, true),
                    }
                });
            let max_delay = u16::from_be_bytes([d0, d1]);
            Icmpv6Message::ListenerQuery { max_delay, group: address(8)?, second }
        }
        131 => Icmpv6Message::ListenerReport { group: address(8)? },
        132 => Icmpv6Message::ListenerDone { group: address(8)? },
        133 => Icmpv6Message::RouterSolicitation { options: options(8) },
        134 => {
            let [hop_limit, flags, l0, l1, r @ .., t0, t1, t2, t3] =
                *data.skip(4).header::<12>().map_err(&broken)?;
            Icmpv6Message::RouterAdvertisement {
                hop_limit,
                flags,
                lifetime: u16::from_be_bytes([l0, l1]),
                reachable: u32::from_be_bytes(r),
                retransmit: u32::from_be_bytes([t0, t1, t2, t3]),
                options: options(16),
            }
        }
        135 => Icmpv6Message::NeighborSolicitation { target: address(8)?, options: options(24) },
        136 => {
            let [flags, ..] = word()?;
            Icmpv6Message::NeighborAdvertisement {
                router: flags & 0x80 != 0,
                solicited: flags & 0x40 != 0,
                overrides: flags & 0x20 != 0,
                target: address(8)?,
                options: options(24),
            }
        }
        137 => {
            Icmpv6Message::Redirect { target: address(8)?, destination: address(24)?, options: options(40) }
        }
        143 => {
            let [.., r0, r1] = word()?;
            let left = u16::from_be_bytes([r0, r1]);
            Icmpv6Message::ListenerReport2 {
                records: GroupRecords { data: data.skip(8), left, is_ipv6: true },
            }
        }
        _ => Icmpv6Message::Other,
    };
    Ok(Icmpv6 { kind, code, checksum: u16::from_be_bytes([c0, c1]), message, data })
}

impl<'a> Icmpv6<'a> {
    pub(crate) fn check(&self, ends: Ends) -> Checked {
        checksum::check_message(self.checksum, ends.source, ends.destination, protocol::ICMPV6, self.data)
    }

    /// The packet that it is about, if it is an error.
    pub fn quoted(&self) -> Option<&Quoted<'a>> {
        match &self.message {
            Icmpv6Message::Unreachable { quoted }
            | Icmpv6Message::PacketTooBig { quoted, .. }
            | Icmpv6Message::TimeExceeded { quoted }
            | Icmpv6Message::ParameterProblem { quoted, .. } => Some(quoted),
            _ => None,
        }
    }
}
