//! nft's numbers for what keys and values are (`enum datatypes`, nftables `include/datatype.h`).
//!
//! The kernel keeps them with a set and looks at none but [`VERDICT`]; nft reads elements by them.

/// A verdict (`NFT_DATA_VERDICT`); the kernel's own number.
pub const VERDICT: u32 = 0xffff_ff00;
/// IPv4 or IPv6, 1 byte (`NFPROTO_*`).
pub const NFPROTO: u32 = 2;
/// A whole number.
pub const INTEGER: u32 = 4;
/// A text.
pub const STRING: u32 = 5;
/// An IPv4 address, 4 bytes.
pub const IPV4: u32 = 7;
/// An IPv6 address, 16 bytes.
pub const IPV6: u32 = 8;
/// A hardware address, 6 bytes.
pub const MAC: u32 = 9;
/// An `EtherType`, 2 bytes.
pub const ETHERTYPE: u32 = 10;
/// An IP protocol, 1 byte.
pub const L4PROTO: u32 = 12;
/// A port, 2 bytes.
pub const PORT: u32 = 13;
/// An ICMP type, 1 byte.
pub const ICMP_TYPE: u32 = 14;
/// A mark, 4 bytes in the machine's order.
pub const MARK: u32 = 19;
/// An interface's number, 4 bytes in the machine's order.
pub const IFINDEX: u32 = 20;
/// A conntrack state, 4 bytes in the machine's order.
pub const CT_STATE: u32 = 26;
/// Direction of a packet in its connection, 1 byte.
pub const CT_DIRECTION: u32 = 27;
/// What became of a connection, 4 bytes in the machine's order.
pub const CT_STATUS: u32 = 28;
/// An `ICMPv6` type, 1 byte.
pub const ICMPV6_TYPE: u32 = 29;
/// An interface's name, 16 bytes.
pub const IFNAME: u32 = 41;
/// What an address is to a namespace, 4 bytes in the machine's order (`RTN_*`).
pub const FIB_ADDRESS_TYPE: u32 = 38;

/// The number of a key of several values one after the other: six bits for each.
pub fn concatenation(types: &[u32]) -> u32 {
    types.iter().fold(0, |all, kind| (all << 6) | (kind & 0x3f))
}
