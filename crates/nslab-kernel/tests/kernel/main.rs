//! The crate on the real kernel, held against iproute2.

mod addresses;
mod forwarding;
mod links;
mod namespaces;
mod neighbours;
mod requests;
mod routes;
mod rules;
mod state;
mod support;
