//! Namespaces that are not the lab's own.

use std::collections::{BTreeSet, HashMap};

use nslab_kernel::{Namespace, NamespaceId};

use super::survey::{Questions, look_into};
use super::{Actual, ActualNamespace, Joined, pinned};
use crate::desired::{Desired, DesiredNamespace};
use crate::error::{Error, Result};
use crate::existing;
use crate::joined::Ledger;
use crate::paths::LabPaths;
use crate::plan::{NamespaceRef, Role};
use crate::session::Open;
use crate::uplink;

/// What the alias of every namespace's `lo` begins with that is a lab's.
const MARK: &str = "nslab:";

/// Reads the namespaces that the lab joins, and those that it joined and is to leave.
pub(super) fn read(
    paths: &LabPaths,
    desired: &Desired,
    ledger: &Ledger,
    actual: &mut Actual,
    open: &mut Vec<Option<Open>>,
) -> Result<()> {
    let mut known: HashMap<NamespaceId, String> = HashMap::new();
    for (place, space) in desired.namespaces.iter().enumerate() {
        let node = &space.reference.node;
        if space.reference.role == Role::Host {
            let (opened, shown) = host(paths, desired, Some(space), ledger)?;
            open[place] = Some(opened);
            actual.namespaces[place] = Some(shown);
            continue;
        }
        if space.existing.is_none() && !ledger.has(node) {
            continue;
        }
        let pin = pinned(&paths.pin(node))?;
        if space.existing.is_none() {
            if pin.is_some() {
                return Err(changed_nature(desired, node, "was there before the lab"));
            }
            continue;
        }
        if pin.is_some() && !ledger.has(node) {
            return Err(changed_nature(desired, node, "is the lab's own"));
        }
        let (opened, shown) = join(paths, desired, space, ledger, pin.as_ref())?;
        if let Some(other) = known.insert(shown.id, node.clone()) {
            let holder = format!("{other} is the same namespace");
            return Err(conflict(
                desired,
                format!("the namespace {} ({})", shown.id, reference(space)),
                holder,
            ));
        }
        if let Some(pin) = pin.filter(|pin| pin.id().is_ok_and(|id| id != shown.id)) {
            let stale = surplus(node, pin, ledger)?;
            open_surplus(stale, node, Role::Joined, actual, open);
        }
        open[place] = Some(opened);
        actual.namespaces[place] = Some(shown);
    }
    let places = desired.places();
    for node in ledger.nodes().filter(|node| !places.contains_key(node)) {
        if node == uplink::HOST {
            let gone = host(paths, desired, None, ledger)?;
            open_surplus(gone, node, Role::Host, actual, open);
        } else if let Some(pin) = pinned(&paths.pin(node))? {
            let gone = surplus(node, pin, ledger)?;
            open_surplus(gone, node, Role::Joined, actual, open);
        }
    }
    Ok(())
}

fn open_surplus(
    (opened, shown): (Open, ActualNamespace),
    node: &str,
    role: Role,
    actual: &mut Actual,
    open: &mut Vec<Option<Open>>,
) {
    let reference = NamespaceRef { node: node.to_owned(), name: node.to_owned(), role };
    open.push(Some(opened));
    actual.surplus.push((reference, shown));
}

/// Finds the namespace that a node is to be, and reads it.
fn join(
    paths: &LabPaths,
    desired: &Desired,
    space: &DesiredNamespace,
    ledger: &Ledger,
    pin: Option<&Namespace>,
) -> Result<(Open, ActualNamespace)> {
    let node = &space.reference.node;
    let Some(existing) = &space.existing else { unreachable!("only such nodes are joined") };
    let failed = |source| Error::Existing { node: node.clone(), held: pin.is_some(), source };
    let namespace = existing::open(existing, paths.netns_directory()).map_err(failed)?;
    let id = namespace.id()?;
    if id == Namespace::current()?.id()? {
        let holder = "it is the host's own namespace".to_owned();
        return Err(conflict(desired, reference(space), holder));
    }
    let holdings = ledger.of(node, id);
    let keys: Vec<&str> = space
        .sysctls
        .iter()
        .map(|wanted| &wanted.key)
        .chain(holdings.sysctls.keys())
        .map(|key| &key[..])
        .collect();
    let (opened, mut shown) = look_into(namespace, &about(keys), &mut None)?;
    let mark = shown.state.links.iter().find(|link| link.loopback).and_then(|lo| lo.alias.as_deref());
    if let Some(owner) = mark.and_then(|mark| mark.strip_prefix(MARK)) {
        let holder = format!("it is {owner}, a node of a lab");
        return Err(conflict(desired, reference(space), holder));
    }
    let pinned = pin.is_some_and(|pin| pin.id().is_ok_and(|pinned| pinned == id));
    shown.joined = Some(Joined { pinned, holdings, shared: BTreeSet::new() });
    Ok((opened, shown))
}

/// The host's namespace, in which the calling thread is.
fn host(
    paths: &LabPaths,
    desired: &Desired,
    space: Option<&DesiredNamespace>,
    ledger: &Ledger,
) -> Result<(Open, ActualNamespace)> {
    let namespace = Namespace::current()?;
    let holdings = ledger.of(uplink::HOST, namespace.id()?);
    let wanted = space.into_iter().flat_map(|space| &space.sysctls).map(|wanted| &wanted.key);
    let keys: Vec<&str> = wanted.chain(holdings.sysctls.keys()).map(|key| &key[..]).collect();
    let (opened, mut shown) = look_into(namespace, &about(keys), &mut None)?;
    // A kernel without nftables has no table.
    shown.host_table = uplink::read_table(&desired.lab).unwrap_or_default().map(Box::new);
    let foreign = shown.host_table.take_if(|table| !uplink::is_our_table(&desired.lab, table));
    if let Some(table) = foreign.filter(|_| space.is_some()) {
        let name = format!("the table {} of nftables", table.id);
        return Err(conflict(desired, name, "it does not have the lab's mark".to_owned()));
    }
    let others = paths.other_labs();
    let held = others.iter().flat_map(|(_, other)| other.all_of(uplink::HOST));
    let shared = held.flat_map(|held| held.sysctls.keys().cloned()).collect();
    shown.joined = Some(Joined { pinned: true, holdings, shared });
    Ok((opened, shown))
}

/// What is asked of a namespace that is not the lab's own.
fn about(sysctls: Vec<&str>) -> Questions<'_> {
    Questions { sysctls, neighbours: true, table: false }
}

/// A namespace that the lab holds and is to leave.
fn surplus(node: &str, pin: Namespace, ledger: &Ledger) -> Result<(Open, ActualNamespace)> {
    let holdings = ledger.of(node, pin.id()?);
    let keys: Vec<&str> = holdings.sysctls.keys().map(|key| &key[..]).collect();
    let (opened, mut shown) = look_into(pin, &about(keys), &mut None)?;
    shown.joined = Some(Joined { pinned: true, holdings, shared: BTreeSet::new() });
    Ok((opened, shown))
}

fn reference(space: &DesiredNamespace) -> String {
    space.existing.as_ref().map_or_else(String::new, ToString::to_string)
}

fn changed_nature(desired: &Desired, node: &str, what: &str) -> Error {
    let name = format!("the namespace of node {node:?}");
    conflict(
        desired,
        name,
        format!("it {what}; take the node out of the lab first (`nslab node del {node}`)"),
    )
}

fn conflict(desired: &Desired, name: String, holder: String) -> Error {
    Error::Conflict { lab: desired.lab.clone(), name, holder }
}
