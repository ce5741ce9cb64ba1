//! The data registers of an evaluation (`struct nft_regs`): sixteen words, which the registers of 16 bytes overlap.

use std::rc::Rc;

use nslab_kernel::nftables::Register;

use super::bits::{Bits, MOST, Term};
use crate::Doubt;

const WORD: usize = 4;

/// The registers. What no expression of the rule has loaded is not known; the kernel lets no rule read such.
#[derive(Debug, Clone)]
pub(super) struct Registers {
    value: [u8; MOST],
    known: [u8; MOST],
    doubts: [Option<Rc<Doubt>>; MOST / WORD],
}

impl Registers {
    pub(super) fn new() -> Self {
        Self { value: [0; MOST], known: [0; MOST], doubts: [const { None }; MOST / WORD] }
    }

    /// The bytes that start at a register; what is beyond the last is cut off.
    pub(super) fn read(&self, register: Register, len: usize) -> Term {
        let start = register.index() * WORD;
        let end = start.saturating_add(len).min(MOST);
        let bits = Bits::partly(&self.value[start..end], &self.known[start..end]);
        let unknown = (start..end).find(|&at| self.known[at] != 0xff);
        Term { bits, doubt: unknown.and_then(|at| self.doubts[at / WORD].clone()) }
    }

    /// Writes bytes, and zeros up to the end of the last word (`nft_data_copy`, `nft_reg_store8`).
    pub(super) fn write(&mut self, register: Register, term: &Term) {
        let start = register.index() * WORD;
        for (place, at) in (start..MOST).zip(0..term.bits.len().next_multiple_of(WORD)) {
            self.value[place] = term.bits.value().get(at).copied().unwrap_or(0);
            self.known[place] = term.bits.mask().get(at).copied().unwrap_or(0xff);
            self.doubts[place / WORD].clone_from(&term.doubt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_registers_overlap_short_ones() {
        let mut registers = Registers::new();
        registers.write(Register::R1, &Term::known(&[9; 16]));
        registers.write(Register::slot(1).unwrap(), &Term::known(&[1, 2]));
        let read = registers.read(Register::R1, 12).bits;
        assert_eq!(read.bytes(), Some(&[9, 9, 9, 9, 1, 2, 0, 0, 9, 9, 9, 9][..]));
        assert_eq!(registers.read(Register::R2, 4).bits.bytes(), None);
        assert_eq!(registers.read(Register::slot(15).unwrap(), 16).bits.len(), 4);
    }
}
