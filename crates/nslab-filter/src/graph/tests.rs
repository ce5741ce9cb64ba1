//! Programs of conditions made by chance do what the conditions say.

use proptest::prelude::*;

use super::condition::{Condition, compare};
use super::value::{Size, ValueId, Values};
use super::{Compiled, compile};
use crate::machine::{Arithmetic, Frame, run};
use crate::syntax::Relation;

/// How to make a value.
#[derive(Debug, Clone)]
enum Recipe {
    Constant(u32),
    Length,
    HeaderLength(u32),
    Load(Size, Option<Box<Recipe>>, u32),
    Binary(Arithmetic, Box<Recipe>, Box<Recipe>),
    Negate(Box<Recipe>),
}

#[derive(Debug, Clone)]
enum Wanted {
    Compare(Recipe, Relation, Recipe),
    Not(Box<Wanted>),
    All(Vec<Wanted>),
    Any(Vec<Wanted>),
}

impl Recipe {
    /// Nothing if it divides by a constant zero.
    fn make(&self, values: &mut Values) -> Option<ValueId> {
        Some(match self {
            Self::Constant(k) => values.constant(*k),
            Self::Length => values.length(),
            Self::HeaderLength(offset) => values.header_length(*offset),
            Self::Load(size, base, offset) => {
                let base = match base {
                    Some(base) => Some(base.make(values)?),
                    None => None,
                };
                values.load(*size, base, *offset)
            }
            Self::Binary(operation, left, right) => {
                let (left, right) = (left.make(values)?, right.make(values)?);
                values.binary(*operation, left, right)?
            }
            Self::Negate(inner) => {
                let inner = inner.make(values)?;
                values.negate(inner)
            }
        })
    }

    /// The value of a frame; nothing if it reads behind its end or divides by zero.
    fn value(&self, frame: &[u8]) -> Option<u32> {
        let load = |size: usize, offset: u32| {
            let bytes = frame.get(offset as usize..(offset as usize).checked_add(size)?)?;
            Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
        };
        match self {
            Self::Constant(k) => Some(*k),
            Self::Length => u32::try_from(frame.len()).ok(),
            Self::HeaderLength(offset) => Some((load(1, *offset)? & 0xf) * 4),
            Self::Load(size, base, offset) => {
                let base = base.as_ref().map_or(Some(0), |base| base.value(frame))?;
                let bytes = match size {
                    Size::Byte => 1,
                    Size::Half => 2,
                    Size::Word => 4,
                };
                load(bytes, base.wrapping_add(*offset))
            }
            Self::Binary(operation, left, right) => operation.apply(left.value(frame)?, right.value(frame)?),
            Self::Negate(inner) => Some(inner.value(frame)?.wrapping_neg()),
        }
    }
}

impl Wanted {
    fn make(&self, values: &mut Values) -> Option<Condition> {
        let mut all = |parts: &[Self]| parts.iter().map(|part| part.make(values)).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::Compare(left, relation, right) => {
                let (left, right) = (left.make(values)?, right.make(values)?);
                compare(values, left, *relation, right)
            }
            Self::Not(inner) => inner.make(values)?.negated(),
            Self::All(parts) => Condition::All(all(parts)?),
            Self::Any(parts) => Condition::Any(all(parts)?),
        })
    }

    fn holds(&self, frame: &[u8]) -> Option<bool> {
        Some(match self {
            Self::Compare(left, relation, right) => {
                let (left, right) = (left.value(frame)?, right.value(frame)?);
                match relation {
                    Relation::Equal => left == right,
                    Relation::NotEqual => left != right,
                    Relation::Less => left < right,
                    Relation::LessEqual => left <= right,
                    Relation::Greater => left > right,
                    Relation::GreaterEqual => left >= right,
                }
            }
            Self::Not(inner) => !inner.holds(frame)?,
            Self::All(parts) => {
                for part in parts {
                    if !part.holds(frame)? {
                        return Some(false);
                    }
                }
                true
            }
            Self::Any(parts) => {
                for part in parts {
                    if part.holds(frame)? {
                        return Some(true);
                    }
                }
                false
            }
        })
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    use Arithmetic as A;
    let size = || prop_oneof![Just(Size::Byte), Just(Size::Half), Just(Size::Word)];
    let few =
        || prop_oneof![Just(0), Just(1), Just(2), Just(4), Just(0xf), Just(255), Just(u32::MAX), 0..60_u32];
    let leaf = prop_oneof![
        few().prop_map(Recipe::Constant),
        Just(Recipe::Length),
        (0..4_u32).prop_map(Recipe::HeaderLength),
        (size(), 0..8_u32).prop_map(|(size, offset)| Recipe::Load(size, None, offset)),
    ];
    leaf.prop_recursive(6, 24, 2, move |inner| {
        let inner = inner.prop_map(Box::new);
        let operation = prop::sample::select(vec![
            A::Add,
            A::Sub,
            A::Mul,
            A::Div,
            A::Mod,
            A::And,
            A::Or,
            A::Xor,
            A::ShiftLeft,
            A::ShiftRight,
        ]);
        prop_oneof![
            (operation, inner.clone(), inner.clone())
                .prop_map(|(kind, left, right)| Recipe::Binary(kind, left, right)),
            (size(), inner.clone(), few()).prop_map(|(size, base, offset)| {
                // So that most loads are in the frame.
                let base = Recipe::Binary(A::And, base, Box::new(Recipe::Constant(7)));
                Recipe::Load(size, Some(Box::new(base)), offset)
            }),
            inner.prop_map(Recipe::Negate),
        ]
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    use Relation as R;
    let relation =
        prop::sample::select(vec![R::Equal, R::NotEqual, R::Less, R::LessEqual, R::Greater, R::GreaterEqual]);
    let constant = (0..4_u32).prop_map(Recipe::Constant);
    // Most tests of a filter are of few fields, against constants.
    let field = (0..3_u32).prop_map(|offset| Recipe::Load(Size::Byte, None, offset));
    let plain = (field, relation.clone(), constant)
        .prop_map(|(field, relation, k)| Wanted::Compare(field, relation, k));
    let odd = (recipe(), relation, recipe())
        .prop_map(|(left, relation, right)| Wanted::Compare(left, relation, right));
    prop_oneof![4 => plain, 1 => odd].prop_recursive(5, 30, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Wanted::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 0..5).prop_map(Wanted::All),
            prop::collection::vec(inner, 0..5).prop_map(Wanted::Any),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where nothing is read behind a frame's end; there it is up to the program which of the bytes it needs.
    #[test]
    fn programs_do_what_conditions_say(
        wanted in wanted(),
        frames in prop::collection::vec(prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 3..70), 8),
    ) {
        let mut values = Values::default();
        let Some(condition) = wanted.make(&mut values) else { return Ok(()) };
        let program = match compile(&condition, &values, 1) {
            Compiled::OutOfMemory => return Ok(()),
            Compiled::Always(holds) => Err(holds),
            Compiled::Program(instructions) => Ok(instructions),
        };
        for frame in &frames {
            let Some(holds) = wanted.holds(frame) else { continue };
            let found = match &program {
                Ok(instructions) => run(instructions, &Frame::new(frame)) != 0,
                Err(always) => *always,
            };
            prop_assert_eq!(found, holds, "{:?} of {:?}", program, frame);
        }
    }
}
