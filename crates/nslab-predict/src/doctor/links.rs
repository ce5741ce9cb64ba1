//! Interfaces that are down, without carrier, or lead nowhere.

use nslab_kernel::link::{Link, LinkKind};
use nslab_snapshot::{State, Where};

use super::{Fault, Host, Place, Severity};
use crate::Code;
use crate::l2::Port;

impl Host<'_> {
    pub(super) fn place(&self, at: Port) -> Place {
        Place {
            namespace: at.namespace,
            ns: self.name(at.namespace),
            link: Some(at.link),
            object: self.link(at).map_or_else(String::new, |link| link.name.to_string()),
        }
    }
}

fn addresses(state: &State, link: &Link) -> Vec<String> {
    let own = state.network.addresses.iter().filter(|address| address.link == link.index);
    own.map(|address| address.address.to_string()).collect()
}

/// `lo` is down where something else is up.
pub(super) fn loopback_down(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states() {
        let is_used = state
            .network
            .addresses
            .iter()
            .any(|address| state.link(address.link).is_some_and(|link| !link.loopback && link.up));
        let lo = state.network.links.iter().find(|link| link.loopback && !link.up);
        if let Some(lo) = lo.filter(|_| is_used) {
            let ns = host.name(namespace);
            faults.push(Fault {
                severity: Severity::Warning,
                code: Code::LoopbackDown,
                text: format!("{ns} cannot reach its own addresses: lo is down"),
                places: vec![host.place(Port { namespace, link: lo.index })],
                evidence: vec![format!("{}: lo is not up", ns)],
                fix: vec![host.command(namespace, "ip link set lo up")],
            });
        }
    }
}

/// Interfaces with addresses, and ports of bridges, that are down.
pub(super) fn down(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states() {
        for link in state.network.links.iter().filter(|link| !link.up && !link.loopback) {
            let has = addresses(state, link);
            let at = Port { namespace, link: link.index };
            let evidence = match (&has[..], link.master.and_then(|master| state.link(master))) {
                ([], None) => continue,
                ([], Some(master)) => format!("{} is a member of {}", host.port(at), master.name),
                _ => format!("{} has {}", host.port(at), has.join(", ")),
            };
            faults.push(Fault {
                severity: Severity::Error,
                code: Code::LinkDown,
                text: format!("{} is down", host.port(at)),
                places: vec![host.place(at)],
                evidence: vec![evidence],
                fix: vec![host.command(namespace, &format!("ip link set {} up", link.name))],
            });
        }
    }
}

/// Interfaces with addresses that are up and have no carrier, for another reason than an end that is told of already.
pub(super) fn no_carrier(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states() {
        for link in state.network.links.iter().filter(|link| link.up && !link.carrier && !link.loopback) {
            if addresses(state, link).is_empty() {
                continue;
            }
            let at = Port { namespace, link: link.index };
            let (why, places, fix) = match &link.kind {
                Some(LinkKind::Bridge(_)) => {
                    let ports = state.network.links.iter().filter(|port| port.master == Some(link.index));
                    let why = match ports.count() {
                        0 => "it has no port".to_owned(),
                        count => format!("none of its {count} ports is up with a carrier"),
                    };
                    (why, vec![host.place(at)], Vec::new())
                }
                _ => match far_end(state, link).and_then(|far| Some((far, host.link(far)?))) {
                    // Told of in its own right.
                    Some((far, other)) if !other.up && has_use(host, far) => continue,
                    Some((far, other)) if !other.up => (
                        format!("its other end {} is down", host.port(far)),
                        vec![host.place(far), host.place(at)],
                        vec![host.command(far.namespace, &format!("ip link set {} up", other.name))],
                    ),
                    _ => ("nothing is at its other end".to_owned(), vec![host.place(at)], Vec::new()),
                },
            };
            faults.push(Fault {
                severity: Severity::Error,
                code: Code::NoCarrier,
                text: format!("{} is up and has no carrier: {why}", host.port(at)),
                places,
                evidence: vec![format!("{} has {}", host.port(at), addresses(state, link).join(", "))],
                fix,
            });
        }
    }
}

/// Whether [`down`] tells of an interface.
fn has_use(host: &Host<'_>, at: Port) -> bool {
    let Some(state) = host.state(at.namespace) else { return false };
    state.link(at.link).is_some_and(|link| link.master.is_some() || !addresses(state, link).is_empty())
}

fn far_end(state: &State, link: &Link) -> Option<Port> {
    let peer = state.peer(link.index)?;
    match peer.namespace {
        Where::Namespace(namespace) => Some(Port { namespace, link: peer.lower }),
        Where::Unseen => None,
    }
}

/// Cables whose other end is in a namespace that nobody seems to have.
pub(super) fn other_end_unseen(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states() {
        for link in state.network.links.iter().filter(|link| link.is_veth()) {
            let unseen = state.peer(link.index).is_some_and(|peer| peer.namespace == Where::Unseen);
            if unseen {
                let at = Port { namespace, link: link.index };
                faults.push(Fault {
                    severity: Severity::Note,
                    code: Code::PeerUnseen,
                    text: format!("the other end of {} is in a namespace that was not found", host.port(at)),
                    places: vec![host.place(at)],
                    evidence: vec![
                        "no process, file or socket that this user may look at is in it".to_owned(),
                    ],
                    fix: Vec::new(),
                });
            }
        }
    }
}
