//! What registers, comparisons and set elements hold.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

use nslab_types::{IfName, MacAddr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes as the kernel holds them; hexadecimal in JSON.
///
/// Numbers of packets (ports, addresses, lengths) are in network order; numbers of the machine (marks, interface
/// numbers, conntrack states) are in the machine's order, as both are in registers.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Data(Vec<u8>);

impl Data {
    /// The most that one value can hold (`NFT_DATA_VALUE_MAXLEN`).
    pub const MAX_LEN: usize = 64;

    /// No bytes.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// One byte, as a protocol number or an ICMP type.
    pub fn u8(value: u8) -> Self {
        Self(vec![value])
    }

    /// Two bytes in network order, as a port.
    pub fn be16(value: u16) -> Self {
        Self(value.to_be_bytes().to_vec())
    }

    /// Four bytes in network order.
    pub fn be32(value: u32) -> Self {
        Self(value.to_be_bytes().to_vec())
    }

    /// Two bytes in the machine's order, as a hardware type (`meta iiftype`).
    pub fn ne16(value: u16) -> Self {
        Self(value.to_ne_bytes().to_vec())
    }

    /// Four bytes in the machine's order, as a mark, an interface number or a conntrack state.
    pub fn ne32(value: u32) -> Self {
        Self(value.to_ne_bytes().to_vec())
    }

    /// Eight bytes in the machine's order, as a number of bytes or a time.
    pub fn ne64(value: u64) -> Self {
        Self(value.to_ne_bytes().to_vec())
    }

    /// An IPv4 (4 bytes) or IPv6 (16 bytes) address.
    pub fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(address.octets().to_vec()),
            IpAddr::V6(address) => Self(address.octets().to_vec()),
        }
    }

    /// A hardware address.
    pub fn mac(mac: MacAddr) -> Self {
        Self(mac.0.to_vec())
    }

    /// An interface name as `meta iifname` loads it: 16 bytes (`IFNAMSIZ`), padded with zeros.
    pub fn interface_name(name: IfName) -> Self {
        let mut bytes = name.as_str().as_bytes().to_vec();
        bytes.resize(16, 0);
        Self(bytes)
    }

    /// The bytes, taken out.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The bytes as text up to the first zero, where that is all that they are.
    pub fn text(&self) -> Option<&str> {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let rest_is_zero = self.0[end..].iter().all(|&byte| byte == 0);
        std::str::from_utf8(&self.0[..end]).ok().filter(|_| rest_is_zero)
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Data {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Hexadecimal digits, without a prefix.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{self}")
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("not a whole number of bytes in hexadecimal digits");
        if text.len() % 2 != 0 || !text.is_ascii() {
            return Err(wrong());
        }
        let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
        Ok(Self(bytes.collect::<Result<_, _>>().map_err(|_| wrong())?))
    }
}

/// A place in the 64 bytes of data registers that a packet's evaluation has.
///
/// The kernel knows these bytes under two numberings: four registers of 16 bytes (`NFT_REG_1` to `NFT_REG_4`, numbers 1 to
/// 4) and sixteen *slots* of four bytes (`NFT_REG32_00` to `NFT_REG32_15`, numbers 8 to 23); register 1 is slots 0 to 3.
/// A `Register` is the slot at which a value starts; a longer value goes on into the slots that follow. The verdict
/// register (number 0) is none of them: where an expression writes a verdict, it says so ([`crate::nftables::Expr::Verdict`],
/// [`crate::nftables::LookupInto::Verdict`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Register(u8);

/// Registers of four bytes (`NFT_REG32_COUNT`).
const SLOTS: u8 = 16;
/// `NFT_REG32_00`.
const FIRST_SLOT_NUMBER: u32 = 8;

impl Register {
    /// The first register; slots 0 to 3.
    pub const R1: Register = Register(0);
    /// The second register; slots 4 to 7.
    pub const R2: Register = Register(4);
    /// The third register; slots 8 to 11.
    pub const R3: Register = Register(8);
    /// The fourth register; slots 12 to 15.
    pub const R4: Register = Register(12);

    /// The register that starts at this slot of four bytes, 0 to 15.
    pub const fn slot(slot: u8) -> Option<Self> {
        if slot < SLOTS { Some(Self(slot)) } else { None }
    }

    /// The slot at which it starts; its bytes start at four times that.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The register of the kernel's number, of either numbering; none for the verdict register and what does not exist.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1..=4 => Self::slot(u8::try_from((number - 1) * 4).ok()?),
            _ => Self::slot(u8::try_from(number.checked_sub(FIRST_SLOT_NUMBER)?).ok()?),
        }
    }

    /// The kernel's number: of a 16-byte register where one starts here (as the kernel itself shows it), else of the slot.
    pub fn number(self) -> u32 {
        let slot = u32::from(self.0);
        if slot.is_multiple_of(4) { slot / 4 + 1 } else { slot + FIRST_SLOT_NUMBER }
    }
}

impl<'de> Deserialize<'de> for Register {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::slot(u8::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("slots are numbered 0 to 15"))
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reg {}", self.number())
    }
}

/// What an evaluation comes to, or does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The packet passes this hook (`NF_ACCEPT`); later chains of the hook still see it.
    Accept,
    /// The packet is gone (`NF_DROP`).
    Drop,
    /// A program gets it (`NF_QUEUE`).
    Queue {
        /// The queue's number.
        number: u16,
        /// The packet passes if no program listens (`NF_VERDICT_FLAG_QUEUE_BYPASS`).
        bypass: bool,
    },
    /// The next expression is evaluated (`NFT_CONTINUE`).
    Continue,
    /// The next rule is evaluated (`NFT_BREAK`).
    Break,
    /// The chain is evaluated, and then the rule after this one (`NFT_JUMP`).
    Jump(String),
    /// The chain is evaluated instead of the rest of this one (`NFT_GOTO`).
    Goto(String),
    /// The rule after the jump to this chain comes next, or the policy (`NFT_RETURN`).
    Return,
    /// Another code.
    Other(i32),
}

/// `include/uapi/linux/netfilter.h` and `enum nft_verdicts`.
mod code {
    pub(super) const DROP: i32 = 0;
    pub(super) const ACCEPT: i32 = 1;
    pub(super) const QUEUE: i32 = 3;
    pub(super) const MASK: i32 = 0xff;
    pub(super) const QUEUE_BYPASS: i32 = 0x8000;
    pub(super) const CONTINUE: i32 = -1;
    pub(super) const BREAK: i32 = -2;
    pub(super) const JUMP: i32 = -3;
    pub(super) const GOTO: i32 = -4;
    pub(super) const RETURN: i32 = -5;
}

impl Verdict {
    /// The kernel's code.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Accept => code::ACCEPT,
            Self::Drop => code::DROP,
            Self::Queue { number, bypass } => {
                let bypass = if *bypass { code::QUEUE_BYPASS } else { 0 };
                (i32::from(*number) << 16) | bypass | code::QUEUE
            }
            Self::Continue => code::CONTINUE,
            Self::Break => code::BREAK,
            Self::Jump(_) => code::JUMP,
            Self::Goto(_) => code::GOTO,
            Self::Return => code::RETURN,
            Self::Other(code) => *code,
        }
    }

    /// The verdict of the kernel's code; none for a jump without a chain.
    pub(crate) fn from_code(code: i32, chain: Option<String>) -> Option<Self> {
        Some(match code {
            code::ACCEPT => Self::Accept,
            code::DROP => Self::Drop,
            code::CONTINUE => Self::Continue,
            code::BREAK => Self::Break,
            code::JUMP => Self::Jump(chain?),
            code::GOTO => Self::Goto(chain?),
            code::RETURN => Self::Return,
            // What else than the number and the one flag is set is not known.
            queue if queue & code::MASK == code::QUEUE && queue & 0x7f00 == 0 => Self::Queue {
                number: u16::try_from((queue >> 16) & 0xffff).unwrap_or(0),
                bypass: queue & code::QUEUE_BYPASS != 0,
            },
            other => Self::Other(other),
        })
    }

    /// The chain that it leads to.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }
}

/// An attribute that this crate does not know, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RawAttribute {
    /// Its type, without flag bits.
    pub kind: u16,
    /// Its content.
    pub payload: Data,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_two_numberings() {
        for (number, slot) in [(1, 0), (2, 4), (3, 8), (4, 12), (8, 0), (9, 1), (12, 4), (23, 15)] {
            assert_eq!(Register::from_number(number).map(Register::index), Some(slot));
        }
        for number in [0, 5, 6, 7, 24, u32::MAX] {
            assert_eq!(Register::from_number(number), None);
        }
        for slot in 0..16 {
            let register = Register::slot(slot).unwrap();
            assert_eq!(Register::from_number(register.number()), Some(register));
        }
        assert_eq!(Register::slot(16), None);
        assert_eq!(Register::R2.number(), 2);
    }

    #[test]
    fn verdicts_survive_their_codes() {
        let jump = |name: &str| Some(name.to_owned());
        let verdicts = [
            (Verdict::Accept, None),
            (Verdict::Drop, None),
            (Verdict::Queue { number: 65535, bypass: true }, None),
            (Verdict::Queue { number: 3, bypass: false }, None),
            (Verdict::Continue, None),
            (Verdict::Break, None),
            (Verdict::Return, None),
            (Verdict::Jump("a".into()), jump("a")),
            (Verdict::Goto("b".into()), jump("b")),
            (Verdict::Other(2), None),
            (Verdict::Other(0x0001_0000), None),
        ];
        for (verdict, chain) in verdicts {
            assert_eq!(Verdict::from_code(verdict.code(), chain), Some(verdict));
        }
        assert_eq!(Verdict::from_code(-3, None), None);
    }

    #[test]
    fn bytes_are_hexadecimal_in_json() {
        let data = Data::from([0, 0xab, 7]);
        assert_eq!(serde_json::to_string(&data).unwrap(), "\"00ab07\"");
        assert_eq!(serde_json::from_str::<Data>("\"00ab07\"").unwrap(), data);
        for wrong in ["\"0\"", "\"0g\"", "\"€€\"", "7"] {
            assert!(serde_json::from_str::<Data>(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Register>("16").is_err());
    }
}
