//! What a lab looks like in the kernel.

mod again;
mod joined;
mod survey;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;
use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::nftables::Table;
use nslab_kernel::nsid;
use nslab_kernel::wireguard::Device;
use nslab_kernel::{Namespace, NamespaceId, NamespaceState};
use nslab_types::IfName;

use self::survey::{Questions, Survey};
use crate::desired::Desired;
use crate::error::Result;
use crate::joined::{Holdings, Ledger};
use crate::paths::LabPaths;
use crate::pins;
use crate::plan::{LINK_GROUP, NamespaceRef, Role};
use crate::session::Open;
use crate::uplink::UserWay;
use crate::view::Found;
use nslab_kernel::parallel;

/// A lab's namespaces as they are.
#[derive(Debug, Default)]
pub struct Actual {
    /// By place in [`Desired::namespaces`]; `None` where there is no namespace.
    pub namespaces: Vec<Option<ActualNamespace>>,
    /// Namespaces of the lab that are no longer wanted; their places come after those of the wanted ones. Among them may
    /// be one of a node that is wanted, if the node has come to be another namespace.
    pub surplus: Vec<(NamespaceRef, ActualNamespace)>,
    /// The other end of each veth whose both ends are in the lab: place and number of either.
    peers: HashMap<(usize, IfIndex), (usize, IfIndex)>,
}

/// One namespace as it is.
#[derive(Debug)]
pub struct ActualNamespace {
    /// Which one.
    pub id: NamespaceId,
    /// Its name for `ip netns`, if it has one.
    pub name: Option<String>,
    /// Its links, addresses, routes, rules, neighbours.
    pub state: NamespaceState,
    /// What the lab holds in it, where it is not the lab's own.
    pub joined: Option<Joined>,
    /// The nftables table of the lab, where somebody looked for it.
    pub table: Option<Box<Table>>,
    /// The text that nft was handed; an empty one if not all that came of it is there.
    pub nft: Option<String>,
    /// The lab's table of nftables, in the host's namespace.
    pub host_table: Option<Box<Table>>,
    /// The way out that a program carries.
    pub way: Option<Box<UserWay>>,
    /// The values of the sysctls that were asked for, by key; `None` where there is no such sysctl.
    pub sysctls: HashMap<String, Option<String>>,
    /// Its view, if it has one.
    pub view: Option<Found>,
    /// Its `WireGuard` interfaces.
    pub wireguard: HashMap<IfName, Device>,
}

/// A namespace that is not the lab's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The lab has pinned it.
    pub pinned: bool,
    /// What the lab has put into it.
    pub holdings: Holdings,
    /// Sysctls that other labs hold too.
    pub shared: BTreeSet<String>,
}

impl ActualNamespace {
    /// Whether an interface is the lab's.
    pub fn owns_link(&self, link: &Link) -> bool {
        link.group == LINK_GROUP
            && self.joined.as_ref().is_none_or(|joined| joined.holdings.links.contains(&link.name))
    }

    /// Whether an address on the interface `link` is the lab's.
    pub fn owns_address(&self, link: IfName, address: IpNet) -> bool {
        self.joined.as_ref().is_none_or(|joined| joined.holdings.addresses.contains(&(link, address)))
    }
}

impl Actual {
    /// Nothing: what a lab looks like before it is built.
    pub fn nothing(desired: &Desired) -> Self {
        Self { namespaces: desired.namespaces.iter().map(|_| None).collect(), ..Self::default() }
    }

    /// Reads the lab's namespaces and leaves them open in `open`, by the same places.
    pub fn read(paths: &LabPaths, desired: &Desired, open: &mut Vec<Option<Open>>) -> Result<Self> {
        let survey = &Survey::begin(paths)?;
        let ledger = &Ledger::read(paths)?;
        let wanted = desired.places();
        let mut surplus: Vec<String> =
            pins::list(paths)?.into_iter().filter(|node| !wanted.contains_key(&node[..])).collect();
        surplus.sort();
        let mut read = parallel::map_with(
            &desired.namespaces,
            || None,
            |stay, space| {
                let node = &space.reference.node;
                if space.is_foreign() {
                    Ok(None)
                } else {
                    survey.read(node, &Questions::of(space, true), stay)
                }
            },
        );
        let surplus: Vec<String> = surplus.into_iter().filter(|node| !ledger.has(node)).collect();
        read.extend(parallel::map_with(
            &surplus,
            || None,
            |stay, node| survey.read(node, &Questions::default(), stay),
        ));
        let mut actual = Self::default();
        open.clear();
        for (place, namespace) in read.into_iter().enumerate() {
            let (opened, shown) = namespace?.unzip();
            match place.checked_sub(desired.namespaces.len()) {
                None => {
                    open.push(opened);
                    actual.namespaces.push(shown);
                }
                Some(number) => {
                    // A pin without a namespace was left by an interruption; the next `down` takes it along.
                    let Some(shown) = shown else { continue };
                    let node = surplus[number].clone();
                    let name = shown.name.clone().unwrap_or_else(|| node.clone());
                    open.push(opened);
                    actual.surplus.push((NamespaceRef { node, name, role: Role::Node }, shown));
                }
            }
        }
        joined::read(paths, desired, ledger, &mut actual, open)?;
        actual.peers = actual.find_peers(open)?;
        Ok(actual)
    }

    /// Reads only the namespaces that the ledger tells of, as ones that are not wanted.
    pub(crate) fn read_joined(
        paths: &LabPaths,
        ledger: &Ledger,
        nothing: &Desired,
        open: &mut Vec<Option<Open>>,
    ) -> Result<Self> {
        let mut actual = Self::nothing(nothing);
        joined::read(paths, nothing, ledger, &mut actual, open)?;
        actual.peers = actual.find_peers(open)?;
        Ok(actual)
    }

    /// The other end of a veth, if it is in the lab.
    pub fn peer(&self, place: usize, link: IfIndex) -> Option<(usize, &Link)> {
        let (place, index) = *self.peers.get(&(place, link))?;
        let links = &self.at(place)?.state.links;
        Some((place, links.iter().find(|link| link.index == index)?))
    }

    /// Ties ends together: each shows the number of the other, and the near one that the other's namespace is the one
    /// it knows by [`Link::lower_nsid`]. The numbers alone would not do, they are small and come again and again.
    fn find_peers(&self, open: &mut [Option<Open>]) -> Result<HashMap<(usize, IfIndex), (usize, IfIndex)>> {
        let mut by_numbers: HashMap<(IfIndex, IfIndex), Vec<usize>> = HashMap::new();
        let veths = |place| {
            let links = self.at(place).map_or(&[][..], |space: &ActualNamespace| &space.state.links);
            links.iter().filter(|link| link.is_veth()).filter_map(|link| Some((link, link.lower?)))
        };
        for place in 0..open.len() {
            for (link, lower) in veths(place) {
                by_numbers.entry((link.index, lower)).or_default().push(place);
            }
        }
        let mut peers = HashMap::new();
        let mut numbers: HashMap<(usize, usize), Option<i32>> = HashMap::new();
        // Those with few ends first, so that it is they who are asked about the others: the kernel goes through all
        // namespaces that one has a number for (`__peernet2id` in net/core/net_namespace.c).
        let mut places: Vec<usize> = (0..open.len()).collect();
        places.sort_by_cached_key(|&place| veths(place).count());
        for place in places {
            for (link, lower) in veths(place) {
                if peers.contains_key(&(place, link.index)) {
                    continue;
                }
                for &other in by_numbers.get(&(lower, link.index)).map_or(&[][..], |places| places) {
                    let nsid = match numbers.entry((place, other)) {
                        Entry::Occupied(known) => *known.get(),
                        Entry::Vacant(unknown) => *unknown.insert(number_in(open, place, other)?),
                    };
                    if link.lower_nsid == nsid {
                        peers.insert((place, link.index), (other, lower));
                        peers.insert((other, lower), (place, link.index));
                        break;
                    }
                }
            }
        }
        Ok(peers)
    }

    /// A namespace by its place, those not wanted after those wanted.
    pub fn at(&self, place: usize) -> Option<&ActualNamespace> {
        match place.checked_sub(self.namespaces.len()) {
            None => self.namespaces[place].as_ref(),
            Some(number) => self.surplus.get(number).map(|(_, namespace)| namespace),
        }
    }
}

/// The number by which one namespace knows another; none for itself.
fn number_in(open: &mut [Option<Open>], place: usize, other: usize) -> Result<Option<i32>> {
    if place == other {
        return Ok(None);
    }
    let Some(namespace) = open[other].as_ref().map(|open| open.namespace.duplicate()).transpose()? else {
        return Ok(None);
    };
    let Some(opened) = &mut open[place] else { return Ok(None) };
    // No number at all must not be mistaken for "the same namespace".
    Ok(Some(nsid::get(&mut opened.socket, &namespace)?.unwrap_or(-1)))
}

/// The namespace at a pin; `None` if there is no pin, or a file on which nothing is mounted (left by somebody who was
/// interrupted between making and mounting).
pub fn pinned(pin: &std::path::Path) -> Result<Option<Namespace>> {
    match Namespace::open(pin) {
        Ok(namespace) => Ok(Some(namespace)),
        Err(error) => match error.errno() {
            Some(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL) => Ok(None),
            _ => Err(error.into()),
        },
    }
}
