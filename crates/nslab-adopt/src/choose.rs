//! Which namespaces are described, as what, and how much of each.

use std::collections::{BTreeMap, BTreeSet};

use nslab_kernel::link::{IfIndex, Link, LinkKind};
use nslab_snapshot::{Contents, Name, Snapshot, State, Where};

use crate::Error;
use crate::names::Names;
use crate::switches;

/// What to describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every namespace, and what of the host's own joins them.
    Host,
    /// Those at these places of [`Snapshot::namespaces`], and what of the host's own joins them.
    Namespaces(Vec<usize>),
}

/// A namespace to be described.
#[derive(Debug, Clone)]
pub(crate) struct Space<'a> {
    /// Its place in the snapshot.
    pub(crate) place: usize,
    /// What people call it.
    pub(crate) called: String,
    /// What is in it.
    pub(crate) state: &'a State,
    /// The node that it becomes; none if it is switches only.
    pub(crate) node: Option<String>,
    /// Its bridges that become switches, with their names.
    pub(crate) switches: BTreeMap<IfIndex, String>,
    /// The links that are described.
    pub(crate) links: BTreeSet<IfIndex>,
    /// Only what joins others is described: it is the host's own, and nobody asked for it.
    pub(crate) is_part: bool,
}

impl Space<'_> {
    /// The described links, in the order of their numbers.
    pub(crate) fn described(&self) -> impl Iterator<Item = &Link> {
        self.state.network.links.iter().filter(|link| self.links.contains(&link.index))
    }

    /// A described link by its number.
    pub(crate) fn link(&self, index: IfIndex) -> Option<&Link> {
        self.links.contains(&index).then(|| self.state.link(index)).flatten()
    }
}

/// Namespaces that could not be read: what people call them, and why.
pub(crate) type Unread = Vec<(String, String)>;

/// The namespaces that are described, each with its links.
pub(crate) fn spaces<'a>(snapshot: &'a Snapshot, wanted: &Wanted) -> Result<(Vec<Space<'a>>, Unread), Error> {
    let is_host = |place: usize| snapshot.namespaces[place].names.contains(&Name::Host);
    let mut unread = Vec::new();
    let mut chosen: BTreeSet<usize> = match wanted {
        Wanted::Host => (0..snapshot.namespaces.len()).filter(|&place| !is_host(place)).collect(),
        Wanted::Namespaces(places) => places.iter().copied().collect(),
    };
    for &place in &chosen {
        let namespace = &snapshot.namespaces[place];
        if let Contents::Unreadable { why } = &namespace.contents {
            let (namespace, why) = (namespace.name().to_string(), why.clone());
            if *wanted != Wanted::Host {
                return Err(Error::Unreadable { namespace, why });
            }
            unread.push((namespace, format!("it could not be read: {why}")));
        }
    }
    chosen.retain(|&place| snapshot.namespaces[place].state().is_some());
    let mut names = Names::default();
    let machine = &snapshot.machine.name;
    let mut spaces: Vec<Space<'a>> = Vec::new();
    for place in chosen.iter().copied() {
        let namespace = &snapshot.namespaces[place];
        let Some(state) = namespace.state() else { continue };
        let mut space = Space {
            place,
            called: namespace.name().to_string(),
            state,
            node: None,
            switches: BTreeMap::new(),
            links: state
                .network
                .links
                .iter()
                .filter(|link| !is_kernels(link))
                .map(|link| link.index)
                .collect(),
            is_part: false,
        };
        if let Some(bridge) = switches::as_whole(namespace, state) {
            let name = names.give(&[bridge.name.as_str()]);
            space.switches.insert(bridge.index, name);
        } else {
            space.node = Some(names.of(namespace.name(), machine));
        }
        spaces.push(space);
    }
    let host = (0..snapshot.namespaces.len()).find(|&place| is_host(place));
    if let Some(place) = host.filter(|place| !chosen.contains(place))
        && let Some(space) = part_of_host(snapshot, place, &chosen, &mut names)
    {
        spaces.push(space);
    }
    if spaces.is_empty() {
        return match unread.into_iter().next() {
            Some((namespace, why)) => Err(Error::Unreadable { namespace, why }),
            None => Err(Error::Nothing),
        };
    }
    Ok((spaces, unread))
}

/// What every namespace has without anybody's doing: the interfaces of tunnels' modules
/// (`net.core.fb_tunnels_only_for_init_net`).
pub(crate) fn is_kernels(link: &Link) -> bool {
    const FALLBACK: [&str; 9] =
        ["tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"];
    FALLBACK.contains(&link.name.as_str())
}

/// The host's own namespace, if a cable joins it to those that are described: the ends of these cables, what they are
/// members of, and what is on them.
fn part_of_host<'a>(
    snapshot: &'a Snapshot,
    place: usize,
    chosen: &BTreeSet<usize>,
    names: &mut Names,
) -> Option<Space<'a>> {
    let namespace = &snapshot.namespaces[place];
    let state = namespace.state()?;
    let joins = |link: &&Link| {
        let peer = state.peer(link.index).filter(|_| link.is_veth());
        matches!(peer.map(|peer| peer.namespace), Some(Where::Namespace(far)) if chosen.contains(&far))
    };
    let all = &state.network.links;
    let mut links: BTreeSet<IfIndex> = all.iter().filter(joins).map(|link| link.index).collect();
    if links.is_empty() {
        return None;
    }
    loop {
        let masters = all.iter().filter(|link| links.contains(&link.index)).filter_map(|link| link.master);
        let on = all.iter().filter(|link| {
            let below = link.lower.filter(|_| link.lower_nsid.is_none() && !link.is_veth());
            below.is_some_and(|below| links.contains(&below))
        });
        let more: Vec<IfIndex> = masters.chain(on.map(|link| link.index)).collect();
        let before = links.len();
        links.extend(more);
        if links.len() == before {
            break;
        }
    }
    let mut space = Space {
        place,
        called: namespace.name().to_string(),
        state,
        node: None,
        switches: BTreeMap::new(),
        links,
        is_part: true,
    };
    let is_bridge = |link: &Link| matches!(link.kind, Some(LinkKind::Bridge(_)));
    if space.described().all(|link| {
        if is_bridge(link) {
            !switches::has_own_address(state, link.index)
        } else {
            link.is_veth() && link.master.is_some_and(|master| state.link(master).is_some_and(is_bridge))
        }
    }) {
        let bridges = space
            .described()
            .filter(|link| is_bridge(link))
            .map(|link| (link.index, names.give(&[link.name.as_str()])));
        space.switches = bridges.collect();
    } else {
        space.links.extend(all.iter().find(|link| link.loopback).map(|link| link.index));
        space.node = Some(names.of(namespace.name(), &snapshot.machine.name));
    }
    Some(space)
}
