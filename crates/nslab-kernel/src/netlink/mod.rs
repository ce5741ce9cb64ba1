//! Netlink (RFC 3549), synchronous: messages, batches, sockets.

mod attribute;
mod batch;
pub(crate) mod generic;
mod message;
mod socket;
mod transaction;

pub use attribute::{Attribute, Attributes, Reader};
pub use batch::{Batch, BatchError};
pub use message::{MessageWriter, Request};
pub(crate) use socket::messages;
#[cfg(feature = "fuzz")]
pub(crate) use socket::take_apart;
pub use socket::{Protocol, Socket};
pub(crate) use transaction::Outcome;
