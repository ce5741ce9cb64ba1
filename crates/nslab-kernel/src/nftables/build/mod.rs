//! Rules and sets put together from matches and statements, as nft puts them together.

mod field;
mod rule;
mod set;

pub use field::Field;
pub use rule::RuleBuilder;
pub use set::{SetKey, interval_elements};
