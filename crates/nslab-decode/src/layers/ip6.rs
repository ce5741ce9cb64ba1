//! IPv6 and its extension headers (RFC 8200).

use std::net::Ipv6Addr;

use serde::Serialize;

use crate::data::{Broken, Data, Fault};
use crate::layers::{Fragment, Transport, Walk, ip};

/// So many headers between IPv6 and what it carries are followed.
const MOST_EXTENSIONS: usize = 16;

/// A packet of IPv6.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ipv6<'a> {
    /// From whom.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
    /// As IPv4's `tos`.
    pub traffic_class: u8,
    /// 20 bits.
    pub flow_label: u32,
    /// The packet's length without this header, in bytes.
    pub payload_length: u16,
    /// What follows this header.
    pub next_header: u8,
    /// So many more hops it may take.
    pub hop_limit: u8,
    /// Headers in between.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension<'a>>,
    /// What it carries (include/uapi/linux/in6.h), behind all of them.
    pub protocol: u8,
    /// What it carries.
    #[serde(flatten)]
    pub transport: Transport<'a>,
    /// From the header on, as long as it says.
    #[serde(skip)]
    pub data: Data<'a>,
    /// What comes behind all headers.
    #[serde(skip)]
    pub payload: Data<'a>,
    /// So many bytes what carries it is too short for `payload_length`.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A header between IPv6 and what it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension<'a> {
    /// 0: for every hop.
    HopByHop {
        /// From its third byte on.
        options: Data<'a>,
    },
    /// 60: for who it is to.
    Destination {
        /// From its third byte on.
        options: Data<'a>,
    },
    /// 43: by whom else it is to go.
    Routing {
        /// 0 out of use, 2 mobile, 4 segment routing.
        kind: u8,
        /// So many stations are left.
        segments_left: u8,
        /// All of it.
        data: Data<'a>,
    },
    /// 44: a piece of a packet.
    Fragment(Fragment),
}

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Ipv6<'a>, Broken> {
    let broken = |fault| Broken::of("ip6")(fault).about(data);
    if let Some(first) = data.u8(0)
        && first >> 4 != 6
    {
        return Err(broken(Fault::Version { version: first >> 4 }));
    }
    let header: &[u8; 40] = data.header().map_err(broken)?;
    let first = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let address = |at: usize| Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|i| header[at + i]));
    let payload_length = u16::from_be_bytes([header[4], header[5]]);
    // Zero of a packet longer than 65575 bytes, which may have an option that says how long (RFC 2675).
    let whole = match payload_length {
        0 if header[6] == 0 || data.length() > usize::from(u16::MAX) + header.len() => data.length(),
        length => usize::from(length) + header.len(),
    };
    let missing = whole.saturating_sub(data.length());
    let data = data.beginning_of(whole);
    let mut packet = Ipv6 {
        source: address(8),
        destination: address(24),
        traffic_class: ((first >> 20) & 0xff) as u8,
        flow_label: first & 0xf_ffff,
        payload_length,
        next_header: header[6],
        hop_limit: header[7],
        extensions: Vec::new(),
        protocol: header[6],
        transport: Transport::Nothing,
        data,
        payload: data.skip(header.len()),
        missing,
    };
    packet.transport = match packet.read_extensions() {
        Err(broken) => Transport::Broken(broken),
        Ok(()) => match packet.fragment() {
            Some(Fragment { offset: 1.., .. }) => Transport::LaterFragment(packet.payload),
            _ if packet.protocol == 59 => Transport::Nothing,
            _ => ip::transport(packet.protocol, packet.payload, true, walk),
        },
    };
    Ok(packet)
}

impl Ipv6<'_> {
    /// Up to what the packet carries, or to what cannot be read.
    fn read_extensions(&mut self) -> Result<(), Broken> {
        while self.extensions.len() < MOST_EXTENSIONS {
            let data = self.payload;
            let (name, length) = match self.protocol {
                0 => ("hbhopt", 1),
                60 => ("dstopt", 1),
                43 => ("rt6", 1),
                44 => ("frag6", 8),
                _ => return Ok(()),
            };
            let broken = |fault| Broken::of(name)(fault).about(data);
            let [next, size] = *data.header().map_err(broken)?;
            let length = match self.protocol {
                44 => length,
                _ => (usize::from(size) + 1) * 8,
            };
            let header = data.first(length);
            let bytes: &[u8; 8] = data.header().map_err(broken)?;
            let word = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
            self.extensions.push(match self.protocol {
                0 => Extension::HopByHop { options: header.skip(2) },
                60 => Extension::Destination { options: header.skip(2) },
                43 => Extension::Routing { kind: bytes[2], segments_left: bytes[3], data: header },
                _ => {
                    let field = u16::from_be_bytes([bytes[2], bytes[3]]);
                    Extension::Fragment(Fragment {
                        id: word(4),
                        offset: field & 0xfff8,
                        more: field & 1 != 0,
                    })
                }
            });
            // Options that are cut are there as far as they go; what is behind them is not.
            data.header_of(length).map_err(broken)?;
            (self.protocol, self.payload) = (next, data.skip(length));
            if matches!(self.fragment(), Some(Fragment { offset: 1.., .. })) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether it is one of several pieces, and which.
    pub fn fragment(&self) -> Option<Fragment> {
        self.extensions.iter().find_map(|extension| match extension {
            Extension::Fragment(fragment) => Some(*fragment),
            _ => None,
        })
    }
}
