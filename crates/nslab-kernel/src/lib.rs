//! The Linux kernel's network stack, typed: namespaces, rtnetlink, nftables, sysctls.
//!
//! No policy lives here: every function does what its name says to the namespace it is given, and says what the
//! kernel answered. Everything that can be set can be read back in the same types, in one
//! [`NamespaceState`] per namespace.
//!
//! - [`Namespace`] is a handle (a file descriptor), never a path or a pid, so it cannot come to mean another one.
//! - [`netlink::Socket`] belongs to the namespace it was opened in and stays there, whichever namespace the thread
//!   that uses it is in. Keep one for each namespace.
//! - [`netlink::Batch`] sends many requests in one system call.

#![allow(
    clippy::wildcard_imports,
    reason = "`abi` holds the kernel's numbers, whose names are unique already"
)]

mod abi;
pub mod address;
pub mod bpf;
pub mod conntrack;
pub mod counters;
pub mod error;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod link;
pub mod mark;
pub mod mount;
pub mod namespace;
pub mod neighbour;
pub mod netconf;
pub mod netlink;
pub mod nftables;
pub mod nsfile;
pub mod nsid;
pub mod packet;
pub mod parallel;
pub mod pidns;
pub mod processes;
pub mod qdisc;
pub mod route;
pub mod rule;
pub mod sock_diag;
pub mod state;
pub mod sysctl;
pub mod tun;
pub mod userns;
#[cfg(test)]
mod wire_tests;
pub mod wireguard;

pub use error::{Error, Result};
pub use namespace::{Namespace, NamespaceId};
pub use nsfile::NamespaceFile;
pub use state::NamespaceState;
