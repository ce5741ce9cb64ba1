//! What a sysctl makes of a snapshot.

use nslab_snapshot::Snapshot;

use super::kernel::{link_mut, settle, state_mut};

/// Sets a sysctl; none if nothing in a snapshot stands for it, or the value is no value of it.
pub(super) fn set(snapshot: &mut Snapshot, namespace: usize, key: &str, value: i64) -> Option<()> {
    let on = value != 0;
    let state = state_mut(snapshot, namespace)?;
    let parts: Vec<&str> = key.split('.').collect();
    match &parts[..] {
        ["net", "ipv4", "ip_forward"] | ["net", "ipv4", "conf", "all", "forwarding"] => {
            state.settings.ipv4_all.forwarding = on;
            let links = state.network.links.iter_mut();
            links.filter_map(|link| link.ipv4.as_mut()).for_each(|link| link.forwarding = on);
        }
        ["net", "ipv6", "conf", "all", "forwarding"] => {
            state.settings.ipv6_all.forwarding = on;
            let links = state.network.links.iter_mut();
            links.filter_map(|link| link.ipv6.as_mut()).for_each(|link| link.forwarding = on);
        }
        ["net", "ipv4", "icmp_echo_ignore_all"] => state.settings.ignores_echo = on,
        ["net", "ipv6", "icmp", "echo_ignore_all"] => state.settings.ignores_echo_ipv6 = on,
        ["net", "bridge", which] => {
            let bridge = state.settings.bridge_netfilter.as_mut()?;
            match *which {
                "bridge-nf-call-iptables" => bridge.ipv4 = on,
                "bridge-nf-call-ip6tables" => bridge.ipv6 = on,
                "bridge-nf-call-arptables" => bridge.arp = on,
                _ => return None,
            }
        }
        ["net", "ipv4", "conf", name, key] => {
            let small = u8::try_from(value).ok()?;
            let own = match *name {
                "all" => &mut state.settings.ipv4_all,
                name => {
                    // sysctl(8) has a dot in a name as a slash.
                    let index = state.link_named(&name.replace('/', "."))?.index;
                    link_mut(state, index)?.ipv4.as_mut()?
                }
            };
            match *key {
                "forwarding" => own.forwarding = on,
                "rp_filter" => own.rp_filter = small,
                "accept_local" => own.accept_local = on,
                "route_localnet" => own.route_localnet = on,
                "arp_ignore" => own.arp_ignore = small,
                "arp_filter" => own.arp_filter = on,
                "proxy_arp" => own.proxy_arp = on,
                "src_valid_mark" => own.src_valid_mark = on,
                _ => return None,
            }
        }
        ["net", "ipv6", "conf", name, key] => {
            if *name == "all" {
                match *key {
                    "disable_ipv6" => {
                        state.settings.ipv6_all.disabled = on;
                        let links = state.network.links.iter_mut();
                        links.filter_map(|link| link.ipv6.as_mut()).for_each(|link| link.disabled = on);
                    }
                    "proxy_ndp" => state.settings.ipv6_all.proxy_ndp = on,
                    _ => return None,
                }
            } else {
                let index = state.link_named(&name.replace('/', "."))?.index;
                let own = link_mut(state, index)?.ipv6.as_mut()?;
                match *key {
                    "forwarding" => own.forwarding = on,
                    "disable_ipv6" => own.disabled = on,
                    "proxy_ndp" => own.proxy_ndp = on,
                    "force_forwarding" => own.force_forwarding = on,
                    _ => return None,
                }
            }
            settle(snapshot);
        }
        _ => return None,
    }
    Some(())
}
