//! nslab builds virtual networks out of Linux network namespaces and shows what happens in them.
//!
//! This crate is the program's command line; the work is done by the crates that it re-exports.

pub mod cli;

pub use nslab_kernel as kernel;
pub use nslab_lab as lab;
pub use nslab_observe as observe;
pub use nslab_topology as topology;
pub use nslab_view as view;
