//! Programs that listen where nobody else gets to.

use std::collections::BTreeMap;

use nslab_kernel::sock_diag::{Protocol, State as SocketState};
use nslab_snapshot::{Listener, Name, State};

use super::{Fault, Host, Place, Severity};
use crate::Code;

/// Programs that mean it, by how their names begin (`/proc/PID/comm`, at most 15 bytes): resolvers, printing, mail, time, what
/// engines and agents keep for themselves, debuggers.
const LOCAL_BY_DESIGN: [&str; 24] = [
    "systemd",
    "dnsmasq",
    "unbound",
    "named",
    "stubby",
    "nscd",
    "cups",
    "master",
    "exim",
    "chronyd",
    "ntpd",
    "sshd",
    "containerd",
    "dockerd",
    "docker",
    "podman",
    "kubelet",
    "rootlessport",
    "conmon",
    "etcd",
    "gdbserver",
    "Xorg",
    "Xvfb",
    "aardvark",
];
/// Ports that are for one's own host: mail, DNS, time, printing, multicast DNS, control of BIND, and the terminals of FRR.
const LOCAL_PORTS: [u16; 7] = [25, 53, 123, 323, 631, 953, 5353];
/// FRR's terminals (`lib/vty.h` and each daemon's `*_VTY_PORT`).
const FRR: std::ops::RangeInclusive<u16> = 2600..=2625;

/// Listeners of namespaces that people drew which take packets to 127.0.0.1 or `::1` only, while others are on a segment with
/// them. The host's own are left alone: many of them are meant so.
pub(super) fn loopback_only(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states().filter(|&(place, _)| host.group(place).is_some()) {
        let space = &host.snapshot.namespaces[namespace];
        if space.names.contains(&Name::Host) || !has_neighbours(host, namespace, state) {
            continue;
        }
        let mut told: BTreeMap<(Protocol, u16), &Listener> = BTreeMap::new();
        for listener in state.sockets.iter().filter(|listener| is_wanted(listener)) {
            let socket = &listener.socket;
            let elsewhere = state.sockets.iter().map(|other| &other.socket).any(|other| {
                other.protocol == socket.protocol
                    && other.port == socket.port
                    && other.state == SocketState::Open
                    && !other.address.is_loopback()
            });
            if !elsewhere {
                told.entry((socket.protocol, socket.port)).or_insert(listener);
            }
        }
        let ns = host.name(namespace);
        for ((protocol, port), listener) in told {
            let address = listener.socket.address;
            let (owner, evidence) = match &listener.process {
                Some(process) => {
                    (process.command.clone(), format!("process {} ({})", process.pid, process.command))
                }
                None => ("something".to_owned(), "the process could not be found".to_owned()),
            };
            faults.push(Fault {
                severity: Severity::Note,
                code: Code::ListenerOtherAddress,
                text: format!("{owner} in {ns} listens at {protocol} port {port} of {address} only: nobody else gets there"),
                places: vec![Place {
                    namespace,
                    ns: ns.clone(),
                    link: None,
                    object: format!("{protocol} {}", std::net::SocketAddr::new(address, port)),
                }],
                evidence: vec![evidence],
                fix: Vec::new(),
            });
        }
    }
}

/// Whether a listener at a loopback address may be one that others would like to reach.
fn is_wanted(listener: &Listener) -> bool {
    let socket = &listener.socket;
    let by_design = listener
        .process
        .as_ref()
        .is_some_and(|process| LOCAL_BY_DESIGN.iter().any(|name| process.command.starts_with(name)));
    // Ports that a client was given are not for others (`net.ipv4.ip_local_port_range`); what UDP has there are clients.
    let is_service = socket.protocol == Protocol::Tcp && socket.port < 32768
        || socket.protocol == Protocol::Udp && (1..10_000).contains(&socket.port);
    socket.state == SocketState::Open
        && socket.address.is_loopback()
        && is_service
        && !by_design
        && !LOCAL_PORTS.contains(&socket.port)
        && !FRR.contains(&socket.port)
}

fn has_neighbours(host: &Host<'_>, namespace: usize, state: &State) -> bool {
    state.network.addresses.iter().any(|address| {
        let at = crate::l2::Port { namespace, link: address.link };
        host.segments.number(at).is_some_and(|segment| {
            host.segments.is_open(segment)
                || host.segments.members(segment).iter().any(|other| other.namespace != namespace)
        })
    })
}
