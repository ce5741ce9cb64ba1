//! Frames.

use crate::layers::{Decoded, Network, Tag, ethernet, ethertype};
use crate::line::{Dump, Out, hex, put};

impl Out<'_, '_> {
    pub(super) fn frame(&mut self, decoded: &Decoded<'_>) {
        if self.style.link {
            self.link(decoded);
        }
        match &decoded.network {
            Network::Other { ethertype, data } => {
                if !self.style.link {
                    self.link_of(decoded, *ethertype);
                }
                if matches!(self.style.dump, Dump::None | Dump::Text { .. }) {
                    hex::lines(self, data.bytes(), "\n\t", true);
                }
            }
            network => self.network(network),
        }
    }

    fn link(&mut self, decoded: &Decoded<'_>) {
        if let Some(ethernet) = decoded.ethernet {
            self.link_of(decoded, ethernet.ethertype);
        } else if !matches!(&decoded.network, Network::Broken(broken) if broken.protocol == "ether") {
            self.say("ip: ");
        }
    }

    fn link_of(&mut self, decoded: &Decoded<'_>, kind: u16) {
        let Some(ethernet) = decoded.ethernet else { return };
        self.mac(ethernet.source);
        self.say(" > ");
        self.mac(ethernet.destination);
        self.say(", ");
        let first = decoded.vlans.first().map_or(kind, |tag| tag.protocol);
        self.kind(first);
        let length =
            if usize::from(first) <= ethernet::LONGEST { usize::from(first) } else { decoded.length };
        put!(self, ", length {length}: ");
        for (number, tag) in decoded.vlans.iter().enumerate() {
            let Tag { id, priority, drop_eligible, .. } = tag;
            put!(self, "vlan {id}, p {priority}{}, ", if *drop_eligible { ", DEI" } else { "" });
            self.kind(decoded.vlans.get(number + 1).map_or(kind, |tag| tag.protocol));
            self.say(", ");
        }
    }

    fn kind(&mut self, kind: u16) {
        if kind <= 1500 {
            return self.say("802.3");
        }
        put!(self, "ethertype {} (0x{kind:04x})", name(kind).unwrap_or("Unknown"));
    }
}

/// What tcpdump calls an `EtherType`.
pub(super) fn name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        ethertype::IPV4 => "IPv4",
        ethertype::ARP => "ARP",
        ethertype::RARP => "Reverse ARP",
        ethertype::VLAN => "802.1Q",
        ethertype::SERVICE_VLAN => "802.1Q-QinQ",
        ethertype::QINQ | ethertype::QINQ_2 => "802.1Q-9100",
        ethertype::IPV6 => "IPv6",
        ethertype::SLOW => "Slow Protocols",
        ethertype::LLDP => "LLDP",
        ethertype::TRANSPARENT_ETHERNET => "TEB",
        0x8847 => "MPLS unicast",
        0x8848 => "MPLS multicast",
        0x8863 => "PPPoE D",
        0x8864 => "PPPoE S",
        0x888e => "EAPOL",
        0x9000 => "Loopback",
        _ => return None,
    })
}
