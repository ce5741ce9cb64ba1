//! From what is and what shall be to the plan between them.

mod cables;
mod connected;
mod interfaces;
mod joined;
mod links;
mod ports;
mod queues;
mod routing;
mod views;

use nslab_topology::model::Program;

use crate::actual::Actual;
use crate::desired::Desired;
use crate::netfilter;
use crate::plan::{Conflict, NamespaceRef, Op, Plan, Role, StageKind, Step};

/// A program of a running lab: the place of its namespace's node by name, and what it was started as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningProgram {
    /// The node.
    pub node: String,
    /// What it was started as.
    pub program: Program,
}

/// The steps found so far, by stage.
#[derive(Debug, Default)]
struct Steps {
    stop: Vec<Step>,
    // What goes, in this order: without its address a route is gone already.
    remove_routing: Vec<Step>,
    remove_addresses: Vec<Step>,
    unplug: Vec<Step>,
    remove_interfaces: Vec<Step>,
    remove_links: Vec<Step>,
    remove_namespaces: Vec<Step>,
    namespaces: Vec<Step>,
    bridges: Vec<Step>,
    cables: Vec<Step>,
    interfaces: Vec<Step>,
    configure: Vec<Step>,
    firewalls: Vec<Step>,
    switches_up: Vec<Step>,
    views: Vec<Step>,
    start: Vec<Step>,
    notes: Vec<String>,
    conflicts: Vec<Conflict>,
}

/// The plan that makes `desired` of `actual`; `running` are the lab's programs that are running.
pub fn plan(desired: &Desired, actual: &Actual, running: &[RunningProgram]) -> Plan {
    let mut namespaces: Vec<NamespaceRef> =
        desired.namespaces.iter().map(|space| space.reference.clone()).collect();
    let mut steps = Steps::default();
    namespaces.extend(actual.surplus.iter().map(|(reference, _)| reference.clone()));
    programs(desired, actual, running, &mut namespaces, &mut steps);
    views::diff(desired, actual, &mut steps);
    for (place, (space, is)) in desired.namespaces.iter().zip(&actual.namespaces).enumerate() {
        match is {
            _ if space.is_foreign() => joined::join(place, space, is.as_ref(), &mut steps),
            None => steps.namespaces.push(Step { namespace: place, op: Op::CreateNamespace }),
            Some(is) => {
                let to = &space.reference.name;
                if is.name.as_ref() != Some(to) {
                    let from = is.name.clone().unwrap_or_else(|| to.clone());
                    let op = Op::RenameNamespace { from, to: to.clone() };
                    steps.namespaces.push(Step { namespace: place, op });
                }
            }
        }
        sysctls(place, space, is.as_ref(), &mut steps);
        links::bridge(place, space, is.as_ref(), &mut steps);
    }
    joined::leave(desired, actual, &mut steps);
    let mut ends = cables::diff(desired, actual, &mut steps);
    for (place, (space, is)) in desired.namespaces.iter().zip(&actual.namespaces).enumerate() {
        interfaces::diff(desired, place, is.as_ref(), &mut ends[place], &mut steps);
        let renewed = is.as_ref().map(connected::without_routes).unwrap_or_default();
        links::configure(place, space, is.as_ref(), &ends[place], &renewed, &mut steps);
        queues::diff(place, space, is.as_ref(), &ends[place], &mut steps);
        interfaces::configure(desired, place, is.as_ref(), &ends[place], &mut steps);
        ports::diff(place, space, is.as_ref(), &ends[place], &mut steps);
        // The kernel takes routes and neighbours away with an interface's last address (`fib_disable_ip`).
        let kept = ends[place].kept.difference(&renewed).copied().collect();
        routing::diff(place, space, is.as_ref(), &kept, &mut steps);
        firewall(place, space, is.as_ref(), &mut steps);
        joined::table(place, space, is.as_ref(), &mut steps);
        way(place, space, is.as_ref(), &mut steps);
    }
    steps.into_plan(desired.lab.clone(), namespaces)
}

impl Steps {
    fn into_plan(self, lab: String, namespaces: Vec<NamespaceRef>) -> Plan {
        let mut remove = self.remove_routing;
        remove.extend(self.remove_addresses);
        remove.extend(self.unplug);
        let mut plan =
            Plan { lab, namespaces, stages: Vec::new(), notes: self.notes, conflicts: self.conflicts };
        plan.push(StageKind::StopPrograms, self.stop);
        plan.push(StageKind::Remove, remove);
        let mut remove_links = self.remove_interfaces;
        remove_links.extend(self.remove_links);
        plan.push(StageKind::RemoveCables, remove_links);
        plan.push(StageKind::Namespaces, self.namespaces);
        plan.push(StageKind::Bridges, self.bridges);
        plan.push(StageKind::Cables, self.cables);
        plan.push(StageKind::Interfaces, self.interfaces);
        plan.push(StageKind::Configure, self.configure);
        plan.push(StageKind::Firewalls, self.firewalls);
        plan.push(StageKind::SwitchesUp, self.switches_up);
        plan.push(StageKind::Views, self.views);
        plan.push(StageKind::StartPrograms, self.start);
        plan.push(StageKind::RemoveNamespaces, self.remove_namespaces);
        plan
    }
}

/// The table of a node's firewall and address translation, which is replaced as a whole.
fn firewall(
    place: usize,
    space: &crate::desired::DesiredNamespace,
    is: Option<&crate::actual::ActualNamespace>,
    steps: &mut Steps,
) {
    // First: it may well flush all tables.
    let before = is.and_then(|is| is.nft.clone());
    if before != space.nft {
        let op = Op::RunNft { text: space.nft.clone(), before };
        steps.firewalls.push(Step { namespace: place, op });
    }
    let before = is.and_then(|is| is.table.clone());
    let as_wanted = match (&space.table, &before) {
        (None, None) => true,
        (Some(table), Some(before)) => netfilter::same(table, before),
        _ => false,
    };
    if !as_wanted {
        let op = Op::ReplaceTable { table: space.table.clone(), before };
        steps.firewalls.push(Step { namespace: place, op });
    }
}

/// A way out that a program carries.
fn way(
    place: usize,
    space: &crate::desired::DesiredNamespace,
    is: Option<&crate::actual::ActualNamespace>,
    steps: &mut Steps,
) {
    let carried = is.and_then(|is| is.way.clone());
    if carried == space.way {
        return;
    }
    steps.stop.extend(carried.map(|way| Step { namespace: place, op: Op::StopWay(way) }));
    let wanted = space.way.clone();
    steps.configure.extend(wanted.map(|way| Step { namespace: place, op: Op::StartWay(way) }));
}

/// Sysctls of one interface can only be set once it is there; all others are set before any interface is made, so that
/// interfaces begin with them.
fn sysctls(
    place: usize,
    space: &crate::desired::DesiredNamespace,
    is: Option<&crate::actual::ActualNamespace>,
    steps: &mut Steps,
) {
    for wanted in &space.sysctls {
        let before = is.and_then(|is| is.sysctls.get(&wanted.key).cloned().flatten());
        let missing = is.is_some() && before.is_none();
        if is.is_none() && wanted.is_default {
            continue;
        }
        if before.as_deref().is_some_and(|before| same_value(before, &wanted.value))
            || (missing && wanted.optional)
        {
            continue;
        }
        let op = Op::SetSysctl {
            key: wanted.key.clone(),
            value: wanted.value.clone(),
            before,
            optional: wanted.optional,
        };
        let step = Step { namespace: place, op };
        // On the host in the order in which they are wanted.
        if is_of_an_interface(&wanted.key) || space.reference.role == Role::Host {
            steps.configure.push(step);
        } else {
            steps.namespaces.push(step);
        }
    }
}

/// Values of several numbers are shown with tabs between them and may be written with blanks.
fn same_value(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// Whether a sysctl exists only with an interface: `net.ipv4.conf.eth0.…`, `net.ipv6.neigh.eth0.…`.
fn is_of_an_interface(key: &str) -> bool {
    let separator = if key.contains('/') { '/' } else { '.' };
    let mut parts = key.trim_start_matches('/').split(separator).skip(2);
    matches!(parts.next(), Some("conf" | "neigh"))
        && !matches!(parts.next(), Some("all" | "default" | "lo") | None)
}

fn programs(
    desired: &Desired,
    actual: &Actual,
    running: &[RunningProgram],
    namespaces: &mut Vec<NamespaceRef>,
    steps: &mut Steps,
) {
    let places = desired.places();
    for one in running {
        let place = places.get(&one.node[..]).copied();
        // A program whose namespace was lost runs in one that nobody can reach.
        let stays = place.is_some_and(|place| {
            desired.namespaces[place].programs.contains(&one.program)
                && actual.namespaces[place]
                    .as_ref()
                    .is_some_and(|is| views::stays(&desired.namespaces[place], is))
        });
        if !stays {
            let place = place.unwrap_or_else(|| place_of(namespaces, &one.node));
            steps.stop.push(Step { namespace: place, op: Op::StopProgram(Box::new(one.program.clone())) });
        }
    }
    for (place, space) in desired.namespaces.iter().enumerate() {
        for program in &space.programs {
            let runs = actual.namespaces[place].as_ref().is_some_and(|is| views::stays(space, is))
                && running.iter().any(|one| one.node == space.reference.node && one.program == *program);
            if !runs {
                steps.start.push(Step { namespace: place, op: Op::StartProgram(Box::new(program.clone())) });
            }
        }
    }
}

/// The place of a node that is no longer wanted.
fn place_of(namespaces: &mut Vec<NamespaceRef>, node: &str) -> usize {
    namespaces.iter().position(|known| known.node == node).unwrap_or_else(|| {
        namespaces.push(NamespaceRef { node: node.to_owned(), name: node.to_owned(), role: Role::Node });
        namespaces.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_sysctls_of_interfaces() {
        for late in
            ["net.ipv4.conf.eth0.rp_filter", "net/ipv4/conf/eth0.100/rp_filter", "net.ipv6.neigh.eth0.x"]
        {
            assert!(is_of_an_interface(late), "{late}");
        }
        for early in
            ["net.ipv4.conf.all.rp_filter", "net.ipv4.ip_forward", "net.ipv6.conf.default.accept_dad"]
        {
            assert!(!is_of_an_interface(early), "{early}");
        }
    }

    #[test]
    fn compares_values_of_several_numbers() {
        assert!(same_value("4096\t131072\t6291456", "4096 131072 6291456"));
        assert!(!same_value("1", "0"));
    }
}
