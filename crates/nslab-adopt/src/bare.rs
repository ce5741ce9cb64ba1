//! Leaving out what nslab would choose anyway.

use std::collections::HashMap;

use ipnet::{IpNet, Ipv6Net};
use nslab_topology::lab::{End, Lab};
use nslab_topology::model::Device;
use nslab_topology::{Spanned, Topology, resolve};
use nslab_types::MacAddr;

use crate::addresses::is_link_local;

/// An interface by its node and name.
type Key = (String, String);

/// What is chosen for an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chosen {
    mtu: u32,
    mac: Option<MacAddr>,
}

/// Leaves out MTUs, MACs and link-local addresses that resolving the lab gives just so. `whole` is what `lab` resolves to;
/// the lab that is left resolves to the same, but for link-local addresses that come when it is built.
pub(crate) fn leave_out_what_is_chosen(lab: Lab, whole: Topology) -> (Lab, Topology) {
    let wanted = chosen(&whole);
    let mut bare = lab.clone();
    for link in &mut bare.links {
        link.mtu = None;
    }
    for_each_end(&mut bare, |end| (end.mtu, end.mac) = (None, None));
    let mut resolved = None;
    // What is said of one interface may change what is chosen for another; more is said in each round.
    for _ in 0..=wanted.len() {
        let Ok(now) = resolve(&bare) else { break };
        let is = chosen(&now.topology);
        let mut any = false;
        for_each_end(&mut bare, |end| {
            let key = key(end);
            let (Some(wanted), Some(is)) = (wanted.get(&key), is.get(&key)) else { return };
            if is.mtu != wanted.mtu {
                end.mtu = Some(wanted.mtu.into());
                any = true;
            }
            if let Some(mac) = wanted.mac.filter(|_| is.mac != wanted.mac) {
                end.mac = Some(mac.into());
                any = true;
            }
        });
        if !any {
            resolved = Some(now.topology);
            break;
        }
    }
    let (mut lab, topology) = match resolved {
        Some(topology) => (bare, topology),
        None => (lab, whole),
    };
    for link in &mut lab.links {
        let [one, other] = &mut link.ends;
        if one.mtu.is_some() && one.mtu == other.mtu {
            link.mtu = one.mtu.take();
            other.mtu = None;
        }
    }
    let macs = wanted;
    for_each_end(&mut lab, |end| {
        let mac = macs.get(&key(end)).and_then(|chosen| chosen.mac);
        if let (Some(addresses), Some(mac)) = (&mut end.addresses, mac) {
            leave_out_link_local(addresses, mac);
        }
        // None are chosen either.
        end.addresses.take_if(|addresses| addresses.is_empty());
    });
    (lab, topology)
}

/// An interface with IPv6 addresses gets a link-local one made of its MAC, unless another is written.
fn leave_out_link_local(addresses: &mut Vec<Spanned<IpNet>>, mac: MacAddr) {
    let made = Ipv6Net::new(mac.link_local(), 64).map(IpNet::V6).ok();
    let others = addresses.iter().any(|own| own.addr().is_ipv6() && !is_link_local(own.addr()));
    let mut local = addresses.iter().filter(|own| is_link_local(own.addr()));
    if others && local.next().map(|own| own.value) == made && local.next().is_none() {
        addresses.retain(|own| !is_link_local(own.addr()));
    }
}

fn for_each_end(lab: &mut Lab, mut change: impl FnMut(&mut End)) {
    for link in &mut lab.links {
        link.ends.iter_mut().for_each(&mut change);
    }
    for interface in lab.nodes.iter_mut().flat_map(|node| &mut node.interfaces) {
        change(&mut interface.end);
    }
}

fn key(end: &End) -> Key {
    (end.device.value.clone(), end.interface.as_ref().map(|name| name.value.clone()).unwrap_or_default())
}

/// What every interface has.
fn chosen(topology: &Topology) -> HashMap<Key, Chosen> {
    let mut all = HashMap::new();
    for end in topology.links.iter().flat_map(|link| &link.ends) {
        let name = end.full_name.clone().unwrap_or_else(|| end.name.to_string());
        let device = match end.device {
            Device::Node(node) => &topology.nodes[node].name,
            Device::Switch(switch) => &topology.switches[switch].name,
        };
        all.insert((device.clone(), name), Chosen { mtu: end.mtu, mac: Some(end.mac) });
    }
    for node in &topology.nodes {
        for one in &node.interfaces {
            let name = one.full_name.clone().unwrap_or_else(|| one.name.to_string());
            all.insert((node.name.clone(), name), Chosen { mtu: one.mtu, mac: one.mac });
        }
    }
    all
}
