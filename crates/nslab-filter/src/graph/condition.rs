//! Conditions on values, simplified as they are made.

use super::known::Against;
use super::value::{Value, ValueId, Values};
use crate::machine::Arithmetic;
use crate::syntax::Relation;

/// What one jump of the machine tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Constant(ValueId, Against),
    Equal(ValueId, ValueId),
    Greater(ValueId, ValueId),
    AtLeast(ValueId, ValueId),
}

/// A condition on a packet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Always(bool),
    Test(Test),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

impl Condition {
    /// The opposite.
    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Always(holds) => Self::Always(!holds),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// This and then that.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always(true), other) => other,
            (Self::All(mut parts), other) => {
                parts.push(other);
                Self::All(parts)
            }
            (one, other) => Self::All(vec![one, other]),
        }
    }

    /// This or that.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any(mut parts), other) => {
                parts.push(other);
                Self::Any(parts)
            }
            (one, other) => Self::Any(vec![one, other]),
        }
    }
}

/// Whether a value compares so with a constant.
pub(crate) fn against(values: &mut Values, value: ValueId, against: Against) -> Condition {
    if let Some(holds) = values.known(value).decide(against) {
        return Condition::Always(holds);
    }
    let inner = match values.get(value) {
        Value::Binary(operation, left, right) => values.as_constant(right).map(|k| (operation, left, k)),
        _ => None,
    };
    match (inner, against) {
        (Some((Arithmetic::Add, left, k)), Against::Equal(wanted)) => {
            self::against(values, left, Against::Equal(wanted.wrapping_sub(k)))
        }
        (Some((Arithmetic::Xor, left, k)), Against::Equal(wanted)) => {
            self::against(values, left, Against::Equal(wanted ^ k))
        }
        (Some((Arithmetic::And, left, mask)), Against::Equal(0)) => {
            self::against(values, left, Against::AnyBit(mask)).negated()
        }
        (Some((Arithmetic::And, left, mask)), Against::AtLeast(1)) => {
            self::against(values, left, Against::AnyBit(mask))
        }
        (Some((Arithmetic::And, left, mask)), Against::Equal(wanted))
            if wanted == mask && mask.is_power_of_two() =>
        {
            self::against(values, left, Against::AnyBit(mask))
        }
        (Some((Arithmetic::And, left, mask)), Against::AnyBit(bits)) => {
            self::against(values, left, Against::AnyBit(bits & mask))
        }
        _ => Condition::Test(Test::Constant(value, against)),
    }
}

/// Whether two values compare so.
pub(crate) fn compare(values: &mut Values, left: ValueId, relation: Relation, right: ValueId) -> Condition {
    use Relation as R;
    match (values.as_constant(left), values.as_constant(right)) {
        (Some(left), None) => {
            let swapped = match relation {
                R::Equal | R::NotEqual => relation,
                R::Less => R::Greater,
                R::LessEqual => R::GreaterEqual,
                R::Greater => R::Less,
                R::GreaterEqual => R::LessEqual,
            };
            with_constant(values, right, swapped, left)
        }
        (_, Some(right)) => with_constant(values, left, relation, right),
        (None, None) => {
            let test = match relation {
                R::Equal | R::NotEqual => Test::Equal(left, right),
                R::Greater | R::LessEqual => Test::Greater(left, right),
                R::GreaterEqual | R::Less => Test::AtLeast(left, right),
            };
            let negated = matches!(relation, R::NotEqual | R::LessEqual | R::Less);
            if negated { Condition::Test(test).negated() } else { Condition::Test(test) }
        }
    }
}

/// Whether a value compares so with a constant.
pub(crate) fn with_constant(values: &mut Values, value: ValueId, relation: Relation, k: u32) -> Condition {
    use Relation as R;
    let at_least = |values: &mut Values, k: u32| against(values, value, Against::AtLeast(k));
    match relation {
        R::Equal => against(values, value, Against::Equal(k)),
        R::NotEqual => against(values, value, Against::Equal(k)).negated(),
        R::GreaterEqual => at_least(values, k),
        R::Less => at_least(values, k).negated(),
        R::Greater => match k.checked_add(1) {
            Some(k) => at_least(values, k),
            None => Condition::Always(false),
        },
        R::LessEqual => match k.checked_add(1) {
            Some(k) => at_least(values, k).negated(),
            None => Condition::Always(true),
        },
    }
}
