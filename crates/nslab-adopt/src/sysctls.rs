//! Sysctls that differ from what a new namespace has.

use nslab_kernel::link::{Ipv4Settings, Ipv6Settings, Link};
use nslab_snapshot::Settings;
use nslab_topology::Spanned;
use nslab_topology::lab::Node;

use crate::draft::Draft;

/// A setting of an interface: its sysctl, and its value as text.
type Setting = (&'static str, String);

impl Draft<'_> {
    /// The sysctls of a node, and whether it forwards.
    pub(crate) fn sysctls(&mut self, number: usize, node: &mut Node) {
        let space = self.spaces[number].clone();
        let settings = &space.state.settings;
        let (ipv4, ipv6) = (settings.ipv4_all, settings.ipv6_all);
        node.forward = ipv4.forwarding && ipv6.forwarding;
        let mut found: Vec<(String, String)> = Vec::new();
        if ipv4.forwarding && !ipv6.forwarding {
            found.push(("net.ipv4.ip_forward".to_owned(), "1".to_owned()));
        }
        if ipv6.forwarding && !ipv4.forwarding {
            found.push(("net.ipv6.conf.all.forwarding".to_owned(), "1".to_owned()));
        }
        if ipv6.disabled {
            found.push(("net.ipv6.conf.all.disable_ipv6".to_owned(), "1".to_owned()));
        }
        let plain = Settings::default();
        let all = |family: &str, is: Vec<Setting>, usual: Vec<Setting>| {
            let odd = is.into_iter().zip(usual).filter(|(is, usual)| is != usual);
            odd.map(|((key, value), _)| (format!("net.{family}.conf.all.{key}"), value)).collect::<Vec<_>>()
        };
        let wide_ipv4 = Ipv4Settings { forwarding: false, ..ipv4 };
        found.extend(all("ipv4", of_ipv4(&wide_ipv4), of_ipv4(&plain.ipv4_all)));
        let wide_ipv6 = Ipv6Settings { forwarding: false, disabled: false, ..ipv6 };
        found.extend(all("ipv6", of_ipv6(&wide_ipv6), of_ipv6(&plain.ipv6_all)));
        found.extend(of_namespace(settings, &plain));
        found.extend(self.of_interfaces(number));
        for link in space.described().filter(|link| link.ipv6.is_some_and(|ipv6| ipv6.mtu != link.mtu)) {
            let mtu = link.ipv6.map_or(0, |ipv6| ipv6.mtu);
            let object = format!("sysctl {} {mtu}", of("ipv6", link.name.as_str(), "mtu"));
            self.skip(number, object, "the kernel takes it back when an interface comes up (`addrconf_notify`, net/ipv6/addrconf.c)");
        }
        for (key, value) in found {
            let id = self.mark(number, format!("sysctl {key}"));
            node.sysctls.push((Spanned::new(key, id), value));
        }
    }

    /// Those of single interfaces. What all have alike is said of those to come, which they are when the lab is built.
    fn of_interfaces(&self, number: usize) -> Vec<(String, String)> {
        let space = &self.spaces[number];
        let settings = &space.state.settings;
        let mut found = Vec::new();
        let usual = Ipv4Settings {
            send_redirects: true,
            accept_source_route: true,
            forwarding: settings.ipv4_all.forwarding,
            ..Ipv4Settings::default()
        };
        let usual = of_ipv4(&usual);
        let own = space.described().filter_map(|link| Some((link, of_ipv4(&link.ipv4?))));
        differing("ipv4", &own.collect::<Vec<_>>(), |_, place| usual[place].1.clone(), &mut found);
        let all = settings.ipv6_all;
        let usual = |link: &Link| {
            of_ipv6(&Ipv6Settings {
                forwarding: all.forwarding,
                hop_limit: 64,
                // What is said of it does not last.
                mtu: link.ipv6.map_or(0, |own| own.mtu),
                disabled: all.disabled,
                accept_ra: 1,
                ignore_routes_with_linkdown: all.ignore_routes_with_linkdown,
                // Off for good where an interface has no address of its own to hide (`ipv6_add_dev`,
                // net/ipv6/addrconf.c).
                use_tempaddr: link.ipv6.map_or(0, |own| own.use_tempaddr.min(0)),
                ..Ipv6Settings::default()
            })
        };
        let own = space.described().filter_map(|link| Some((link, of_ipv6(&link.ipv6?))));
        differing("ipv6", &own.collect::<Vec<_>>(), |link, place| usual(link)[place].1.clone(), &mut found);
        found
    }
}

/// Says what differs from the usual value, which may depend on the interface.
fn differing(
    family: &str,
    own: &[(&Link, Vec<Setting>)],
    usual: impl Fn(&Link, usize) -> String,
    found: &mut Vec<(String, String)>,
) {
    let Some((_, first)) = own.first() else { return };
    for (place, &(key, _)) in first.iter().enumerate() {
        let values = || own.iter().map(|(link, values)| (*link, values[place].1.as_str()));
        let is_odd = |(link, value): &(&Link, &str)| *value != usual(link, place);
        let mut new = values().filter(|(link, _)| !link.loopback);
        let first = new.next().filter(is_odd).map(|(_, value)| value);
        let rest: Vec<(&Link, &str)> = new.collect();
        let alike = rest.iter().all(|one| Some(one.1) == first && is_odd(one));
        let common = first.filter(|_| alike && !rest.is_empty());
        found.extend(common.map(|value| (format!("net.{family}.conf.default.{key}"), value.to_owned())));
        for (link, value) in values() {
            let is_said = match common {
                None => !is_odd(&(link, value)),
                // IPv4's goes to those that are there already, unless something was said of them
                // (`devinet_copy_dflt_conf`, net/ipv4/devinet.c).
                Some(common) if family == "ipv4" => value == common,
                Some(_) => !link.loopback || !is_odd(&(link, value)),
            };
            if !is_said {
                found.push((of(family, link.name.as_str(), key), value.to_owned()));
            }
        }
    }
}

/// The sysctl of an interface; with slashes where its name has a dot.
fn of(family: &str, link: &str, key: &str) -> String {
    if link.contains('.') {
        format!("net/{family}/conf/{link}/{key}")
    } else {
        format!("net.{family}.conf.{link}.{key}")
    }
}

fn on(value: bool) -> String {
    u8::from(value).to_string()
}

fn of_ipv4(is: &Ipv4Settings) -> Vec<Setting> {
    vec![
        ("forwarding", on(is.forwarding)),
        ("proxy_arp", on(is.proxy_arp)),
        ("proxy_arp_pvlan", on(is.proxy_arp_pvlan)),
        ("rp_filter", is.rp_filter.to_string()),
        ("accept_source_route", on(is.accept_source_route)),
        ("send_redirects", on(is.send_redirects)),
        ("arp_filter", on(is.arp_filter)),
        ("arp_announce", is.arp_announce.to_string()),
        ("arp_ignore", is.arp_ignore.to_string()),
        ("accept_local", on(is.accept_local)),
        ("src_valid_mark", on(is.src_valid_mark)),
        ("route_localnet", on(is.route_localnet)),
        ("ignore_routes_with_linkdown", on(is.ignore_routes_with_linkdown)),
        ("bc_forwarding", on(is.bc_forwarding)),
    ]
}

fn of_ipv6(is: &Ipv6Settings) -> Vec<Setting> {
    vec![
        ("forwarding", on(is.forwarding)),
        ("hop_limit", is.hop_limit.to_string()),
        ("mtu", is.mtu.to_string()),
        ("disable_ipv6", on(is.disabled)),
        ("proxy_ndp", on(is.proxy_ndp)),
        ("accept_ra", is.accept_ra.to_string()),
        ("accept_source_route", is.accept_source_route.to_string()),
        ("ignore_routes_with_linkdown", on(is.ignore_routes_with_linkdown)),
        ("use_tempaddr", is.use_tempaddr.to_string()),
        ("use_optimistic", on(is.use_optimistic)),
        ("use_oif_addrs_only", on(is.use_oif_addrs_only)),
        ("force_forwarding", on(is.force_forwarding)),
    ]
}

/// Those of the namespace as a whole, besides `conf.all`.
fn of_namespace(is: &Settings, plain: &Settings) -> Vec<(String, String)> {
    let range = |(low, high): (u16, u16)| format!("{low} {high}");
    let list = |is: &Settings| -> Vec<Setting> {
        vec![
            ("ipv4.ip_default_ttl", is.ttl.to_string()),
            ("ipv4.icmp_echo_ignore_all", on(is.ignores_echo)),
            ("ipv4.icmp_echo_ignore_broadcasts", on(is.ignores_broadcast_echo)),
            ("ipv6.icmp.echo_ignore_all", on(is.ignores_echo_ipv6)),
            ("ipv4.icmp_ratelimit", is.icmp_rate_limit.to_string()),
            ("ipv4.icmp_ratemask", is.icmp_rate_mask.to_string()),
            ("ipv6.icmp.ratelimit", is.icmp_rate_limit_ipv6.to_string()),
            ("ipv4.ip_local_port_range", range(is.local_ports)),
            ("ipv4.ip_unprivileged_port_start", is.unprivileged_ports_from.to_string()),
            ("ipv4.ip_nonlocal_bind", on(is.nonlocal_bind.0)),
            ("ipv6.ip_nonlocal_bind", on(is.nonlocal_bind.1)),
            ("ipv4.ip_no_pmtu_disc", is.no_path_mtu_discovery.to_string()),
            ("ipv4.ip_forward_use_pmtu", on(is.forward_uses_path_mtu)),
            ("ipv4.fib_multipath_hash_policy", is.multipath_hash.0.to_string()),
            ("ipv6.fib_multipath_hash_policy", is.multipath_hash.1.to_string()),
            ("ipv4.fwmark_reflect", on(is.mark_is_reflected.0)),
            ("ipv6.fwmark_reflect", on(is.mark_is_reflected.1)),
            ("ipv4.tcp_l3mdev_accept", on(is.sockets_reach_into_vrfs.0)),
            ("ipv4.udp_l3mdev_accept", on(is.sockets_reach_into_vrfs.1)),
        ]
    };
    // Linux 6.18 begins with a tenth of what those before do (`icmpv6_sk_init`, net/ipv6/icmp.c).
    let mut is = is.clone();
    if is.icmp_rate_limit_ipv6 == 100 {
        is.icmp_rate_limit_ipv6 = plain.icmp_rate_limit_ipv6;
    }
    let mut found: Vec<(String, String)> = list(&is)
        .into_iter()
        .zip(list(plain))
        .filter(|(is, plain)| is != plain)
        .map(|((key, value), _)| (format!("net.{key}"), value))
        .collect();
    if let Some(bridge) = is.bridge_netfilter {
        // What `br_netfilter` begins with (`net/bridge/br_netfilter_hooks.c`).
        let settings = [
            ("call-iptables", bridge.ipv4, true),
            ("call-ip6tables", bridge.ipv6, true),
            ("call-arptables", bridge.arp, true),
            ("filter-vlan-tagged", bridge.vlan_tagged, false),
        ];
        let odd = settings.into_iter().filter(|(_, is, usual)| is != usual);
        found.extend(odd.map(|(key, is, _)| (format!("net.bridge.bridge-nf-{key}"), on(is))));
    }
    found
}
