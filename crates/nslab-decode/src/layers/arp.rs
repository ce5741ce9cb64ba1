//! ARP and RARP (RFC 826, RFC 903).

use std::net::Ipv4Addr;

use nslab_types::MacAddr;
use serde::Serialize;

use crate::data::{Broken, Data};

/// What is asked or said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArpOperation {
    /// 1: who has the target's address?
    Request,
    /// 2: the sender has.
    Reply,
    /// 3: which address has the target?
    ReverseRequest,
    /// 4: that one.
    ReverseReply,
    /// 8: which address has who the target is (RFC 2390)?
    InverseRequest,
    /// 9: that one.
    InverseReply,
    /// Another number.
    Other(u16),
}

/// A message of ARP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Arp<'a> {
    /// What is asked or said.
    pub operation: ArpOperation,
    /// The kind of hardware addresses, 1 for Ethernet.
    pub hardware: u16,
    /// The kind of the others, an `EtherType`: 0x0800.
    pub protocol: u16,
    /// The length of a hardware address, in bytes.
    pub hardware_length: u8,
    /// The length of one of the others, in bytes.
    pub protocol_length: u8,
    /// The four addresses, where they are of Ethernet and IPv4.
    #[serde(flatten)]
    pub addresses: Option<ArpAddresses>,
    /// All of the message.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// Who speaks, and about whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ArpAddresses {
    /// The sender's hardware address.
    pub sender_mac: MacAddr,
    /// The sender's address.
    pub sender: Ipv4Addr,
    /// The target's hardware address; zeros in a request.
    pub target_mac: MacAddr,
    /// The target's address.
    pub target: Ipv4Addr,
}

pub(crate) fn read(data: Data<'_>) -> Result<Arp<'_>, Broken> {
    let broken = Broken::of("arp");
    let [h0, h1, p0, p1, hardware_length, protocol_length, o0, o1] = *data.header().map_err(&broken)?;
    let hardware = u16::from_be_bytes([h0, h1]);
    let protocol = u16::from_be_bytes([p0, p1]);
    let operation = match u16::from_be_bytes([o0, o1]) {
        1 => ArpOperation::Request,
        2 => ArpOperation::Reply,
        3 => ArpOperation::ReverseRequest,
        4 => ArpOperation::ReverseReply,
        8 => ArpOperation::InverseRequest,
        9 => ArpOperation::InverseReply,
        other => ArpOperation::Other(other),
    };
    let addresses = if (hardware_length, protocol_length) == (6, 4) {
        let bytes: &[u8; 20] = data.skip(8).header().map_err(&broken)?;
        let mac = |at: usize| MacAddr(std::array::from_fn(|i| bytes[at + i]));
        let address = |at: usize| Ipv4Addr::from(std::array::from_fn(|i| bytes[at + i]));
        Some(ArpAddresses {
            sender_mac: mac(0),
            sender: address(6),
            target_mac: mac(10),
            target: address(16),
        })
    } else {
        None
    };
    Ok(Arp { operation, hardware, protocol, hardware_length, protocol_length, addresses, data })
}
