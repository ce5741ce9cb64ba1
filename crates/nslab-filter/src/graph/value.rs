//! Values that a program computes from a packet, each kept once.

use std::collections::HashMap;

use super::known::Known;
use crate::machine::Arithmetic;

/// A value's number; equal values have equal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ValueId(u32);

/// How many bytes a load reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Size {
    Byte,
    Half,
    Word,
}

/// How a value comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Constant(u32),
    /// The packet's length.
    Length,
    /// Bytes of the packet from `base + offset` on, in network order. Fails behind the packet's end.
    Load {
        size: Size,
        base: Option<ValueId>,
        offset: u32,
    },
    /// Four times the low half of a byte. Fails behind the packet's end.
    HeaderLength {
        offset: u32,
    },
    /// Fails if it divides by zero.
    Binary(Arithmetic, ValueId, ValueId),
    Negate(ValueId),
}

#[derive(Debug, Default)]
pub(crate) struct Values {
    list: Vec<Value>,
    ids: HashMap<Value, ValueId>,
}

/// Offsets from here on are of nothing in a packet; the kernel takes them for other things.
const LAST_OFFSET: u32 = 0x7fff_ffff;

impl Values {
    pub(crate) fn get(&self, id: ValueId) -> Value {
        self.list[id.0 as usize]
    }

    fn id(&mut self, value: Value) -> ValueId {
        *self.ids.entry(value).or_insert_with(|| {
            // There are no more values than characters in a filter.
            let id = ValueId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
            self.list.push(value);
            id
        })
    }

    pub(crate) fn constant(&mut self, value: u32) -> ValueId {
        self.id(Value::Constant(value))
    }

    pub(crate) fn as_constant(&self, id: ValueId) -> Option<u32> {
        match self.get(id) {
            Value::Constant(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn length(&mut self) -> ValueId {
        self.id(Value::Length)
    }

    pub(crate) fn header_length(&mut self, offset: u32) -> ValueId {
        self.id(Value::HeaderLength { offset })
    }

    /// Something that the kernel knows of the packet beside its bytes.
    pub(crate) fn ancillary(&mut self, what: u32) -> ValueId {
        let offset = crate::program::ANCILLARY.wrapping_add(what);
        self.id(Value::Load { size: Size::Word, base: None, offset })
    }

    /// Bytes from `base + offset` on.
    pub(crate) fn load(&mut self, size: Size, base: Option<ValueId>, offset: u32) -> ValueId {
        let (mut base, mut offset) = (base, offset);
        // What is constant in the base goes to the offset, as long as that stays an offset.
        while let Some(id) = base {
            match self.get(id) {
                Value::Constant(value) => {
                    (base, offset) = (None, offset.wrapping_add(value));
                }
                Value::Binary(Arithmetic::Add, left, right) => {
                    let sum = self.as_constant(right).map(|value| offset.wrapping_add(value));
                    match sum.filter(|sum| *sum <= LAST_OFFSET) {
                        Some(sum) => (base, offset) = (Some(left), sum),
                        None => break,
                    }
                }
                _ => break,
            }
        }
        if base.is_none() {
            offset = offset.min(LAST_OFFSET);
        }
        self.id(Value::Load { size, base, offset })
    }

    pub(crate) fn negate(&mut self, id: ValueId) -> ValueId {
        match self.get(id) {
            Value::Constant(value) => self.constant(value.wrapping_neg()),
            Value::Negate(inner) => inner,
            _ => self.id(Value::Negate(id)),
        }
    }

    /// The result of an operation; nothing if it divides by a constant zero.
    pub(crate) fn binary(&mut self, operation: Arithmetic, left: ValueId, right: ValueId) -> Option<ValueId> {
        use Arithmetic as A;
        let (constant_left, constant_right) = (self.as_constant(left), self.as_constant(right));
        if let (Some(left), Some(right)) = (constant_left, constant_right) {
            return Some(self.constant(operation.apply(left, right)?));
        }
        let commutes = matches!(operation, A::Add | A::Mul | A::And | A::Or | A::Xor);
        if commutes && constant_left.is_some() {
            return self.binary(operation, right, left);
        }
        let Some(k) = constant_right else { return Some(self.id(Value::Binary(operation, left, right))) };
        let nothing = match operation {
            A::Add | A::Sub | A::Or | A::Xor | A::ShiftLeft | A::ShiftRight => k == 0,
            A::Mul | A::Div => k == 1,
            A::And => self.known(left).most() & !k == 0 && self.fits(left, k),
            A::Mod => false,
        };
        if nothing {
            return Some(left);
        }
        match operation {
            A::Div | A::Mod if k == 0 => return None,
            A::Sub => {
                let negative = self.constant(k.wrapping_neg());
                return self.binary(A::Add, left, negative);
            }
            A::And | A::Add | A::Or | A::Xor => {
                if let Value::Binary(inner, value, other) = self.get(left)
                    && inner == operation
                    && let Some(other) = self.as_constant(other)
                {
                    let both = self.constant(operation.apply(other, k)?);
                    return self.binary(operation, value, both);
                }
            }
            A::ShiftLeft | A::Mul if k == if operation == A::Mul { 4 } else { 2 } => {
                if let Some(offset) = self.low_half(left) {
                    return Some(self.header_length(offset));
                }
            }
            _ => {}
        }
        Some(self.id(Value::Binary(operation, left, right)))
    }

    /// Whether the value has no bits outside of the mask.
    fn fits(&self, id: ValueId, mask: u32) -> bool {
        self.known(id).decide(super::known::Against::AnyBit(!mask)) == Some(false)
    }

    /// The offset of the byte of which the value is the low half.
    fn low_half(&self, id: ValueId) -> Option<u32> {
        let Value::Binary(Arithmetic::And, byte, mask) = self.get(id) else { return None };
        let Value::Load { size: Size::Byte, base: None, offset } = self.get(byte) else { return None };
        (self.as_constant(mask) == Some(0xf) && offset <= LAST_OFFSET).then_some(offset)
    }

    /// What is known of a value whatever the packet.
    pub(crate) fn known(&self, id: ValueId) -> Known {
        match self.get(id) {
            Value::Constant(value) => Known::exactly(value),
            Value::Load { size: Size::Byte, .. } => Known::at_most(0xff),
            Value::Load { size: Size::Half, .. } => Known::at_most(0xffff),
            Value::HeaderLength { .. } => Known::masked(0x3c),
            Value::Binary(Arithmetic::And, left, right) => match self.as_constant(right) {
                Some(mask) => Known::masked(mask & used(self.known(left).most())),
                None => Known::at_most(u32::MAX),
            },
            Value::Binary(Arithmetic::ShiftRight, left, right) => match self.as_constant(right) {
                Some(bits) => Known::at_most(self.known(left).most().wrapping_shr(bits)),
                None => Known::at_most(u32::MAX),
            },
            _ => Known::at_most(u32::MAX),
        }
    }
}

/// All bits that a value of at most so much may have.
fn used(most: u32) -> u32 {
    u32::MAX.checked_shr(most.leading_zeros()).unwrap_or(0)
}
