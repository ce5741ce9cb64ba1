//! What a lab has put into namespaces that are not its own, so that exactly that can be taken out again.
//!
//! It is written down before it is done. What is in the list and not in the kernel did not come about; what is in the
//! kernel and not in the list is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use nslab_kernel::NamespaceId;
use nslab_topology::model::{Existing, Publish, Route, Rule};
use nslab_types::IfName;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::paths::LabPaths;
use crate::pins::make_directory;
use crate::plan::{Op, Plan, VethEnd};
use crate::state::replace;

/// What a lab holds in one foreign namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// What the namespace was called when it was joined.
    pub existing: Option<Existing>,
    /// Interfaces.
    pub links: BTreeSet<IfName>,
    /// Addresses, with their interface.
    pub addresses: BTreeSet<(IfName, IpNet)>,
    /// Routes.
    pub routes: BTreeSet<Route>,
    /// Policy rules.
    pub rules: BTreeSet<Rule>,
    /// Sysctls: the value that was found.
    pub sysctls: BTreeMap<String, String>,
    /// Ports of the host that lead into the lab.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub published: BTreeSet<Publish>,
}

impl Holdings {
    /// Takes in what a step is about to put there.
    fn add(&mut self, op: &Op) {
        match op {
            Op::JoinNamespace { existing } => self.existing = Some(existing.clone()),
            Op::CreateVeth { near, .. } => drop(self.links.insert(near.name)),
            Op::AddAddress { link, address } => drop(self.addresses.insert((*link, *address))),
            Op::AddRoute(route) => drop(self.routes.insert(route.clone())),
            Op::AddRule(rule) => drop(self.rules.insert(rule.clone())),
            Op::SetSysctl { key, before: Some(before), .. } => {
                self.sysctls.entry(key.clone()).or_insert_with(|| before.clone());
            }
            _ => {}
        }
    }

    /// Strikes out what a step has taken away.
    fn remove(&mut self, op: &Op) {
        match op {
            Op::DeleteVeth { near: VethEnd { name, .. }, .. } | Op::DeleteStrayLink { name } => {
                self.links.remove(name);
                self.addresses.retain(|(link, _)| link != name);
            }
            Op::DeleteAddress { link, address } => drop(self.addresses.remove(&(*link, *address))),
            Op::DeleteRoute(route) => self.routes.retain(|held| !is_same_entry(held, route)),
            Op::DeleteRule(rule) => drop(self.rules.remove(rule)),
            Op::SetSysctl { key, value, .. } if self.sysctls.get(key) == Some(value) => {
                self.sysctls.remove(key);
            }
            _ => {}
        }
    }
}

/// Whether two routes are one and the same to the kernel, which fills in what was left open.
pub fn is_same_entry(one: &Route, other: &Route) -> bool {
    let metric = |route: &Route| match route.metric {
        None | Some(0) if route.to.addr().is_ipv6() => 1024,
        metric => metric.unwrap_or(0),
    };
    one.to == other.to && one.table == other.table && metric(one) == metric(other)
}

/// The holdings of all foreign namespaces that a lab has joined, by node and then by the namespace's inode: a node's
/// container may have been started anew, and then there are two for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    nodes: BTreeMap<String, BTreeMap<u64, Holdings>>,
}

impl Ledger {
    /// Reads it; a lab without one has joined nothing.
    pub fn read(paths: &LabPaths) -> Result<Self> {
        let path = paths.ledger();
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| Error::Damaged { path, problem: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context(|| format!("read {}", path.display())),
        }
    }

    /// Writes it, whole or not at all. An empty one is no file.
    pub fn write(&self, paths: &LabPaths) -> Result<()> {
        let path = paths.ledger();
        if self.nodes.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).context(|| format!("remove {}", path.display()))
                }
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::Damaged { path: path.clone(), problem: error.to_string() })?;
        make_directory(paths.root())?;
        replace(&path, &text, 0o600)
    }

    /// The nodes that are foreign namespaces.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Whether the node's pin is that of a foreign namespace.
    pub fn has(&self, node: &str) -> bool {
        self.nodes.contains_key(node)
    }

    /// What the lab holds in the namespace that `node` is.
    pub fn of(&self, node: &str, namespace: NamespaceId) -> Holdings {
        self.nodes.get(node).and_then(|of| of.get(&namespace.inode)).cloned().unwrap_or_default()
    }

    /// What the lab holds in all namespaces that `node` is or was.
    pub fn all_of(&self, node: &str) -> impl Iterator<Item = &Holdings> {
        self.nodes.get(node).into_iter().flat_map(BTreeMap::values)
    }

    /// Notes which ports of the host the lab publishes, and takes over what it shares with labs that were there before
    /// it: they may go before it does.
    pub(crate) fn hold_host(
        &mut self,
        id: NamespaceId,
        published: BTreeSet<Publish>,
        shared: BTreeMap<String, String>,
    ) {
        let held = self.nodes.entry(crate::uplink::HOST.to_owned()).or_default().entry(id.inode).or_default();
        held.published = published;
        for (key, before) in shared {
            held.sysctls.entry(key).or_insert(before);
        }
    }

    /// Takes in what `plan` is about to do. `ids` are the plan's namespaces, `None` for those of the lab's own.
    pub fn add(&mut self, plan: &Plan, ids: &[Option<NamespaceId>]) {
        self.each(plan, ids, Holdings::add);
    }

    /// Strikes out what `plan` has taken away, and namespaces that were left.
    pub fn settle(&mut self, plan: &Plan, ids: &[Option<NamespaceId>]) {
        self.each(plan, ids, Holdings::remove);
        for step in plan.steps().filter(|step| matches!(step.op, Op::LeaveNamespace { .. })) {
            let Some(Some(id)) = ids.get(step.namespace) else { continue };
            let node = &plan.namespaces[step.namespace].node;
            if let Some(of) = self.nodes.get_mut(node) {
                of.remove(&id.inode);
                if of.is_empty() {
                    self.nodes.remove(node);
                }
            }
        }
    }

    fn each(&mut self, plan: &Plan, ids: &[Option<NamespaceId>], mut work: impl FnMut(&mut Holdings, &Op)) {
        let mut tell = |place: usize, op: &Op| {
            if let Some(Some(id)) = ids.get(place) {
                let of = self.nodes.entry(plan.namespaces[place].node.clone()).or_default();
                work(of.entry(id.inode).or_default(), op);
            }
        };
        for step in plan.steps() {
            tell(step.namespace, &step.op);
            // A cable is told of at either end.
            match &step.op {
                Op::CreateVeth { near, far_namespace, far } => {
                    let turned = Op::CreateVeth {
                        near: far.clone(),
                        far_namespace: step.namespace,
                        far: near.clone(),
                    };
                    tell(*far_namespace, &turned);
                }
                Op::DeleteVeth { near, far_namespace, far } => {
                    let turned = Op::DeleteVeth {
                        near: far.clone(),
                        far_namespace: step.namespace,
                        far: near.clone(),
                    };
                    tell(*far_namespace, &turned);
                }
                _ => {}
            }
        }
    }
}
