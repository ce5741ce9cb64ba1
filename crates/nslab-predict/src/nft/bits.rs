//! Bytes of which some bits may not be known.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::Doubt;

/// As many bytes as registers have (`NFT_REG32_COUNT` words).
pub(super) const MOST: usize = 64;

/// Up to 64 bytes. A bit that is not known is 0 in both fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits {
    value: [u8; MOST],
    known: [u8; MOST],
    len: usize,
}

impl Bits {
    /// Bytes of which the bits in `known` are known. What is beyond 64 bytes is cut off: no register holds it.
    pub(super) fn partly(value: &[u8], known: &[u8]) -> Self {
        let len = value.len().min(known.len()).min(MOST);
        let mut bits = Self { value: [0; MOST], known: [0; MOST], len };
        for at in 0..len {
            bits.value[at] = value[at] & known[at];
            bits.known[at] = known[at];
        }
        bits
    }

    pub(super) fn known(value: &[u8]) -> Self {
        Self::partly(value, &[0xff; MOST])
    }

    pub(super) fn unknown(len: usize) -> Self {
        Self { value: [0; MOST], known: [0; MOST], len: len.min(MOST) }
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value[..self.len]
    }

    /// The bits that are known.
    pub(super) fn mask(&self) -> &[u8] {
        &self.known[..self.len]
    }

    pub(super) fn is_known(&self) -> bool {
        self.mask().iter().all(|&byte| byte == 0xff)
    }

    /// The bytes, if all are known.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.is_known().then(|| self.value())
    }

    /// The first `N` bytes, if they are known.
    pub(super) fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.bytes()?.get(..N)?.try_into().ok()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The greatest that it may be.
    pub(super) fn greatest(&self) -> Vec<u8> {
        self.value().iter().zip(self.mask()).map(|(value, known)| value | !known).collect()
    }

    /// Whether its first bytes are these; none where that is not known.
    pub(super) fn equals(&self, other: &[u8]) -> Option<bool> {
        let pairs = || self.value().iter().zip(self.mask()).zip(other);
        if other.len() > self.len || pairs().any(|((value, known), other)| (value ^ other) & known != 0) {
            return Some(false);
        }
        pairs().all(|((_, known), _)| *known == 0xff).then_some(true)
    }

    /// Whether its first bytes, compared as the kernel's `memcmp` does, satisfy `holds`, which must be monotonous.
    pub(super) fn compares(&self, other: &[u8], holds: impl Fn(Ordering) -> bool) -> Option<bool> {
        let len = other.len().min(self.len);
        let least = holds(self.value()[..len].cmp(&other[..len]));
        let greatest = holds(self.greatest()[..len].cmp(&other[..len]));
        (least == greatest).then_some(least)
    }

    /// Whether its first bytes are between two values, both included.
    pub(super) fn within(&self, from: &[u8], to: &[u8]) -> Option<bool> {
        match (self.compares(from, Ordering::is_ge), self.compares(to, Ordering::is_le)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
}

/// What an expression loads: bytes, and why some of them are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) bits: Bits,
    pub(super) doubt: Option<Rc<Doubt>>,
}

impl Term {
    pub(super) fn known(value: &[u8]) -> Self {
        Self { bits: Bits::known(value), doubt: None }
    }

    pub(super) fn unknown(len: usize, doubt: Rc<Doubt>) -> Self {
        Self { bits: Bits::unknown(len), doubt: Some(doubt) }
    }

    /// A number in the machine's order.
    pub(super) fn word(value: u32) -> Self {
        Self::known(&value.to_ne_bytes())
    }

    pub(super) fn to_word(&self) -> Option<u32> {
        self.bits.array().map(u32::from_ne_bytes)
    }

    /// Why it is not known.
    pub(super) fn reason(&self) -> Rc<Doubt> {
        self.doubt.clone().unwrap_or_else(|| {
            Rc::new(Doubt::new("bytes that no expression has loaded", "What the kernel makes of the rule."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_make_unknown_answers_only_where_they_matter() {
        let bits = Bits::partly(&[0x12, 0x30], &[0xff, 0xf0]);
        assert_eq!(bits.equals(&[0x12]), Some(true));
        assert_eq!(bits.equals(&[0x12, 0x34]), None);
        assert_eq!(bits.equals(&[0x12, 0x44]), Some(false));
        assert_eq!(bits.compares(&[0x12, 0x40], Ordering::is_lt), Some(true));
        assert_eq!(bits.compares(&[0x12, 0x38], Ordering::is_lt), None);
        assert_eq!(bits.within(&[0x12, 0x30], &[0x12, 0x3f]), Some(true));
        assert_eq!(bits.within(&[0x12, 0x40], &[0xff, 0xff]), Some(false));
        assert_eq!(bits.within(&[0, 0], &[0x12, 0x31]), None);
    }
}
