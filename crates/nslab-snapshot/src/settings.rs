//! The sysctls of a namespace that decide what becomes of a packet.

use std::cell::RefCell;
use std::str::FromStr;

use nslab_kernel::link::{Ipv4Settings, Ipv6Settings};
use nslab_kernel::netconf;
use nslab_kernel::netlink::Socket;
use nslab_kernel::sysctl::{Directory, Tree};
use serde::{Deserialize, Serialize};

/// Settings of a namespace as a whole. Those of each link are with the link
/// ([`Link::ipv4`](nslab_kernel::link::Link::ipv4), [`Link::ipv6`](nslab_kernel::link::Link::ipv6)). A sysctl that the
/// kernel does not have is as if it were at its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `net.ipv4.conf.all`, which is joined with that of each link, in a way that differs by setting.
    pub ipv4_all: Ipv4Settings,
    /// `net.ipv6.conf.all`.
    pub ipv6_all: Ipv6Settings,
    /// What bridges hand to the rules for IP packets; none without `br_netfilter`.
    pub bridge_netfilter: Option<BridgeNetfilter>,
    /// `net.ipv4.ip_default_ttl`: 1 to 255.
    pub ttl: u8,
    /// `net.ipv4.icmp_echo_ignore_all`.
    pub ignores_echo: bool,
    /// `net.ipv4.icmp_echo_ignore_broadcasts`.
    pub ignores_broadcast_echo: bool,
    /// `net.ipv6.icmp.echo_ignore_all`.
    pub ignores_echo_ipv6: bool,
    /// `net.ipv4.icmp_ratelimit`: milliseconds between errors to one host; 0 for no limit.
    pub icmp_rate_limit: u32,
    /// `net.ipv4.icmp_ratemask`: the types that the limit is for, a bit each.
    pub icmp_rate_mask: u32,
    /// `net.ipv6.icmp.ratelimit`, in milliseconds.
    pub icmp_rate_limit_ipv6: u32,
    /// `net.ipv4.ip_local_port_range`: the ports that clients get.
    pub local_ports: (u16, u16),
    /// `net.ipv4.ip_unprivileged_port_start`.
    pub unprivileged_ports_from: u16,
    /// `net.ipv4.ip_nonlocal_bind` and `net.ipv6.ip_nonlocal_bind`.
    pub nonlocal_bind: (bool, bool),
    /// `net.ipv4.ip_no_pmtu_disc`: 0 to 3.
    pub no_path_mtu_discovery: u8,
    /// `net.ipv4.ip_forward_use_pmtu`.
    pub forward_uses_path_mtu: bool,
    /// `net.ipv4.fib_multipath_hash_policy` and `net.ipv6.fib_multipath_hash_policy`: 0 to 3.
    pub multipath_hash: (u8, u8),
    /// `net.ipv4.fwmark_reflect` and `net.ipv6.fwmark_reflect`: answers of the kernel carry the mark of what they answer.
    pub mark_is_reflected: (bool, bool),
    /// `net.ipv4.tcp_l3mdev_accept` and `net.ipv4.udp_l3mdev_accept`: sockets outside of VRFs take packets of theirs.
    pub sockets_reach_into_vrfs: (bool, bool),
    /// `net.ipv4.neigh.default.gc_thresh3` and that of IPv6: so many neighbours the kernel keeps in all namespaces together.
    /// Only the machine's first namespace tells them, and is asked only if nslab was started there.
    pub most_neighbours: (Option<u32>, Option<u32>),
    /// `net.ipv4.conf.all.mc_forwarding`: some program routes groups. None if the kernel does not know it.
    pub routes_groups: Option<bool>,
}

/// `net.bridge.bridge-nf-call-…`: whether bridged packets see the rules for packets that are routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeNetfilter {
    /// `bridge-nf-call-iptables`.
    pub ipv4: bool,
    /// `bridge-nf-call-ip6tables`.
    pub ipv6: bool,
    /// `bridge-nf-call-arptables`.
    pub arp: bool,
    /// `bridge-nf-filter-vlan-tagged`: those in VLANs too.
    pub vlan_tagged: bool,
}

impl Default for Settings {
    /// The kernel's own defaults.
    fn default() -> Self {
        Self {
            ipv4_all: Ipv4Settings { send_redirects: true, ..Ipv4Settings::default() },
            ipv6_all: Ipv6Settings { hop_limit: 64, mtu: 1280, accept_ra: 1, ..Ipv6Settings::default() },
            bridge_netfilter: None,
            ttl: 64,
            ignores_echo: false,
            ignores_broadcast_echo: true,
            ignores_echo_ipv6: false,
            icmp_rate_limit: 1000,
            icmp_rate_mask: 0x1818,
            icmp_rate_limit_ipv6: 1000,
            local_ports: (32768, 60999),
            unprivileged_ports_from: 1024,
            nonlocal_bind: (false, false),
            no_path_mtu_discovery: 0,
            forward_uses_path_mtu: false,
            multipath_hash: (0, 0),
            mark_is_reflected: (false, false),
            sockets_reach_into_vrfs: (false, false),
            most_neighbours: (None, None),
            routes_groups: None,
        }
    }
}

/// What could not be read though it is there: sentences' parts.
#[derive(Default)]
struct Problems(RefCell<Vec<String>>);

impl Problems {
    /// What is there, if it could be read; else that is noted.
    fn note<T>(&self, read: nslab_kernel::Result<Option<T>>) -> Option<T> {
        read.unwrap_or_else(|error| {
            self.0.borrow_mut().push(error.to_string());
            None
        })
    }
}

/// A directory of sysctls; none if the kernel does not have it.
struct Sysctls<'a> {
    directory: Option<Directory>,
    problems: &'a Problems,
}

impl<'a> Sysctls<'a> {
    fn open(tree: &Tree, key: &str, problems: &'a Problems) -> Self {
        Self { directory: problems.note(tree.directory(key)), problems }
    }

    fn below(&self, key: &str) -> Self {
        let below = self.directory.as_ref().map(|directory| directory.directory(key));
        Self { directory: below.and_then(|below| self.problems.note(below)), problems: self.problems }
    }

    fn text(&self, key: &str) -> Option<String> {
        self.problems.note(self.directory.as_ref()?.read(key))
    }

    /// The value, if it is there and a number that fits.
    fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.trim().parse().ok()
    }

    /// Whether it is on; `default` if it is not there.
    fn on(&self, key: &str, default: bool) -> bool {
        self.number::<i64>(key).map_or(default, |value| value != 0)
    }

    fn range(&self, key: &str) -> Option<(u16, u16)> {
        let value = self.text(key)?;
        let mut numbers = value.split_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

impl Settings {
    /// Reads those of the namespace in which the thread is; `socket` is a routing socket of it. With them comes what is there
    /// and could not be read, a sentence's part each; the setting is then as if at its default.
    pub fn read(socket: &mut Socket, tree: &Tree) -> (Self, Vec<String>) {
        let problems = Problems::default();
        let settings = Self::of(socket, tree, &problems);
        (settings, problems.0.into_inner())
    }

    /// Reads those that the machine has once, rather than each namespace.
    pub(crate) fn read_machine(&mut self) {
        let limit = |key| nslab_kernel::sysctl::read(key).ok()?.trim().parse().ok();
        self.most_neighbours =
            (limit("net.ipv4.neigh.default.gc_thresh3"), limit("net.ipv6.neigh.default.gc_thresh3"));
    }

    fn of(socket: &mut Socket, tree: &Tree, problems: &Problems) -> Self {
        let default = Self::default();
        let (v4, v6) = (Sysctls::open(tree, "net.ipv4", problems), Sysctls::open(tree, "net.ipv6", problems));
        let all4 = v4.below("conf.all");
        let icmp6 = v6.below("icmp");
        let both = |key: &str| (v4.on(key, false), v6.on(key, false));
        Self {
            ipv4_all: ipv4_all(socket, &all4, default.ipv4_all),
            ipv6_all: ipv6_all(socket, &v6.below("conf.all"), default.ipv6_all),
            bridge_netfilter: bridge_netfilter(&Sysctls::open(tree, "net.bridge", problems)),
            ttl: v4.number("ip_default_ttl").unwrap_or(default.ttl),
            ignores_echo: v4.on("icmp_echo_ignore_all", default.ignores_echo),
            ignores_broadcast_echo: v4.on("icmp_echo_ignore_broadcasts", default.ignores_broadcast_echo),
            ignores_echo_ipv6: icmp6.on("echo_ignore_all", default.ignores_echo_ipv6),
            icmp_rate_limit: v4.number("icmp_ratelimit").unwrap_or(default.icmp_rate_limit),
            icmp_rate_mask: v4.number("icmp_ratemask").unwrap_or(default.icmp_rate_mask),
            icmp_rate_limit_ipv6: icmp6.number("ratelimit").unwrap_or(default.icmp_rate_limit_ipv6),
            local_ports: v4.range("ip_local_port_range").unwrap_or(default.local_ports),
            unprivileged_ports_from: v4
                .number("ip_unprivileged_port_start")
                .unwrap_or(default.unprivileged_ports_from),
            nonlocal_bind: both("ip_nonlocal_bind"),
            no_path_mtu_discovery: v4.number("ip_no_pmtu_disc").unwrap_or(0),
            forward_uses_path_mtu: v4.on("ip_forward_use_pmtu", false),
            multipath_hash: (
                v4.number("fib_multipath_hash_policy").unwrap_or(0),
                v6.number("fib_multipath_hash_policy").unwrap_or(0),
            ),
            mark_is_reflected: both("fwmark_reflect"),
            sockets_reach_into_vrfs: (v4.on("tcp_l3mdev_accept", false), v4.on("udp_l3mdev_accept", false)),
            most_neighbours: (None, None),
            routes_groups: all4.number::<i64>("mc_forwarding").map(|value| value != 0),
        }
    }
}

fn bridge_netfilter(bridge: &Sysctls<'_>) -> Option<BridgeNetfilter> {
    Some(BridgeNetfilter {
        ipv4: bridge.number::<i64>("bridge-nf-call-iptables")? != 0,
        ipv6: bridge.on("bridge-nf-call-ip6tables", true),
        arp: bridge.on("bridge-nf-call-arptables", true),
        vlan_tagged: bridge.on("bridge-nf-filter-vlan-tagged", false),
    })
}

fn ipv4_all(socket: &mut Socket, all: &Sysctls<'_>, default: Ipv4Settings) -> Ipv4Settings {
    let small = |key| all.number::<u8>(key).unwrap_or(0);
    Ipv4Settings {
        forwarding: forwarding(socket, all, false),
        proxy_arp: all.on("proxy_arp", default.proxy_arp),
        proxy_arp_pvlan: all.on("proxy_arp_pvlan", default.proxy_arp_pvlan),
        rp_filter: small("rp_filter"),
        accept_source_route: all.on("accept_source_route", default.accept_source_route),
        send_redirects: all.on("send_redirects", default.send_redirects),
        arp_filter: all.on("arp_filter", default.arp_filter),
        arp_announce: small("arp_announce"),
        arp_ignore: small("arp_ignore"),
        accept_local: all.on("accept_local", default.accept_local),
        src_valid_mark: all.on("src_valid_mark", default.src_valid_mark),
        route_localnet: all.on("route_localnet", default.route_localnet),
        ignore_routes_with_linkdown: all
            .on("ignore_routes_with_linkdown", default.ignore_routes_with_linkdown),
        bc_forwarding: all.on("bc_forwarding", default.bc_forwarding),
    }
}

fn ipv6_all(socket: &mut Socket, all: &Sysctls<'_>, default: Ipv6Settings) -> Ipv6Settings {
    Ipv6Settings {
        forwarding: forwarding(socket, all, true),
        hop_limit: all.number("hop_limit").unwrap_or(default.hop_limit),
        mtu: all.number("mtu").unwrap_or(default.mtu),
        disabled: all.on("disable_ipv6", default.disabled),
        proxy_ndp: all.on("proxy_ndp", default.proxy_ndp),
        accept_ra: all.number("accept_ra").unwrap_or(default.accept_ra),
        accept_source_route: all.number("accept_source_route").unwrap_or(default.accept_source_route),
        ignore_routes_with_linkdown: all
            .on("ignore_routes_with_linkdown", default.ignore_routes_with_linkdown),
        use_tempaddr: all.number("use_tempaddr").unwrap_or(default.use_tempaddr),
        use_optimistic: all.on("use_optimistic", default.use_optimistic),
        use_oif_addrs_only: all.on("use_oif_addrs_only", default.use_oif_addrs_only),
        force_forwarding: all.on("force_forwarding", default.force_forwarding),
    }
}

/// Whether the namespace forwards; not if the kernel has no such protocol.
fn forwarding(socket: &mut Socket, all: &Sysctls<'_>, ipv6: bool) -> bool {
    if all.directory.is_none() {
        return netconf::forwarding(socket, ipv6).unwrap_or(false);
    }
    all.problems.note(netconf::forwarding(socket, ipv6).map(Some)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use nslab_kernel::Error;
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_is_there_and_cannot_be_read_is_noted() {
        let problems = Problems::default();
        assert_eq!(problems.note(Ok(Some(1))), Some(1));
        assert_eq!(problems.note::<()>(Ok(None)), None);
        assert_eq!(problems.note::<()>(Err(Error::io("read a.c", Errno::ACCESS))), None);
        let noted = problems.0.into_inner();
        assert!(noted.len() == 1 && noted[0].contains("a.c"), "{noted:?}");
    }
}
