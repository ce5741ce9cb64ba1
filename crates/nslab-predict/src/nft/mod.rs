//! What nftables makes of a packet at one hook of one namespace.
//!
//! The expressions that the kernel runs are evaluated as it does (`nft_do_chain`), over bits that are known or not
//! known. Where it matters what a bit is that is not known, both ways are followed, and each [`Branch`] says what it hangs on.

mod bits;
mod chain;
mod connection;
mod context;
mod ct;
mod header;
mod hook;
mod logic;
mod lookup;
mod meta;
mod nat;
mod needs;
mod outcome;
mod payload;
mod registers;
mod rule;
mod run;
mod set;
mod statement;
#[cfg(test)]
mod tests;

pub use connection::{Connection, State, Tracking, inverted, tuple};
pub use context::{Context, Device, FibQuestion, LinkHeader, NothingKnown, Socket, Surroundings};
pub use hook::evaluate;
pub use needs::{tracks_connections, translates_addresses};
pub use outcome::{Action, Branch, Fate, Part, Rejection, Step};
