//! The lab file: text in, an exact network out. Pure: no I/O, no kernel, no clock, no randomness.
//!
//! ```text
//! text ──parse──▶ Lab (what was written: groups repeated, variables filled in, gaps left open)
//!      ──resolve─▶ Topology (every name, address, MAC and route chosen) + Diagnostics
//! ```

pub mod model;
