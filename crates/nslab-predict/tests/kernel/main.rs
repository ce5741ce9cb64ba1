//! Predictions, held against the real kernel.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod answers;
mod chance;
mod doctor;
mod frames;
mod made;
mod named;
mod nft;
mod reach;
mod tap;
mod walk;
