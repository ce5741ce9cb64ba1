//! Published ports that something on the host has already.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nslab_topology::model::{Publish, Topology, Transport};

use super::WayOut;
use super::host::Host;
use crate::error::{Error, Result};

/// `TCP_LISTEN` and `TCP_CLOSE` (`include/net/tcp_states.h`); the latter is what a UDP socket without a peer is in.
const LISTEN: u8 = 0x0a;
const CLOSE: u8 = 0x07;

/// Refuses ports on which something listens, or which another lab publishes.
pub(super) fn check(ways: &[WayOut], topology: &Topology, host: &Host) -> Result<()> {
    let published = || ways.iter().flat_map(|way| &way.uplink.publish);
    for publish in published() {
        let conflict = |holder: String| Error::Conflict {
            lab: topology.name.clone(),
            name: format!("the host's port {}", publish.host_side()),
            holder,
        };
        let other = host.published.iter().find(|(other, _)| overlap(publish, other));
        if let Some((_, lab)) = other {
            return Err(conflict(format!("lab {lab:?} publishes it")));
        }
        if sockets(publish.transport).iter().any(|&(address, port)| is_on(publish, address, port)) {
            let verb = if publish.transport == Transport::Tcp { "listens on" } else { "is bound to" };
            return Err(conflict(format!("a program {verb} it")));
        }
    }
    Ok(())
}

fn overlap(one: &Publish, other: &Publish) -> bool {
    (one.transport, one.host_port) == (other.transport, other.host_port)
        && (one.host == other.host || one.host.is_none() || other.host.is_none())
}

/// Whether a socket would miss what is sent on to a node.
fn is_on(publish: &Publish, address: IpAddr, port: u16) -> bool {
    port == publish.host_port
        && publish.host.is_none_or(|host| {
            address == host || address.is_unspecified() && (address.is_ipv6() || host.is_ipv4())
        })
}

/// Addresses and ports of the sockets that take what comes, in the calling thread's namespace.
fn sockets(transport: Transport) -> Vec<(IpAddr, u16)> {
    let (names, state) = match transport {
        Transport::Tcp => (["tcp", "tcp6"], LISTEN),
        Transport::Udp => (["udp", "udp6"], CLOSE),
    };
    let texts = names.map(|name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")));
    let lines = texts.iter().flatten().flat_map(|text| text.lines().skip(1));
    lines.filter_map(|line| socket(line, state)).collect()
}

/// Reads one line: `0: 0100007F:1F90 00000000:0000 0A …`.
fn socket(line: &str, state: u8) -> Option<(IpAddr, u16)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, port) = fields.next()?.rsplit_once(':')?;
    let shown = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    (shown == state).then_some((self::address(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// Words of 32 bits, each in the machine's order.
fn address(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for word in text.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1";
        assert_eq!(socket(line, LISTEN), Some(("127.0.0.1".parse().unwrap(), 8080)));
        assert_eq!(socket(line, CLOSE), None);
        let line =
            "  12: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000";
        assert_eq!(socket(line, CLOSE), Some(("::1".parse().unwrap(), 53)));
        assert_eq!(socket("nonsense", LISTEN), None);
    }

    #[test]
    fn who_is_in_the_way() {
        let publish = |host: Option<&str>| Publish {
            transport: Transport::Tcp,
            host: host.map(|host| host.parse().unwrap()),
            host_port: 80,
            port: 8080,
        };
        let on = |host, address: &str, port| is_on(&publish(host), address.parse().unwrap(), port);
        assert!(on(None, "127.0.0.1", 80) && on(None, "::", 80) && !on(None, "0.0.0.0", 81));
        assert!(on(Some("127.0.0.1"), "0.0.0.0", 80) && on(Some("127.0.0.1"), "::", 80));
        assert!(!on(Some("127.0.0.1"), "192.0.2.1", 80) && !on(Some("::1"), "0.0.0.0", 80));
    }
}
