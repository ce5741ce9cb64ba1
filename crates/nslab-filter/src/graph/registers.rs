//! Values into the machine's two registers.

use super::value::{Size, Value, ValueId, Values};
use crate::machine::Arithmetic;
use crate::program::{Instruction, MEMORY, op};

/// What the registers hold, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) a: Option<ValueId>,
    pub(super) x: Option<ValueId>,
}

impl Held {
    /// What they hold if it is the one or the other.
    pub(super) fn meet(self, other: Self) -> Self {
        Self { a: self.a.filter(|_| self.a == other.a), x: self.x.filter(|_| self.x == other.x) }
    }
}

/// Instructions that put values into registers.
pub(super) struct Code<'a> {
    values: &'a Values,
    pub(super) held: Held,
    pub(super) instructions: Vec<Instruction>,
    /// How many words of scratch memory are in use.
    in_memory: usize,
}

/// The machine has too little scratch memory.
pub(super) struct OutOfMemory;

type Result = std::result::Result<(), OutOfMemory>;

impl<'a> Code<'a> {
    pub(super) fn new(values: &'a Values, held: Held) -> Self {
        Self { values, held, instructions: Vec::new(), in_memory: 0 }
    }

    fn emit(&mut self, code: u16, k: u32) {
        self.instructions.push(Instruction { code, jt: 0, jf: 0, k });
    }

    /// Puts a value into A.
    pub(super) fn load_a(&mut self, value: ValueId) -> Result {
        if self.held.a == Some(value) {
            return Ok(());
        }
        if self.held.x == Some(value) {
            self.emit(op::X_TO_A, 0);
            self.held.a = Some(value);
            return Ok(());
        }
        match self.values.get(value) {
            Value::Constant(constant) => self.emit(op::LOAD_CONST, constant),
            Value::Length => self.emit(op::LOAD_LENGTH, 0),
            Value::Load { size, base: None, offset } => {
                let code = match size {
                    Size::Byte => op::LOAD_BYTE,
                    Size::Half => op::LOAD_HALF,
                    Size::Word => op::LOAD_WORD,
                };
                self.emit(code, offset);
            }
            Value::Load { size, base: Some(base), offset } => {
                self.load_x(base)?;
                let code = match size {
                    Size::Byte => op::LOAD_BYTE_X,
                    Size::Half => op::LOAD_HALF_X,
                    Size::Word => op::LOAD_WORD_X,
                };
                self.emit(code, offset);
            }
            Value::HeaderLength { .. } => {
                self.load_x(value)?;
                self.emit(op::X_TO_A, 0);
            }
            Value::Negate(inner) => {
                self.load_a(inner)?;
                self.emit(op::NEGATE, 0);
            }
            Value::Binary(operation, left, right) => {
                if let Some(k) = self.values.as_constant(right) {
                    self.load_a(left)?;
                    self.emit(operation.code(), k);
                } else {
                    let commutes = !matches!(
                        operation,
                        Arithmetic::Sub
                            | Arithmetic::Div
                            | Arithmetic::Mod
                            | Arithmetic::ShiftLeft
                            | Arithmetic::ShiftRight
                    );
                    self.load_both(left, right, commutes)?;
                    self.emit(operation.code() | op::WITH_X, 0);
                }
            }
        }
        self.held.a = Some(value);
        Ok(())
    }

    /// Puts a value into X; A is lost unless the value [goes there directly](Self::is_direct).
    fn load_x(&mut self, value: ValueId) -> Result {
        if self.held.x == Some(value) {
            return Ok(());
        }
        match self.values.get(value) {
            Value::Constant(constant) => self.emit(op::X_CONST, constant),
            Value::Length => self.emit(op::X_LENGTH, 0),
            Value::HeaderLength { offset } => self.emit(op::X_HEADER_LENGTH, offset),
            _ => {
                self.load_a(value)?;
                self.emit(op::A_TO_X, 0);
            }
        }
        self.held.x = Some(value);
        Ok(())
    }

    /// Puts one value into A and another into X; if they may change places, maybe the other way.
    pub(super) fn load_both(&mut self, left: ValueId, right: ValueId, may_swap: bool) -> Result {
        let cheap = |code: &Self, x: ValueId, a: ValueId| {
            code.is_direct(x) || code.held.x == Some(x) && !code.touches_x(a, Some(x))
        };
        if may_swap && !cheap(self, right, left) && cheap(self, left, right) {
            return self.load_both(right, left, false);
        }
        if self.held.x == Some(right) && !self.touches_x(left, self.held.x) {
            self.load_a(left)
        } else if self.is_direct(right) {
            self.load_a(left)?;
            self.load_x(right)
        } else if !self.touches_x(left, Some(right)) {
            self.load_x(right)?;
            self.load_a(left)
        } else if self.in_memory < MEMORY / 2 {
            self.load_a(right)?;
            let word = self.store()?;
            self.load_a(left)?;
            self.emit(op::X_MEMORY, word);
            self.held.x = Some(right);
            self.in_memory -= 1;
            Ok(())
        } else {
            // One instruction more, but nothing is in memory while the left side, on which chains grow, is computed.
            self.load_a(left)?;
            let word = self.store()?;
            self.load_x(right)?;
            self.emit(op::LOAD_MEMORY, word);
            self.held.a = Some(left);
            self.in_memory -= 1;
            Ok(())
        }
    }

    /// Puts A into a free word of memory.
    fn store(&mut self) -> std::result::Result<u32, OutOfMemory> {
        let word = self.in_memory;
        if word == MEMORY {
            return Err(OutOfMemory);
        }
        self.in_memory += 1;
        let word = u32::try_from(word).map_err(|_| OutOfMemory)?;
        self.emit(op::STORE, word);
        Ok(word)
    }

    /// Whether a value gets into X without A.
    fn is_direct(&self, value: ValueId) -> bool {
        matches!(self.values.get(value), Value::Constant(_) | Value::Length | Value::HeaderLength { .. })
    }

    /// Whether X is overwritten while a value is put into A, if X holds this before.
    fn touches_x(&self, value: ValueId, x: Option<ValueId>) -> bool {
        if x == Some(value) {
            return false;
        }
        match self.values.get(value) {
            Value::Constant(_) | Value::Length | Value::Load { base: None, .. } => false,
            Value::Load { base, .. } => base != x,
            Value::HeaderLength { .. } => true,
            Value::Negate(inner) => self.touches_x(inner, x),
            Value::Binary(_, left, right) => {
                let kept = self.values.as_constant(right).is_some() || x == Some(right);
                !kept || self.touches_x(left, x)
            }
        }
    }
}
