//! One namespace after the other, read.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;

use nslab_kernel::link::{IfIndex, Link, LinkKind};
use nslab_kernel::namespace::Entered;
use nslab_kernel::neighbour::{self, fdb, vlan};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::state::Select;
use nslab_kernel::wireguard::{Control, Device};
use nslab_kernel::{Namespace, NamespaceState, netconf, sysctl};
use nslab_types::IfName;

use super::{ActualNamespace, pinned};
use crate::desired::{DesiredNamespace, FORWARD_IPV4, FORWARD_IPV6};
use crate::error::{Context, Result};
use crate::netfilter;
use crate::paths::LabPaths;
use crate::pins;
use crate::session::Open;
use crate::uplink;
use crate::view;

/// What is asked of a namespace besides what is read of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Questions<'a> {
    /// The values of these sysctls.
    pub sysctls: Vec<&'a str>,
    /// Its neighbours.
    pub neighbours: bool,
    /// The lab's nftables table.
    pub table: bool,
}

impl<'a> Questions<'a> {
    /// What is asked of a namespace of the lab.
    pub(super) fn of(space: &'a DesiredNamespace, neighbours: bool) -> Self {
        let sysctls = space.sysctls.iter().map(|wanted| &wanted.key[..]).collect();
        Self { sysctls, neighbours, table: space.may_have_table }
    }
}

/// What is known of a lab's nodes from its directory, before their namespaces are read: it spares each a look for files
/// that few have.
pub(super) struct Survey<'a> {
    paths: &'a LabPaths,
    /// Names for `ip netns`, by node.
    names: HashMap<String, String>,
    /// The nodes that have something of a view.
    views: HashSet<String>,
    /// The nodes that have something of their own in the lab's directory.
    nodes: HashSet<String>,
}

impl<'a> Survey<'a> {
    /// Lists the lab's directory.
    pub(super) fn begin(paths: &'a LabPaths) -> Result<Self> {
        Ok(Self {
            paths,
            names: pins::names_by_node(paths)?,
            views: listed(&paths.views())?,
            nodes: listed(&paths.nodes())?,
        })
    }

    /// Reads the namespace of `node`; none if it has none. `stay` is where the thread is from one to the next.
    pub(super) fn read(
        &self,
        node: &str,
        questions: &Questions<'_>,
        stay: &mut Option<Entered>,
    ) -> Result<Option<(Open, ActualNamespace)>> {
        let Some(namespace) = pinned(&self.paths.pin(node))? else { return Ok(None) };
        let (opened, mut shown) = look_into(namespace, questions, stay)?;
        shown.name = self.names.get(node).cloned();
        if questions.table {
            shown.table = netfilter::read()?.map(Box::new);
            let record = self.paths.nft(node);
            if record.exists() {
                shown.nft = netfilter::raw::loaded(&record)?;
            }
        }
        if self.views.contains(node) {
            shown.view = view::read(self.paths, node)?;
        }
        if self.nodes.contains(node) {
            shown.way = uplink::running_way(self.paths, node).map(Box::new);
        }
        Ok(Some((opened, shown)))
    }
}

/// The names in a directory, which need not exist.
fn listed(directory: &Path) -> Result<HashSet<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(error).context(|| format!("read {}", directory.display())),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<std::io::Result<_>>().context(|| format!("read {}", directory.display()))
}

/// Opens and reads a namespace, in which the thread stays; its neighbours only if that is asked for, bridges' and
/// tunnels' tables where there are such.
pub(super) fn look_into(
    namespace: Namespace,
    questions: &Questions<'_>,
    stay: &mut Option<Entered>,
) -> Result<(Open, ActualNamespace)> {
    let id = namespace.id()?;
    namespace.enter_next(stay)?;
    let mut socket = Socket::open(Protocol::Route)?;
    let values = questions.sysctls.iter().map(|key| ((*key).to_owned(), setting(&mut socket, key)));
    let sysctls: HashMap<String, Option<String>> = values.collect();
    let mut opened = Open::with_socket(namespace, socket);
    let mut state = NamespaceState::read(&mut opened.socket, Select { tables: false })?;
    if questions.neighbours {
        state.neighbours = neighbour::entries(&mut opened.socket)?;
    }
    opened.learn(&state);
    if state.links.iter().any(has_entries) {
        state.fdb = fdb::list(&mut opened.socket, &state.links)?;
        state.vlans = vlan::list(&mut opened.socket)?;
    }
    let wireguard = wireguard(&state)?;
    let shown = ActualNamespace {
        id,
        name: None,
        joined: None,
        table: None,
        host_table: None,
        nft: None,
        way: None,
        view: None,
        state,
        sysctls,
        wireguard,
    };
    Ok((opened, shown))
}

/// The devices of the namespace in which the thread is.
fn wireguard(state: &NamespaceState) -> Result<HashMap<IfName, Device>> {
    let links = state.links.iter().filter(|link| link.kind == Some(LinkKind::Wireguard));
    let links: Vec<(IfName, IfIndex)> = links.map(|link| (link.name, link.index)).collect();
    if links.is_empty() {
        return Ok(HashMap::new());
    }
    let mut control = Control::open()?;
    links.into_iter().map(|(name, index)| Ok((name, control.get(index)?))).collect()
}

/// Whether an interface may have forwarding entries or VLANs that the lab file knows of.
fn has_entries(link: &Link) -> bool {
    matches!(link.kind, Some(LinkKind::Bridge(_) | LinkKind::Vxlan(_)))
}

/// The value of a sysctl of the namespace that the thread is in. What every node has is asked for over the socket: files
/// below `/proc/sys` cost the more to open the more namespaces there are.
fn setting(socket: &mut Socket, key: &str) -> Option<String> {
    let forwarding = match key {
        FORWARD_IPV4 => netconf::forwarding(socket, false).ok(),
        FORWARD_IPV6 => netconf::forwarding(socket, true).ok(),
        _ => None,
    };
    forwarding.map_or_else(|| sysctl::read(key).ok(), |on| Some(u8::from(on).to_string()))
}
