//! Frames built by hand, and tcpdump as the oracle for what is said of them.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::cast_possible_truncation, reason = "packets are short")]
#![allow(clippy::wildcard_imports, reason = "lists of cases are to be read")]
#![allow(clippy::unwrap_used, reason = "what does not work in a test is its end")]

pub(crate) mod build;
pub(crate) mod corpus;
pub(crate) mod dns;
pub(crate) mod oracle;
pub(crate) mod services;
pub(crate) mod tunnels;
