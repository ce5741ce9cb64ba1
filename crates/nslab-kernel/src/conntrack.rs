//! Entries of connection tracking (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).

use std::fmt;
use std::net::IpAddr;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::abi::*;
use crate::error::{Error, Result};
use crate::netlink::{Attributes, MessageWriter, Request, Socket};

/// The bytes of `struct nfgenmsg`.
const HEADER_LEN: usize = 4;

/// One direction of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tuple {
    /// Where its packets come from.
    pub source: IpAddr,
    /// Where they go.
    pub destination: IpAddr,
    /// The protocol number.
    pub protocol: u8,
    /// What tells connections of the same hosts and protocol apart.
    pub keys: Keys,
}

/// What tells connections of the same hosts and protocol apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keys {
    /// Ports.
    Ports {
        /// The sender's.
        source: u16,
        /// The receiver's.
        destination: u16,
    },
    /// Type, code and identifier of ICMP or ICMPv6.
    Icmp {
        /// As 8, an echo request.
        kind: u8,
        /// 0 where there are no codes.
        code: u8,
        /// Of an echo.
        id: u16,
    },
    /// Nothing.
    None,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What the first packet looked like before NAT.
    pub original: Tuple,
    /// What answers to it look like. Without NAT it is the original one turned round.
    pub reply: Tuple,
    /// `IPS_…` bits (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
    pub status: u32,
    /// The connection mark.
    pub mark: u32,
    /// Seconds until it is forgotten, unless it is used.
    pub timeout: u32,
    /// The zone; 0 unless a rule says otherwise.
    pub zone: u16,
    /// The state of a TCP connection (`enum tcp_conntrack`).
    pub tcp_state: Option<u8>,
}

impl Entry {
    /// Packets have gone both ways (`IPS_SEEN_REPLY`): what nftables calls established.
    pub fn has_answered(&self) -> bool {
        self.status & IPS_SEEN_REPLY != 0
    }

    /// Its source or destination is rewritten (`IPS_SRC_NAT`, `IPS_DST_NAT`).
    pub fn is_translated(&self) -> bool {
        self.status & (IPS_SRC_NAT | IPS_DST_NAT) != 0
    }
}

const IPS_SEEN_REPLY: u32 = 1 << 1;
const IPS_SRC_NAT: u32 = 1 << 4;
const IPS_DST_NAT: u32 = 1 << 5;

/// `IPCTNL_MSG_CT_GET` for all entries.
struct GetEntries;

impl fmt::Display for GetEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list tracked connections")
    }
}

impl Request for GetEntries {
    fn message_type(&self) -> u16 {
        CTNETLINK << 8 | IPCTNL_MSG_CT_GET
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[0; HEADER_LEN]);
    }
}

/// The connections of the namespace that `socket` (of
/// [`netlink::Protocol::Netfilter`](crate::netlink::Protocol::Netfilter)) belongs to, in no order. None where the kernel
/// cannot list them (`CONFIG_NF_CT_NETLINK`).
pub fn list(socket: &mut Socket) -> Result<Option<Vec<Entry>>> {
    let listed = socket.dump("tracked connections", &GetEntries, |kind, payload| {
        let attributes = payload.get(HEADER_LEN..).map(Attributes::new);
        let is_entry = kind == CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
        Ok(attributes.filter(|_| is_entry).and_then(|attributes| parse(&attributes)))
    });
    match listed {
        // Nobody answers for the subsystem (`nfnetlink_rcv_msg`, net/netfilter/nfnetlink.c).
        Err(Error::Refused { refusal, .. }) if matches!(refusal.errno, Errno::INVAL | Errno::OPNOTSUPP) => {
            Ok(None)
        }
        listed => listed.map(Some),
    }
}

pub(crate) fn parse(attributes: &Attributes<'_>) -> Option<Entry> {
    let tuple = |kind| attributes.get(kind).and_then(|tuple| parse_tuple(&tuple.nested()));
    let number = |kind| attributes.get(kind).and_then(|value| value.be32()).unwrap_or(0);
    let tcp = attributes.get(CTA_PROTOINFO).and_then(|info| info.nested().get(CTA_PROTOINFO_TCP));
    Some(Entry {
        original: tuple(CTA_TUPLE_ORIG)?,
        reply: tuple(CTA_TUPLE_REPLY)?,
        status: number(CTA_STATUS),
        mark: number(CTA_MARK),
        timeout: number(CTA_TIMEOUT),
        zone: attributes.get(CTA_ZONE).and_then(|zone| zone.be16()).unwrap_or(0),
        tcp_state: tcp.and_then(|tcp| tcp.nested().get(CTA_PROTOINFO_TCP_STATE)?.u8()),
    })
}

fn parse_tuple(tuple: &Attributes<'_>) -> Option<Tuple> {
    let ip = tuple.get(CTA_TUPLE_IP)?.nested();
    let address = |v4, v6| ip.get(v4).or_else(|| ip.get(v6))?.address();
    let proto = tuple.get(CTA_TUPLE_PROTO)?.nested();
    let be16 = |kind| proto.get(kind).and_then(|value| value.be16());
    let byte = |kind| proto.get(kind).and_then(|value| value.u8());
    let icmp = byte(CTA_PROTO_ICMP_TYPE).or_else(|| byte(CTA_PROTO_ICMPV6_TYPE));
    let keys = if let Some(kind) = icmp {
        Keys::Icmp {
            kind,
            code: byte(CTA_PROTO_ICMP_CODE).or_else(|| byte(CTA_PROTO_ICMPV6_CODE)).unwrap_or(0),
            id: be16(CTA_PROTO_ICMP_ID).or_else(|| be16(CTA_PROTO_ICMPV6_ID)).unwrap_or(0),
        }
    } else if let (Some(source), Some(destination)) = (be16(CTA_PROTO_SRC_PORT), be16(CTA_PROTO_DST_PORT)) {
        Keys::Ports { source, destination }
    } else {
        Keys::None
    };
    Some(Tuple {
        source: address(CTA_IP_V4_SRC, CTA_IP_V6_SRC)?,
        destination: address(CTA_IP_V4_DST, CTA_IP_V6_DST)?,
        protocol: byte(CTA_PROTO_NUM)?,
        keys,
    })
}
