//! Who is expected to reach whom.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// One line of `expect:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// Who sends.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// What is sent.
    pub service: Probe,
    /// What is to become of it.
    pub outcome: Expected,
    /// The line of the file that it is written in, from 1.
    pub line: usize,
}

/// One side of an expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Every node.
    Every,
    /// The node of this name, or every node at the switch of this name.
    Named(String),
    /// An address, whoever has it.
    Address(IpAddr),
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// An echo request.
    Icmp,
    /// A connection to this port.
    Tcp(u16),
    /// A packet to this port.
    Udp(u16),
}

/// What is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// It arrives and is answered.
    Ok,
    /// Nothing comes back.
    Drop,
    /// It is refused, and the sender hears of it.
    Reject,
}
