//! The differential tester: the kernel is the oracle of `nslab-predict`.
//!
//! A [random network](generate) is [made](build) out of network namespaces, and read into a snapshot. Random packets are
//! predicted from it, and then [really sent](observe), or [traced] as `nslab trace` does. What the kernel [contradicts](compare) is [shrunk](shrink) to a network
//! of a few commands.

pub mod build;
pub mod chance;
pub mod compare;
mod error;
pub mod faults;
pub mod generate;
pub mod network;
pub mod observe;
pub mod probe;
pub mod report;
pub mod session;
pub mod shrink;
mod sys;
pub mod traced;
pub mod trial;
mod wire;

pub use error::Error;
