//! What becomes of a packet, worked out from a [`Snapshot`](nslab_snapshot::Snapshot) and from nothing else: no system call,
//! no clock, no chance.
//!
//! The way of the kernel is followed step by step, each step in a module of its own. What is not known, or is not modelled,
//! never becomes a guess: it is a [`Doubt`], both of whose sides are followed.

mod code;
pub mod command;
pub mod counter;
pub mod doctor;
mod doubt;
pub mod fib;
pub mod fix;
mod group;
pub mod l2;
pub mod neighbour;
pub mod nft;
mod packet;
pub mod pmtu;
mod prediction;
pub mod reach;
pub mod reason;
pub mod segments;
mod walk;

pub use code::Code;
pub use doubt::{Doubt, Truth};
pub use packet::{Ip, Packet, Tcp, Transport};
pub use prediction::{Action, Cause, Error, Evidence, Hop, Prediction, Question, Told, Verdict};
pub use walk::{Arrival, Network, predict, predict_arrival};
