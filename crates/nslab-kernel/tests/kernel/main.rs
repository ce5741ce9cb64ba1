//! The crate on the real kernel, held against iproute2.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod addresses;
mod connections;
mod forwarding;
mod full_kernel;
mod links;
mod namespaces;
mod neighbours;
mod netconf;
mod nftables;
mod packets;
mod requests;
mod routes;
mod rules;
mod sockets;
mod state;
mod support;
