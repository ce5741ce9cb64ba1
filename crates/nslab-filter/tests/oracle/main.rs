//! Filters held against libpcap's own, as tcpdump runs them, and against the kernel.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "all of it is tests")]

mod expressions;
mod kernel;
mod length;
mod live;
mod packets;
mod random;
mod refused;
mod selection;
mod tcpdump;
mod tunnel;
