//! Classic BPF, as `cls_bpf` takes it.

use serde::{Deserialize, Serialize};

/// One instruction of classic BPF (`struct sock_filter`, `include/uapi/linux/filter.h`; networking/filter.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions are skipped if a comparison holds.
    pub if_true: u8,
    /// The same if it does not.
    pub if_false: u8,
    /// Its operand.
    pub operand: u32,
}

/// Where the kernel's own values begin (`SKF_AD_OFF`), and where the network header does (`SKF_NET_OFF`).
const ANCILLARY: u32 = (-0x1000_i32).cast_unsigned();
const NETWORK: u32 = (-0x10_0000_i32).cast_unsigned();

impl Instruction {
    const fn new(code: u16, operand: u32) -> Self {
        Self { code, if_true: 0, if_false: 0, operand }
    }

    /// Loads four bytes of the frame.
    pub const fn load_word(at: u32) -> Self {
        Self::new(0x20, at)
    }

    /// Loads two bytes of the frame.
    pub const fn load_half(at: u32) -> Self {
        Self::new(0x28, at)
    }

    /// Loads a byte of the network header.
    pub const fn load_network_byte(at: u32) -> Self {
        Self::new(0x30, NETWORK + at)
    }

    /// Loads the `EtherType` (`SKF_AD_PROTOCOL`).
    pub const fn load_protocol() -> Self {
        Self::new(0x28, ANCILLARY)
    }

    /// Loads 1 for a frame whose VLAN tag the kernel keeps beside it, else 0 (`SKF_AD_VLAN_TAG_PRESENT`).
    pub const fn load_tagged() -> Self {
        Self::new(0x20, ANCILLARY + 48)
    }

    /// Loads a random number (`SKF_AD_RANDOM`).
    pub const fn load_random() -> Self {
        Self::new(0x20, ANCILLARY + 56)
    }

    /// Goes on if what is loaded is `value`, else skips `otherwise`.
    pub const fn unless_equal(value: u32, otherwise: u8) -> Self {
        Self { code: 0x15, if_true: 0, if_false: otherwise, operand: value }
    }

    /// Skips `then` if what is loaded is `value`.
    pub const fn if_equal(value: u32, then: u8) -> Self {
        Self { code: 0x15, if_true: then, if_false: 0, operand: value }
    }

    /// Skips `then` if what is loaded is at least `value`.
    pub const fn if_at_least(value: u32, then: u8) -> Self {
        Self { code: 0x35, if_true: then, if_false: 0, operand: value }
    }

    /// Skips `then` if what is loaded is greater than `value`.
    pub const fn if_greater(value: u32, then: u8) -> Self {
        Self { code: 0x25, if_true: then, if_false: 0, operand: value }
    }

    /// Skips so many.
    pub const fn skip(count: u32) -> Self {
        Self::new(0x05, count)
    }

    /// Ends with a result: for a filter, the class; 0 if it does not match.
    pub const fn give(value: u32) -> Self {
        Self::new(0x06, value)
    }

    /// `struct sock_filter`.
    pub(super) fn bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&self.code.to_ne_bytes());
        bytes[2] = self.if_true;
        bytes[3] = self.if_false;
        bytes[4..].copy_from_slice(&self.operand.to_ne_bytes());
        bytes
    }

    pub(super) fn read(bytes: [u8; 8]) -> Self {
        let [c0, c1, if_true, if_false, k0, k1, k2, k3] = bytes;
        Self {
            code: u16::from_ne_bytes([c0, c1]),
            if_true,
            if_false,
            operand: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }
}
