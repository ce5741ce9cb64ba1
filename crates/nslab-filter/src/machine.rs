//! A machine that runs classic BPF over a frame in memory.

use crate::program::{ANCILLARY, Instruction, MEMORY, ancillary, op};

/// A packet as a packet socket sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its bytes from the Ethernet header on, as far as they were captured.
    pub bytes: &'a [u8],
    /// How long it was on the wire, in bytes (`len`).
    pub length: u32,
    /// What the kernel knows of it beside its bytes.
    pub ancillary: Ancillary,
}

impl<'a> Frame<'a> {
    /// A whole frame of which nothing else is known.
    pub fn new(bytes: &'a [u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { bytes, length, ancillary: Ancillary::default() }
    }
}

/// What the kernel knows of a packet beside its bytes (`SKF_AD_*` of `include/uapi/linux/filter.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ancillary {
    /// `sll_pkttype`: 0 to us, 1 broadcast, 2 multicast, 3 to another host, 4 outgoing (`include/uapi/linux/if_packet.h`).
    pub packet_type: u8,
    /// Number of the interface, in its own namespace.
    pub interface: u32,
    /// EtherType, in host order, without a tag that was taken out.
    pub protocol: u16,
    /// The VLAN tag that was taken out of the frame's bytes.
    pub vlan: Option<VlanTag>,
    /// `skb->mark`.
    pub mark: u32,
}

/// A VLAN tag kept beside a frame's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanTag {
    /// Priority, DEI and VLAN id (IEEE 802.1Q 9.6).
    pub control: u16,
    /// EtherType of the tag, mostly 0x8100.
    pub protocol: u16,
}

/// Runs a program to its end; 0 if it does anything that the kernel would not let it do, such as reading past the end.
///
/// Jumps only go forward, so it ends after at most as many steps as there are instructions.
pub(crate) fn run(program: &[Instruction], frame: &Frame<'_>) -> u32 {
    let mut state = State { a: 0, x: 0, memory: [0; MEMORY], frame };
    let mut next = 0;
    while let Some(instruction) = program.get(next) {
        let Some(step) = state.step(*instruction) else { return 0 };
        match step {
            Step::Skip(count) => next += 1 + count,
            Step::Return(kept) => return kept,
        }
    }
    0
}

enum Step {
    Skip(usize),
    Return(u32),
}

struct State<'a> {
    a: u32,
    x: u32,
    memory: [u32; MEMORY],
    frame: &'a Frame<'a>,
}

impl State<'_> {
    /// One instruction; nothing if it reads outside the frame, divides by zero or is none.
    fn step(&mut self, instruction: Instruction) -> Option<Step> {
        let Instruction { code, jt, jf, k } = instruction;
        match code {
            op::LOAD_WORD | op::LOAD_HALF | op::LOAD_BYTE => self.a = self.load(k, size(code))?,
            op::LOAD_WORD_X | op::LOAD_HALF_X | op::LOAD_BYTE_X => {
                self.a = self.packet(self.x.wrapping_add(k), size(code))?;
            }
            op::LOAD_LENGTH => self.a = self.frame.length,
            op::LOAD_CONST => self.a = k,
            op::LOAD_MEMORY => self.a = *self.memory.get(k as usize)?,
            op::X_CONST => self.x = k,
            op::X_MEMORY => self.x = *self.memory.get(k as usize)?,
            op::X_LENGTH => self.x = self.frame.length,
            op::X_HEADER_LENGTH => self.x = (self.packet(k, 1)? & 0xf) << 2,
            op::STORE => *self.memory.get_mut(k as usize)? = self.a,
            op::STORE_X => *self.memory.get_mut(k as usize)? = self.x,
            op::NEGATE => self.a = self.a.wrapping_neg(),
            op::JUMP => return Some(Step::Skip(k as usize)),
            op::RETURN => return Some(Step::Return(k)),
            op::RETURN_A => return Some(Step::Return(self.a)),
            op::A_TO_X => self.x = self.a,
            op::X_TO_A => self.a = self.x,
            _ => {
                let other = if code & op::WITH_X == 0 { k } else { self.x };
                let kind = code & !op::WITH_X;
                let holds = match kind {
                    op::JUMP_EQUAL => self.a == other,
                    op::JUMP_GREATER => self.a > other,
                    op::JUMP_GREATER_EQUAL => self.a >= other,
                    op::JUMP_SET => self.a & other != 0,
                    _ => {
                        self.a = Arithmetic::from_code(kind)?.apply(self.a, other)?;
                        return Some(Step::Skip(0));
                    }
                };
                return Some(Step::Skip(usize::from(if holds { jt } else { jf })));
            }
        }
        Some(Step::Skip(0))
    }

    fn load(&self, offset: u32, size: usize) -> Option<u32> {
        let known = &self.frame.ancillary;
        let Some(what) = offset.checked_sub(ANCILLARY) else { return self.packet(offset, size) };
        Some(match what {
            ancillary::PROTOCOL => known.protocol.into(),
            ancillary::PACKET_TYPE => known.packet_type.into(),
            ancillary::INTERFACE => known.interface,
            ancillary::MARK => known.mark,
            ancillary::QUEUE | ancillary::HASH | ancillary::CPU => 0,
            ancillary::HARDWARE_TYPE => 1,
            ancillary::VLAN_TAG => known.vlan.map_or(0, |tag| tag.control.into()),
            ancillary::VLAN_PRESENT => known.vlan.is_some().into(),
            ancillary::VLAN_TPID => known.vlan.map_or(0, |tag| tag.protocol.into()),
            _ => return None,
        })
    }

    fn packet(&self, offset: u32, size: usize) -> Option<u32> {
        let start = offset as usize;
        let bytes = self.frame.bytes.get(start..start.checked_add(size)?)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }
}

/// How many bytes a load reads.
fn size(code: u16) -> usize {
    match code & 0x18 {
        0 => 4,
        8 => 2,
        _ => 1,
    }
}

/// What an arithmetic instruction does with A and its other operand, in 32 bits that wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Mod,
    Xor,
}

impl Arithmetic {
    const CODES: [(Self, u16); 10] = [
        (Self::Add, 0x00),
        (Self::Sub, 0x10),
        (Self::Mul, 0x20),
        (Self::Div, 0x30),
        (Self::Or, 0x40),
        (Self::And, 0x50),
        (Self::ShiftLeft, 0x60),
        (Self::ShiftRight, 0x70),
        (Self::Mod, 0x90),
        (Self::Xor, 0xa0),
    ];

    /// The instruction's code, with a constant.
    pub(crate) fn code(self) -> u16 {
        let place = Self::CODES.iter().find(|(operation, _)| *operation == self);
        op::ALU | place.map_or(0, |(_, code)| *code)
    }

    fn from_code(code: u16) -> Option<Self> {
        Self::CODES.iter().find(|(_, bits)| op::ALU | bits == code).map(|(operation, _)| *operation)
    }

    /// The result; nothing if it divides by zero, which ends a program. Shifts are by the low five bits, as the kernel's.
    pub(crate) fn apply(self, left: u32, right: u32) -> Option<u32> {
        Some(match self {
            Self::Add => left.wrapping_add(right),
            Self::Sub => left.wrapping_sub(right),
            Self::Mul => left.wrapping_mul(right),
            Self::Div => left.checked_div(right)?,
            Self::Or => left | right,
            Self::And => left & right,
            Self::ShiftLeft => left.wrapping_shl(right),
            Self::ShiftRight => left.wrapping_shr(right),
            Self::Mod => left.checked_rem(right)?,
            Self::Xor => left ^ right,
        })
    }
}
