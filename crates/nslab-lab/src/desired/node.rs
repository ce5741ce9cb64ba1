//! What a node's namespace is to have.

use ipnet::{IpNet, Ipv6Net};
use nslab_topology::model::{Existing, Interface, Node};
use nslab_types::MacAddr;

use super::{
    DesiredInterface, DesiredLink, DesiredNamespace, DesiredSysctl, FORWARD_IPV4, FORWARD_IPV6, NewNamespaces,
};
use crate::netfilter;
use crate::plan::{NamespaceRef, Role};
use crate::shaping::Queue;

pub(super) fn empty(node: &str, name: &str, role: Role) -> DesiredNamespace {
    DesiredNamespace {
        reference: NamespaceRef { node: node.to_owned(), name: name.to_owned(), role },
        existing: None,
        sysctls: Vec::new(),
        bridge: None,
        links: Vec::new(),
        interfaces: Vec::new(),
        fdb: Vec::new(),
        loopback: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        neighbours: Vec::new(),
        programs: Vec::new(),
        table: None,
        nft: None,
        may_have_table: false,
        view: None,
        host_table: None,
        way: None,
    }
}

fn interface(lab: &str, node: &str, interface: &Interface) -> DesiredInterface {
    let meant = interface.full_name.clone().unwrap_or_else(|| interface.name.to_string());
    let mac = interface.mac.unwrap_or_else(|| MacAddr::from_seed(&format!("{lab}/{node}:{meant}")));
    DesiredInterface {
        has_mac: interface.mac.is_some(),
        kind: interface.kind.clone(),
        link: DesiredLink {
            name: interface.name,
            alt_name: interface.full_name.clone(),
            mac,
            mtu: interface.mtu,
            up: interface.up,
            master: interface.master,
            addresses: with_link_local(&interface.addresses, mac),
            queue: Queue::default(),
            vlans: Vec::new(),
            isolated: false,
        },
    }
}

pub(super) fn node(lab: &str, node: &Node, new: NewNamespaces) -> DesiredNamespace {
    if let Some(existing) = &node.existing {
        return joined(node, existing);
    }
    let mut sysctls = Vec::with_capacity(2 + node.sysctls.len());
    let forward = if node.forward { "1" } else { "0" };
    if !node.sysctls.contains_key(FORWARD_IPV4) {
        let is_default = node.forward == new.forward;
        sysctls.push(DesiredSysctl { is_default, ..DesiredSysctl::new(FORWARD_IPV4, forward) });
    }
    if !node.sysctls.contains_key(FORWARD_IPV6) {
        let is_default = !node.forward;
        sysctls.push(DesiredSysctl {
            is_default,
            optional: true,
            ..DesiredSysctl::new(FORWARD_IPV6, forward)
        });
    }
    sysctls.extend(node.sysctls.iter().map(|(key, value)| DesiredSysctl::new(key, value)));
    let table = netfilter::compile(node).map(Box::new);
    DesiredNamespace {
        sysctls,
        interfaces: node.interfaces.iter().map(|one| interface(lab, &node.name, one)).collect(),
        loopback: node.loopback.clone(),
        routes: node.routes.clone(),
        rules: node.rules.clone(),
        neighbours: node.neighbours.clone(),
        programs: node.programs.clone(),
        may_have_table: !node.policy.is_empty(),
        table,
        nft: netfilter::raw::text(&node.policy.nft),
        view: (!node.view.is_empty()).then(|| node.view.clone()),
        ..empty(&node.name, &node.namespace, Role::Node)
    }
}

/// A namespace that is there already: what the file says is set, and nothing else.
fn joined(node: &Node, existing: &Existing) -> DesiredNamespace {
    let mut sysctls = Vec::new();
    for key in [FORWARD_IPV4, FORWARD_IPV6] {
        if node.forward && !node.sysctls.contains_key(key) {
            sysctls.push(DesiredSysctl { optional: key == FORWARD_IPV6, ..DesiredSysctl::new(key, "1") });
        }
    }
    sysctls.extend(node.sysctls.iter().map(|(key, value)| DesiredSysctl::new(key, value)));
    let name = match existing {
        Existing::Netns(name) if !name.starts_with('/') => name,
        _ => &node.namespace,
    };
    DesiredNamespace {
        existing: Some(existing.clone()),
        sysctls,
        loopback: node.loopback.clone(),
        routes: node.routes.clone(),
        rules: node.rules.clone(),
        neighbours: node.neighbours.clone(),
        programs: node.programs.clone(),
        ..empty(&node.name, name, Role::Joined)
    }
}

/// Adds the link-local address where there is another IPv6 address: set by us and without duplicate address
/// detection, it can be used at once; the kernel's own would be tentative for up to two seconds.
pub(super) fn with_link_local(addresses: &[IpNet], mac: MacAddr) -> Vec<IpNet> {
    let mut all = addresses.to_vec();
    let is_link_local =
        |address: &IpNet| matches!(address, IpNet::V6(net) if net.addr().is_unicast_link_local());
    if all.iter().any(|address| address.addr().is_ipv6()) && !all.iter().any(is_link_local) {
        all.extend(Ipv6Net::new(mac.link_local(), 64).map(IpNet::V6));
    }
    all
}
