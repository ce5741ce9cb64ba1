//! Comparisons and arithmetic of registers (`nft_cmp_eval`, `nft_range_eval`, `nft_bitwise_eval`, `nft_byteorder_eval`).

use std::cmp::Ordering;
use std::rc::Rc;

use nslab_kernel::nftables::{BitwiseOp, CmpOp};

use super::bits::{Bits, Term};
use super::registers::Registers;
use crate::Doubt;

/// Whether a comparison holds; none where that is not known.
pub(super) fn compare(bits: &Bits, op: CmpOp, data: &[u8]) -> Option<bool> {
    match op {
        CmpOp::Equal => bits.equals(data),
        CmpOp::NotEqual => bits.equals(data).map(|equal| !equal),
        CmpOp::Less => bits.compares(data, Ordering::is_lt),
        CmpOp::LessOrEqual => bits.compares(data, Ordering::is_le),
        CmpOp::Greater => bits.compares(data, Ordering::is_gt),
        CmpOp::GreaterOrEqual => bits.compares(data, Ordering::is_ge),
        CmpOp::Other(_) => None,
    }
}

/// What a `bitwise` expression calculates. It works on whole words.
pub(super) fn bitwise(source: &Term, op: &BitwiseOp, registers: &Registers) -> Term {
    let bits = &source.bits;
    let len = bits.len();
    let pairs = || bits.value().iter().copied().zip(bits.mask().iter().copied());
    let byte = |data: &[u8], at: usize| data.get(at).copied().unwrap_or(0);
    let mut doubt = source.doubt.clone();
    let (value, known): (Vec<u8>, Vec<u8>) = match op {
        BitwiseOp::MaskXor { mask, xor } => pairs()
            .enumerate()
            .map(|(at, (value, known))| {
                let (mask, xor) = (byte(mask, at), byte(xor, at));
                ((value & mask) ^ xor, known | !mask)
            })
            .unzip(),
        BitwiseOp::ShiftLeft(by) => return shifted(source, *by, true),
        BitwiseOp::ShiftRight(by) => return shifted(source, *by, false),
        BitwiseOp::Register { op, other } => {
            let other = registers.read(*other, len);
            doubt = doubt.or_else(|| other.doubt.clone());
            let others = other.bits.value().iter().copied().zip(other.bits.mask().iter().copied());
            let both = |((a, a_known), (b, b_known)): ((u8, u8), (u8, u8))| match op {
                3 => (a & b, (a_known & b_known) | (a_known & !a) | (b_known & !b)),
                4 => (a | b, (a_known & b_known) | (a_known & a) | (b_known & b)),
                5 => (a ^ b, a_known & b_known),
                _ => (0, 0),
            };
            pairs().zip(others).map(both).unzip()
        }
    };
    let bits = Bits::partly(&value, &known);
    Term { doubt: doubt.filter(|_| !bits.is_known()), bits }
}

/// Words of the machine's order are shifted as one number whose first word is the highest.
fn shifted(source: &Term, by: u32, left: bool) -> Term {
    let len = source.bits.len();
    let shift = |bytes: &[u8]| -> Option<Vec<u8>> {
        let words: Vec<u32> = bytes
            .chunks(4)
            .map(|chunk| {
                let mut word = [0; 4];
                word[..chunk.len()].copy_from_slice(chunk);
                u32::from_ne_bytes(word)
            })
            .collect();
        let word = |at: Option<usize>| at.and_then(|at| words.get(at)).copied().unwrap_or(0);
        let back = 32_u32.checked_sub(by).filter(|_| by > 0)?;
        let moved = (0..words.len()).map(|at| {
            let carry = |from: u32| if left { from.checked_shr(back) } else { from.checked_shl(back) };
            let here = if left { words[at].checked_shl(by) } else { words[at].checked_shr(by) };
            let next = if left { Some(at + 1) } else { at.checked_sub(1) };
            here.unwrap_or(0) | carry(word(next)).unwrap_or(0)
        });
        Some(moved.flat_map(u32::to_ne_bytes).collect())
    };
    let unknown: Vec<u8> = source.bits.mask().iter().map(|known| !known).collect();
    let (Some(value), Some(unknown)) = (shift(source.bits.value()), shift(&unknown)) else {
        return Term::unknown(len, source.reason());
    };
    let known: Vec<u8> = unknown.iter().map(|unknown| !unknown).collect();
    let bits = Bits::partly(&value, &known);
    Term { doubt: source.doubt.clone().filter(|_| !bits.is_known()), bits }
}

/// Turns round numbers of `size` bytes, unless the machine's order is that of networks.
pub(super) fn byteorder(source: &Term, size: usize) -> Term {
    if cfg!(target_endian = "big") || !matches!(size, 2 | 4 | 8) {
        return source.clone();
    }
    let turned = |bytes: &[u8]| -> Vec<u8> {
        bytes.chunks(size).flat_map(|number| number.iter().rev().copied()).collect()
    };
    let bits = Bits::partly(&turned(source.bits.value()), &turned(source.bits.mask()));
    Term { bits, doubt: source.doubt.clone() }
}

/// A doubt about an expression.
pub(super) fn doubt(what: impl Into<String>, settle: &str) -> Rc<Doubt> {
    Rc::new(Doubt::new(what, settle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nslab_kernel::nftables::{Data, Register};

    fn term(value: &[u8], known: &[u8]) -> Term {
        Term { bits: Bits::partly(value, known), doubt: Some(doubt("x", "y")) }
    }

    #[test]
    fn masks_make_known_what_they_take_away() {
        let op = BitwiseOp::MaskXor { mask: Data::from([0xff, 0x0f]), xor: Data::from([0, 0x10]) };
        let result = bitwise(&term(&[0x0a, 0x05], &[0xff, 0x0f]), &op, &Registers::new());
        assert_eq!(result.bits.bytes(), Some(&[0x0a, 0x15][..]));
        assert_eq!(result.doubt, None);
    }

    #[test]
    fn shifts_carry_over_words() {
        let bytes = [0x0000_0001_u32, 0x8000_0000].map(u32::to_ne_bytes).concat();
        let left = bitwise(&Term::known(&bytes), &BitwiseOp::ShiftLeft(1), &Registers::new());
        assert_eq!(left.bits.bytes(), Some(&[3_u32, 0].map(u32::to_ne_bytes).concat()[..]));
        let right = bitwise(&Term::known(&bytes), &BitwiseOp::ShiftRight(1), &Registers::new());
        assert_eq!(right.bits.bytes(), Some(&[0_u32, 0xc000_0000].map(u32::to_ne_bytes).concat()[..]));
        let unknown = bitwise(&term(&[0; 4], &[0; 4]), &BitwiseOp::ShiftRight(31), &Registers::new());
        assert_eq!(unknown.bits.equals(&2_u32.to_ne_bytes()), Some(false));
        assert_eq!(unknown.bits.equals(&1_u32.to_ne_bytes()), None);
    }

    #[test]
    fn registers_are_combined_bit_by_bit() {
        let mut registers = Registers::new();
        registers.write(Register::R2, &term(&[0, 0, 0xff, 0], &[0xff, 0, 0xff, 0xff]));
        let op = |op| BitwiseOp::Register { op, other: Register::R2 };
        let source = term(&[0xff, 0xff, 0, 1], &[0, 0xff, 0xff, 0xff]);
        assert_eq!(bitwise(&source, &op(3), &registers).bits.mask(), [0xff, 0, 0xff, 0xff]);
        assert_eq!(bitwise(&source, &op(4), &registers).bits.mask(), [0, 0xff, 0xff, 0xff]);
        assert_eq!(bitwise(&source, &op(5), &registers).bits.mask(), [0, 0, 0xff, 0xff]);
    }

    #[test]
    fn orders_of_bytes_are_turned_number_by_number() {
        let turned = byteorder(&Term::known(&[1, 2, 3, 4]), 2);
        let wanted: &[u8] = if cfg!(target_endian = "big") { &[1, 2, 3, 4] } else { &[2, 1, 4, 3] };
        assert_eq!(turned.bits.bytes(), Some(wanted));
    }
}
