//! YAML text to a tree of values that know their places.

mod build;
mod mask;
mod value;

pub(crate) use build::{empty_file, load};
pub(crate) use value::{Key, Kind, Scalar, Value};
