//! A node's way out to what is around the host.

use std::fmt;
use std::net::IpAddr;

use nslab_types::IfName;
use serde::{Deserialize, Serialize};

/// A node's way out: connections that it begins go on under the host's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// The node's interface.
    pub interface: IfName,
    /// IPv4.
    pub ipv4: bool,
    /// IPv6; where nothing is said, if the host has a way out for it and need not be changed much.
    pub ipv6: Option<bool>,
    /// Ports of the host that lead to the node.
    pub publish: Vec<Publish>,
}

/// A port of the host that leads to a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Publish {
    /// TCP or UDP.
    pub transport: Transport,
    /// The address of the host; all of them if none.
    pub host: Option<IpAddr>,
    /// The port of the host, from 1 on.
    pub host_port: u16,
    /// The port of the node, from 1 on.
    pub port: u16,
}

/// What ports are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// The IP protocol's number (RFC 5237).
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl Publish {
    /// The host's side, as `127.0.0.1:2222/tcp` or `8080/tcp`.
    pub fn host_side(&self) -> String {
        match self.host {
            Some(host @ IpAddr::V6(_)) => format!("[{host}]:{}/{}", self.host_port, self.transport),
            Some(host) => format!("{host}:{}/{}", self.host_port, self.transport),
            None => format!("{}/{}", self.host_port, self.transport),
        }
    }
}

/// As a lab file writes it: `127.0.0.1:2222:22/tcp`.
impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Some(host @ IpAddr::V6(_)) => write!(f, "[{host}]:")?,
            Some(host) => write!(f, "{host}:")?,
            None => {}
        }
        write!(f, "{}:{}/{}", self.host_port, self.port, self.transport)
    }
}
