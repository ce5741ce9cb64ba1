//! Programs of classic BPF, as the kernel's `SO_ATTACH_FILTER` takes them.

use std::fmt;

use crate::machine::{self, Frame};

/// One instruction: `struct sock_filter` of `include/uapi/linux/filter.h`, in its layout and the machine's byte order.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Class, size, mode and operation (`include/uapi/linux/bpf_common.h`).
    pub code: u16,
    /// How many instructions a jump skips if its test holds.
    pub jt: u8,
    /// How many it skips otherwise.
    pub jf: u8,
    /// The constant, offset or register.
    pub k: u32,
}

/// The kernel takes no longer programs (`BPF_MAXINSNS`). Long ones it may refuse as well, with `ENOMEM`, if a socket has too
/// little room for them (`net.core.optmem_max`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// A classic BPF program: loads, tests, jumps forward, and in the end how many bytes of the packet to keep, or none.
///
/// Always one that the kernel accepts for sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    pub(crate) fn new(instructions: Vec<Instruction>) -> Self {
        Self { instructions }
    }

    /// Keeps the first `snaplen` bytes of every packet.
    pub fn accept_all(snaplen: u32) -> Self {
        Self::new(vec![Instruction { code: op::RETURN, jt: 0, jf: 0, k: snaplen }])
    }

    /// What to hand to the kernel; between 1 and [`MAX_INSTRUCTIONS`].
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Whether the program takes this frame.
    pub fn matches(&self, frame: &Frame<'_>) -> bool {
        self.run(frame) != 0
    }

    /// How many bytes of the frame the program keeps: its snaplen, or 0 for a frame that it does not take.
    pub fn run(&self, frame: &Frame<'_>) -> u32 {
        machine::run(&self.instructions, frame)
    }
}

/// The listing that `tcpdump -d` gives.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, instruction) in self.instructions.iter().enumerate() {
            writeln!(f, "({place:03}) {}", listing::Line { place, instruction })?;
        }
        Ok(())
    }
}

mod listing;

/// Instruction codes (`include/uapi/linux/bpf_common.h`).
pub(crate) mod op {
    pub(crate) const LOAD_WORD: u16 = 0x20;
    pub(crate) const LOAD_HALF: u16 = 0x28;
    pub(crate) const LOAD_BYTE: u16 = 0x30;
    pub(crate) const LOAD_WORD_X: u16 = 0x40;
    pub(crate) const LOAD_HALF_X: u16 = 0x48;
    pub(crate) const LOAD_BYTE_X: u16 = 0x50;
    pub(crate) const LOAD_LENGTH: u16 = 0x80;
    pub(crate) const LOAD_CONST: u16 = 0x00;
    pub(crate) const LOAD_MEMORY: u16 = 0x60;
    pub(crate) const X_CONST: u16 = 0x01;
    pub(crate) const X_MEMORY: u16 = 0x61;
    pub(crate) const X_LENGTH: u16 = 0x81;
    /// X becomes four times the low half of a byte: the length of an IPv4 header.
    pub(crate) const X_HEADER_LENGTH: u16 = 0xb1;
    pub(crate) const STORE: u16 = 0x02;
    pub(crate) const STORE_X: u16 = 0x03;
    pub(crate) const NEGATE: u16 = 0x84;
    pub(crate) const JUMP: u16 = 0x05;
    pub(crate) const JUMP_EQUAL: u16 = 0x15;
    pub(crate) const JUMP_GREATER: u16 = 0x25;
    pub(crate) const JUMP_GREATER_EQUAL: u16 = 0x35;
    pub(crate) const JUMP_SET: u16 = 0x45;
    pub(crate) const RETURN: u16 = 0x06;
    pub(crate) const RETURN_A: u16 = 0x16;
    pub(crate) const A_TO_X: u16 = 0x07;
    pub(crate) const X_TO_A: u16 = 0x87;
    /// Added to an arithmetic or jump code: the other operand is X, not the constant.
    pub(crate) const WITH_X: u16 = 0x08;
    /// Class of arithmetic instructions.
    pub(crate) const ALU: u16 = 0x04;
}

/// Words of scratch memory (`BPF_MEMWORDS`).
pub(crate) const MEMORY: usize = 16;

/// Loads from here on are of what the kernel knows of a packet, not of its bytes (`SKF_AD_OFF`).
pub(crate) const ANCILLARY: u32 = 0_u32.wrapping_sub(0x1000);

/// What can be loaded at [`ANCILLARY`] (`SKF_AD_*`).
pub(crate) mod ancillary {
    pub(crate) const PROTOCOL: u32 = 0;
    pub(crate) const PACKET_TYPE: u32 = 4;
    pub(crate) const INTERFACE: u32 = 8;
    pub(crate) const MARK: u32 = 20;
    pub(crate) const QUEUE: u32 = 24;
    pub(crate) const HARDWARE_TYPE: u32 = 28;
    pub(crate) const HASH: u32 = 32;
    pub(crate) const CPU: u32 = 36;
    pub(crate) const VLAN_TAG: u32 = 44;
    pub(crate) const VLAN_PRESENT: u32 = 48;
    pub(crate) const VLAN_TPID: u32 = 60;
}
