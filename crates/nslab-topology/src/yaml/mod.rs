//! YAML text to a tree of values that know their places, and texts to YAML scalars. Lab files are read and written with
//! it, and so are the files of other tools that are imported.

mod build;
mod mask;
mod value;

pub use crate::export::text::{key, list, map, value};
pub(crate) use build::empty_file;
pub use build::load;
pub use value::{Key, Kind, Scalar, Value};
