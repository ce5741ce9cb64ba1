//! Ways out: from a node to what is around the host, under the host's addresses.
//!
//! As root, and inside a user namespace, a way out is a cable from the node to the host, a default route by it, and a
//! table of nftables on the host that lets the node's connections out and published ports in. The host's namespace is a
//! foreign one to the lab: what is put there is in the ledger and is taken out again.

mod blocked;
mod choose;
mod host;
mod ports;
mod table;
mod user;

use std::net::IpAddr;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nslab_kernel::Namespace;
use nslab_topology::model::{Publish, Topology, Uplink};
use nslab_types::{IfName, MacAddr};

use crate::desired::DesiredSysctl;
use crate::error::{Context, Error, Result};
use crate::joined::Ledger;
use crate::paths::LabPaths;
use crate::plan::{Plan, Role};
use crate::rootless;
use rustix::fs::{FlockOperation, Mode, OFlags};

pub use host::Host;
pub use table::{
    is_ours as is_our_table, read as read_table, replace as replace_table, same as same_table, table,
    table_name,
};
pub use user::{Carrier, UserWay};
pub(crate) use user::{running as running_way, stop as stop_way, stop_all as stop_ways};

/// The name under which the host's namespace is in plans and in the ledger. No node can have it.
pub const HOST: &str = "host";

/// A node's way out, with everything chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOut {
    /// The node, by its place in the topology.
    pub node: usize,
    /// Its name.
    pub name: String,
    /// What was asked for.
    pub uplink: Uplink,
    /// The host's end.
    pub host_interface: IfName,
    /// MACs of the node's and the host's end.
    pub macs: [MacAddr; 2],
    /// The subnet of the two for IPv4.
    pub ipv4: Option<Ipv4Net>,
    /// The subnet of the two for IPv6.
    pub ipv6: Option<Ipv6Net>,
    /// The host's interfaces by which the outside is reached.
    pub outside: Vec<IfName>,
    /// The program that carries it, without root.
    pub carrier: Option<Carrier>,
}

impl WayOut {
    /// The subnets, with the host's address and the node's in each.
    pub fn pairs(&self) -> Vec<(IpNet, IpNet)> {
        let v4 = self.ipv4.map(|net| {
            let at = |number: u32| (u32::from(net.network()) + number).into();
            (address(IpAddr::V4(at(1)), net.prefix_len()), address(IpAddr::V4(at(2)), net.prefix_len()))
        });
        let v6 = self.ipv6.map(|net| {
            let at = |number: u128| (u128::from(net.network()) + number).into();
            (address(IpAddr::V6(at(1)), net.prefix_len()), address(IpAddr::V6(at(2)), net.prefix_len()))
        });
        v4.into_iter().chain(v6).collect()
    }

    /// The way out as a program carries it, if one does.
    pub fn carried(&self) -> Option<UserWay> {
        let (interface, publish) = (self.uplink.interface, self.uplink.publish.clone());
        Some(UserWay { carrier: self.carrier?, interface, ipv4: self.ipv4?, ipv6: self.ipv6, publish })
    }

    /// The node's address of the family of `like`.
    fn node_address(&self, ipv6: bool) -> Option<IpAddr> {
        self.pairs().into_iter().map(|(_, node)| node.addr()).find(|address| address.is_ipv6() == ipv6)
    }

    /// The host itself reaches a published port by 127.0.0.1.
    fn needs_local_routing(&self) -> bool {
        self.ipv4.is_some()
            && self.uplink.publish.iter().any(|publish| match publish.host {
                None => true,
                Some(host) => host.is_ipv4() && host.is_loopback(),
            })
    }
}

fn address(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap_or_else(|_| address.into())
}

/// Chooses what is open of the ways out of a lab, for the host whose namespace the calling thread is in, and sees to it
/// that nothing is in the way there. Changes nothing.
pub fn settle(paths: &LabPaths, topology: &Topology, ledger: &Ledger) -> Result<Vec<WayOut>> {
    if topology.nodes.iter().all(|node| node.uplink.is_none()) {
        return Ok(Vec::new());
    }
    // Without labs a user is not inside yet.
    if rootless::is_inside() || rootless::needed() {
        return carried(paths, topology);
    }
    let host = Host::look(paths)?;
    let ways = choose::choose(topology, &host, ledger)?;
    ports::check(&ways, topology, &host)?;
    blocked::check(&ways, &host)?;
    Ok(ways)
}

/// Ways out that programs of the user's carry. What of the host is in use cannot be seen from inside; the subnet is known
/// to nobody but the node and the program, so that it only must not be one of the lab's.
fn carried(paths: &LabPaths, topology: &Topology) -> Result<Vec<WayOut>> {
    let carrier = Carrier::find()?;
    let ways = choose::choose_carried(paths, topology, carrier)?;
    for way in &ways {
        if way.ipv4.is_none() {
            return Err(cannot(
                format!("without root the way out of {} is never without IPv4", way.name),
                "run nslab as root, or leave out `ipv4: false`",
            ));
        }
        let is_carried = |host: IpAddr| !host.is_ipv6() || way.ipv6.is_some() && carrier == Carrier::Pasta;
        let other = way.uplink.publish.iter().find(|publish| !publish.host.is_none_or(is_carried));
        if let Some(publish) = other {
            return Err(cannot(
                format!("without root {publish} of {} needs `ipv6: true` and pasta", way.name),
                "publish it on an IPv4 address, or run nslab as root",
            ));
        }
    }
    Ok(ways)
}

/// Keeps other labs from changing the host meanwhile, if one of these topologies has a way out. The lock is the
/// directory of all labs.
pub(crate) fn lock(paths: &LabPaths, topologies: &[Option<&Topology>]) -> Result<Option<OwnedFd>> {
    let mut nodes = topologies.iter().flatten().flat_map(|topology| &topology.nodes);
    let is_host = !rootless::is_inside();
    if is_host && nodes.any(|node| node.uplink.is_some()) { lock_host(paths).map(Some) } else { Ok(None) }
}

/// Keeps other labs from changing the host meanwhile.
pub(crate) fn lock_host(paths: &LabPaths) -> Result<OwnedFd> {
    let action = || format!("lock {}", paths.all().display());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(paths.all(), flags, Mode::empty()).context(action)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&directory, FlockOperation::LockExclusive))
        .context(action)?;
    Ok(directory)
}

/// Notes in the ledger what the lab is about to have of the host besides what the plan says: published ports, and
/// sysctls that another lab has set already.
pub(crate) fn hold(paths: &LabPaths, topology: &Topology, plan: &Plan, ledger: &mut Ledger) -> Result<()> {
    if !plan.namespaces.iter().any(|space| space.role == Role::Host && space.node == HOST) {
        return Ok(());
    }
    let uplinks = topology.nodes.iter().filter_map(|node| node.uplink.as_ref());
    let published: BTreeSet<Publish> = uplinks.clone().flat_map(|uplink| uplink.publish.clone()).collect();
    if uplinks.count() == 0 {
        return Ok(());
    }
    let host = Host::look(paths)?;
    let wanted: BTreeSet<String> =
        settle_quietly(topology, &host, ledger).iter().flat_map(sysctls).map(|sysctl| sysctl.key).collect();
    let shared = host.held.into_iter().filter(|(key, _)| wanted.contains(key)).collect();
    ledger.hold_host(Namespace::current()?.id()?, published, shared);
    Ok(())
}

fn settle_quietly(topology: &Topology, host: &Host, ledger: &Ledger) -> Vec<WayOut> {
    choose::choose(topology, host, ledger).unwrap_or_default()
}

/// As [`settle`], for a host of which nothing is known.
pub fn imagined(topology: &Topology) -> Vec<WayOut> {
    choose::choose(topology, &Host::default(), &Ledger::default()).unwrap_or_default()
}

/// The sysctls of the host that a way out needs. Its own interface forwards, and those by which the outside is reached do:
/// an IPv4 packet is forwarded if the interface that it came in by says so (`IN_DEV_FORWARD`,
/// `include/linux/inetdevice.h`), so `net.ipv4.ip_forward`, which is about all interfaces, stays what it is.
///
/// IPv6 knows no such thing before Linux 6.17 (`force_forwarding`); where it is lacking, the whole host is made a router
/// (`net.ipv6.conf.all.forwarding`), after its interfaces were told to go on listening to router advertisements.
pub(crate) fn sysctls(way: &WayOut) -> Vec<DesiredSysctl> {
    let mut all = Vec::new();
    let mut set = |key: String, value: &str| all.push(DesiredSysctl::new(&key, value));
    let own = way.host_interface;
    if way.ipv4.is_some() {
        for name in std::iter::once(&own).chain(&way.outside) {
            set(format!("net/ipv4/conf/{name}/forwarding"), "1");
        }
        if way.needs_local_routing() {
            set(format!("net/ipv4/conf/{own}/route_localnet"), "1");
        }
    }
    if way.ipv6.is_some() {
        if host::has_force_forwarding() {
            for name in std::iter::once(&own).chain(&way.outside) {
                set(format!("net/ipv6/conf/{name}/force_forwarding"), "1");
            }
        } else {
            for name in &way.outside {
                let key = format!("net/ipv6/conf/{name}/accept_ra");
                if nslab_kernel::sysctl::read(&key).is_ok_and(|value| value == "1") {
                    set(key, "2");
                }
            }
            set("net.ipv6.conf.all.forwarding".to_owned(), "1");
        }
    }
    all
}

fn cannot(what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Machine { what: what.into(), hint: Some(hint.into()) }
}
