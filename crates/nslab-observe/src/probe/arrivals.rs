//! Where probes arrive: raw sockets get what a host's firewall lets in, before its TCP and UDP do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nslab_kernel::error::Context;
use nslab_kernel::netlink;
use nslab_kernel::sock_diag::{self, InetSocket, Protocol};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, ipproto};

use super::filter;
use super::spaces::Prober;
use super::token::Tokens;
use super::{Probe, Service};
use crate::Result;
use crate::sockopt::set;

/// Up to so many namespaces all are watched, so that what is translated to another host is seen there; else only those that have an
/// address to which something is sent.
const FEW: usize = 256;
/// How long a list of sockets is believed.
const FRESH: Duration = Duration::from_millis(200);

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
}

/// A raw socket.
struct Watch {
    place: usize,
    kind: Kind,
    is_ipv6: bool,
    socket: OwnedFd,
}

/// Where a probe arrived.
pub(super) struct Arrived {
    /// Which.
    pub(super) number: usize,
    pub(super) place: usize,
    /// The port that it came to.
    pub(super) port: u16,
}

/// Raw sockets in namespaces.
pub(super) struct Arrivals {
    tokens: Tokens,
    watches: Vec<Watch>,
    listeners: HashMap<usize, (Instant, Vec<InetSocket>)>,
    listing: HashMap<usize, netlink::Socket>,
}

impl Arrivals {
    /// Watches for what is sent. `data` of its events is `first` and what follows. The calling thread ends up in one of the
    /// namespaces.
    pub(super) fn open(
        prober: &Prober,
        probes: &[Probe],
        tokens: Tokens,
        poll: &OwnedFd,
        first: u64,
    ) -> Result<Self> {
        let mut arrivals =
            Self { tokens, watches: Vec::new(), listeners: HashMap::new(), listing: HashMap::new() };
        let sent = |kind: Kind, is_ipv6: bool| {
            probes.iter().filter(move |probe| {
                probe.destination.is_ipv6() == is_ipv6
                    && match probe.service {
                        Service::Echo => false,
                        Service::Tcp(_) => kind == Kind::Tcp,
                        Service::Udp(_) => kind == Kind::Udp,
                    }
            })
        };
        let kinds = [(Kind::Tcp, false), (Kind::Tcp, true), (Kind::Udp, false), (Kind::Udp, true)];
        let count = prober.namespaces.len();
        for (place, namespace) in prober.namespaces.iter().enumerate() {
            let mut is_there = false;
            for (kind, is_ipv6) in kinds {
                let mut all = sent(kind, is_ipv6).peekable();
                let is_near = |probe: &Probe| prober.has(place, probe.destination);
                if all.peek().is_none() || (count > FEW && !all.any(is_near)) {
                    continue;
                }
                if !is_there {
                    namespace.move_thread()?;
                    is_there = true;
                }
                let Some(socket) = open(kind, is_ipv6, tokens.magic())? else { continue };
                let data = epoll::EventData::new_u64(first + arrivals.watches.len() as u64);
                epoll::add(poll, &socket, data, epoll::EventFlags::IN).context(|| "watch a raw socket")?;
                arrivals.watches.push(Watch { place, kind, is_ipv6, socket });
            }
        }
        Ok(arrivals)
    }

    /// Reads what came to the socket with this number.
    pub(super) fn read(&self, number: usize, found: &mut Vec<Arrived>) {
        let Some(watch) = self.watches.get(number) else { return };
        let mut buffer = [0_u8; 128];
        loop {
            let bytes = match rustix::net::recv(&watch.socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => &buffer[..length.min(128)],
                Err(Errno::INTR) => continue,
                // Nothing more; an error is about another packet.
                Err(_) => return,
            };
            found.extend(self.arrived(watch, bytes));
        }
    }

    /// Reads what came to the namespaces that have an address, and if that is in vain, what came to all.
    pub(super) fn look(&self, prober: &Prober, destination: IpAddr, wanted: usize, found: &mut Vec<Arrived>) {
        for near in [true, false] {
            for (number, watch) in self.watches.iter().enumerate() {
                if prober.has(watch.place, destination) == near {
                    self.read(number, found);
                }
            }
            if found.iter().any(|one| one.number == wanted) {
                return;
            }
        }
    }

    fn arrived(&self, watch: &Watch, packet: &[u8]) -> Option<Arrived> {
        let header = if watch.is_ipv6 { 0 } else { usize::from(packet.first()? & 0xf) * 4 };
        let segment = packet.get(header..)?;
        let port = u16::from_be_bytes(*segment.get(2..)?.first_chunk()?);
        let number = match watch.kind {
            Kind::Udp => self.tokens.of_payload(segment.get(8..)?)?,
            Kind::Tcp => self.tokens.of_sequence(u32::from_be_bytes(*segment.get(4..)?.first_chunk()?))?,
        };
        Some(Arrived { number, place: watch.place, port })
    }

    /// Whether a program of the namespace listens for datagrams to this port. The calling thread may end up in it.
    pub(super) fn is_taken(&mut self, prober: &Prober, at: &Arrived, to: IpAddr) -> Result<bool> {
        let is_fresh = |(when, _): &(Instant, Vec<InetSocket>)| when.elapsed() < FRESH;
        if !self.listeners.get(&at.place).is_some_and(is_fresh) {
            let socket = match self.listing.entry(at.place) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    prober.namespaces[at.place].move_thread()?;
                    entry.insert(netlink::Socket::open(netlink::Protocol::SockDiag)?)
                }
            };
            let (all, _) = sock_diag::listeners(socket)?;
            self.listeners.insert(at.place, (Instant::now(), all));
        }
        let (_, all) = &self.listeners[&at.place];
        // What is translated on the way has another address by now.
        let is_own = prober.has(at.place, to);
        Ok(all
            .iter()
            .any(|one| one.protocol == Protocol::Udp && one.port == at.port && (one.takes(to) || !is_own)))
    }
}

/// Opens a raw socket in the namespace that the calling thread is in; none if its kernel has no such protocol.
fn open(kind: Kind, is_ipv6: bool, magic: u32) -> Result<Option<OwnedFd>> {
    let domain = if is_ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let protocol = if kind == Kind::Tcp { ipproto::TCP } else { ipproto::UDP };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match rustix::net::socket_with(domain, SocketType::RAW, flags, Some(protocol)) {
        Err(Errno::AFNOSUPPORT) => return Ok(None),
        socket => socket.context(|| "open a raw socket")?,
    };
    let mut program = filter::program(kind, is_ipv6, magic);
    let program =
        libc::sock_fprog { len: program.len().try_into().unwrap_or(0), filter: program.as_mut_ptr() };
    set(socket.as_fd(), (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), &program)
        .context(|| "set up a raw socket")?;
    Ok(Some(socket))
}
