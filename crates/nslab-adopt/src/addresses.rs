//! Addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::address::Address;
use nslab_kernel::link::{IfIndex, Link};
use nslab_topology::{Spanned, lab};

use crate::draft::Draft;

/// The MTU of a loopback interface (`drivers/net/loopback.c`).
const LOOPBACK_MTU: u32 = 65_536;

/// Whether it is an address that each link has of its own.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether it is one of the two that every loopback interface that is up has.
fn is_kernels(net: IpNet) -> bool {
    net == IpNet::from(IpAddr::from([127, 0, 0, 1])).with_length(8)
        || net == IpNet::from(IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1]))
}

trait WithLength {
    fn with_length(self, length: u8) -> Self;
}

impl WithLength for IpNet {
    fn with_length(self, length: u8) -> Self {
        Self::new(self.addr(), length).unwrap_or(self)
    }
}

impl Draft<'_> {
    /// The loopback interface.
    pub(crate) fn loopback(&mut self, number: usize, node: &mut lab::Node) {
        let space = self.spaces[number].clone();
        let Some(lo) = space.state.network.links.iter().find(|link| link.loopback) else { return };
        if !lo.up {
            self.skip(number, "lo", "is down; in a lab it is up");
        }
        if lo.mtu != LOOPBACK_MTU {
            self.skip(number, format!("lo mtu {}", lo.mtu), "in a lab it has the kernel's own, 65536");
        }
        let own = space.state.network.addresses.iter().filter(|own| own.link == lo.index);
        let (kernels, own): (Vec<&Address>, Vec<&Address>) = own.partition(|own| is_kernels(own.address));
        let is_there = |ipv6| kernels.iter().any(|own| own.address.addr().is_ipv6() == ipv6);
        let has_ipv6 = lo.ipv6.is_some_and(|ipv6| !ipv6.disabled);
        if lo.up && !is_there(false) {
            self.skip(number, "lo", "has lost 127.0.0.1; in a lab it has it");
        }
        if lo.up && has_ipv6 && !is_there(true) {
            self.skip(number, "lo", "has lost ::1; in a lab it has it");
        }
        for own in own {
            node.addresses.extend(self.address(number, lo, own));
        }
    }

    /// The addresses of an interface, in the kernel's order, which says the primary one of a subnet.
    pub(crate) fn addresses(&mut self, number: usize, link: &Link) -> Vec<Spanned<IpNet>> {
        let state = self.spaces[number].state;
        let all = state.network.addresses.iter().filter(|own| own.link == link.index);
        let is_port = self.hands_over(number, link);
        let mut addresses = Vec::new();
        for own in all {
            // What comes in by a port is its bridge's, so that nobody reaches these.
            if is_port && is_link_local(own.address.addr()) {
                continue;
            }
            addresses.extend(self.address(number, link, own));
        }
        let is_local = |own: &&Spanned<IpNet>| is_link_local(own.addr());
        if addresses.iter().any(|own| own.addr().is_ipv6()) && !addresses.iter().any(|own| is_local(&own)) {
            let object = link.name.to_string();
            self.skip(number, object, "has IPv6 addresses and no link-local one; in a lab it has one");
        }
        addresses
    }

    /// Whether a bridge or bond takes what comes in by it.
    pub(crate) fn hands_over(&self, number: usize, link: &Link) -> bool {
        use nslab_kernel::link::LinkKind::{Bond, Bridge};
        let master = link.master.and_then(|master| self.spaces[number].state.link(master));
        master.is_some_and(|master| matches!(master.kind, Some(Bridge(_) | Bond(_))))
    }

    /// One line for all members of an interface that have link-local addresses of their own.
    pub(crate) fn addresses_of_members(&mut self, number: usize, master: &Link) {
        let space = self.spaces[number].clone();
        let has = |link: IfIndex| {
            let mut all = space.state.network.addresses.iter();
            all.any(|own| own.link == link && is_link_local(own.address.addr()))
        };
        let members = space.described().filter(|link| link.master == Some(master.index) && has(link.index));
        let members: Vec<&str> = members.map(|link| link.name.as_str()).collect();
        if !members.is_empty() {
            let object = format!("{} {}", master.name, short_list(&members));
            self.skip(
                number,
                object,
                "members have link-local addresses, which nobody reaches; in a lab they have none",
            );
        }
    }

    fn address(&mut self, number: usize, link: &Link, own: &Address) -> Option<Spanned<IpNet>> {
        let object = format!("{} {}", link.name, own.address);
        let loses = if own.peer.is_some() {
            Some("it has the far end's address beside its own, which a lab file cannot say")
        } else if own.temporary {
            Some("it is a temporary one, which comes and goes by itself")
        } else if own.duplicate {
            Some("the kernel found it to be another's, and does not use it")
        } else {
            None
        };
        if let Some(why) = loses {
            self.skip(number, object, why);
            return None;
        }
        let usual = match own.address.addr() {
            IpAddr::V4(address) if address.is_loopback() => 254,
            // RT_SCOPE_LINK, RT_SCOPE_SITE of what RFC 3879 gave up, RT_SCOPE_HOST.
            IpAddr::V6(address) if address.is_unicast_link_local() => 253,
            IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfec0 => 200,
            IpAddr::V6(address) if address.is_loopback() => 254,
            _ => 0,
        };
        if own.scope != usual {
            self.skip(
                number,
                format!("{object} scope {}", own.scope),
                "the scope is lost: a lab's are the usual ones",
            );
        }
        if !own.permanent {
            self.skip(number, format!("{object} lifetime"), "is lost: in a lab the address stays");
        } else if own.deprecated {
            self.skip(number, format!("{object} deprecated"), "is lost: in a lab it is like any other");
        }
        if own.home {
            self.skip(number, format!("{object} home"), "is lost: in a lab it is like any other");
        }
        let id = self.mark(number, object);
        Some(Spanned::new(own.address, id))
    }
}

/// `a, b, c and 4 more`.
pub(crate) fn short_list(words: &[&str]) -> String {
    const MOST: usize = 4;
    if words.len() <= MOST + 1 {
        return words.join(", ");
    }
    format!("{} and {} more", words[..MOST].join(", "), words.len() - MOST)
}
