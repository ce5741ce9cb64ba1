//! Packets as they pass the interfaces of a namespace (packet(7)).
//!
//! A [`PacketSocket`] sees every frame of every interface of one namespace, in both directions, through a ring of memory
//! that it shares with the kernel (`networking/packet_mmap.rst`): the kernel fills block after block, or hands over each frame alone
//! ([`Delivery`]), the program reads a [`Block`] while it holds it and gives it back. What finds no free one is lost and counted.

mod frame;
mod ring;
mod select;
mod socket;

pub use frame::{Frame, Frames, PacketKind, Vlan, frame_at};
pub use ring::{Block, Delivery, RingSize};
pub use select::{Direction, Wanted, program};
pub use socket::{Counts, PacketSocket};

pub use crate::qdisc::Instruction;

/// `ETH_P_ALL` (`include/uapi/linux/if_ether.h`).
const ETH_P_ALL: u16 = 3;
/// The hardware type of Ethernet (`ARPHRD_ETHER`, `include/uapi/linux/if_arp.h`).
pub const HARDWARE_ETHERNET: u16 = 1;
/// The hardware type of the loopback interface, whose frames have an Ethernet header too (`ARPHRD_LOOPBACK`).
pub const HARDWARE_LOOPBACK: u16 = crate::abi::ARPHRD_LOOPBACK;
