//! The host as a way out finds it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::Ruleset;
use nslab_kernel::route::{RouteAction, TABLE_MAIN};
use nslab_kernel::state::Select;
use nslab_kernel::{NamespaceState, sysctl};
use nslab_topology::model::Publish;
use nslab_types::IfName;

use crate::error::Result;
use crate::joined::Ledger;
use crate::paths::LabPaths;

/// What of the host concerns ways out.
#[derive(Debug, Default)]
pub struct Host {
    /// Links, addresses, routes.
    pub state: NamespaceState,
    /// All of nftables; none where the kernel has none.
    pub rules: Ruleset,
    /// Sysctls of the host that other labs hold, with the value before the first of them.
    pub held: BTreeMap<String, String>,
    /// Ports that other labs publish, and which.
    pub published: Vec<(Publish, String)>,
}

impl Host {
    /// Looks at the namespace that the calling thread is in.
    pub fn look(paths: &LabPaths) -> Result<Self> {
        let mut socket = Socket::open(Protocol::Route)?;
        let state = NamespaceState::read(&mut socket, Select { tables: false })?;
        let rules = Socket::open(Protocol::Netfilter)
            .and_then(|mut socket| Ruleset::read_without_elements(&mut socket))
            .unwrap_or_default();
        let mut host = Self { state, rules, ..Self::default() };
        for (lab, ledger) in paths.other_labs() {
            let ledger: Ledger = ledger;
            for holdings in ledger.all_of(super::HOST) {
                for (key, value) in &holdings.sysctls {
                    host.held.entry(key.clone()).or_insert_with(|| value.clone());
                }
                host.published.extend(holdings.published.iter().map(|one| (one.clone(), lab.clone())));
            }
        }
        Ok(host)
    }

    /// The interfaces with a default route of the family, the best one first.
    pub fn ways(&self, ipv6: bool) -> Vec<IfName> {
        let mut found: Vec<(u32, IfName)> = Vec::new();
        for route in &self.state.routes {
            let is_default =
                route.to.prefix_len() == 0 && route.to.addr().is_ipv6() == ipv6 && route.table == TABLE_MAIN;
            let RouteAction::Forward(hops) = &route.action else { continue };
            if is_default {
                let names = hops.iter().filter_map(|hop| self.name(hop.link?));
                found.extend(names.map(|name| (route.metric, name)));
            }
        }
        found.sort_by_key(|(metric, _)| *metric);
        let mut names: Vec<IfName> = Vec::new();
        for (_, name) in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The name of an interface.
    pub fn name(&self, index: u32) -> Option<IfName> {
        self.state.links.iter().find(|link| link.index == index).map(|link| link.name)
    }

    /// Prefixes that are in use, but for those on the interfaces `own`.
    pub fn prefixes(&self, own: &[IfName]) -> Vec<IpNet> {
        let own: Vec<u32> =
            self.state.links.iter().filter(|link| own.contains(&link.name)).map(|link| link.index).collect();
        let addresses = self.state.addresses.iter().filter(|address| !own.contains(&address.link));
        let mut prefixes: Vec<IpNet> = addresses.map(|address| address.address.trunc()).collect();
        for route in self.state.routes.iter().filter(|route| route.to.prefix_len() > 0) {
            let on_own = match &route.action {
                RouteAction::Forward(hops) => {
                    hops.iter().any(|hop| hop.link.is_some_and(|link| own.contains(&link)))
                }
                // The kernel's own routes to local addresses and multicast.
                _ => route.table != TABLE_MAIN,
            };
            if !on_own {
                prefixes.push(route.to);
            }
        }
        prefixes
    }

    /// IPv6 can be forwarded without making the whole host a router: it is one already, or this kernel can forward by
    /// interface (`force_forwarding`, Linux 6.17).
    pub fn forwards_ipv6_by_interface() -> bool {
        sysctl::read("net.ipv6.conf.all.forwarding").is_ok_and(|value| value == "1") || has_force_forwarding()
    }
}

/// Whether this kernel can forward IPv6 by interface.
pub(super) fn has_force_forwarding() -> bool {
    sysctl::path("net.ipv6.conf.all.force_forwarding").exists()
}
