//! A packet that is predicted, and then really sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nslab_predict::{Ip, Packet, Question, Tcp, Transport};

use crate::build::{Space, Taken};
use crate::sys::{Socket, link_number};
use crate::wire::{self, Nonce};

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The number of the namespace that sends it.
    pub from: usize,
    /// The interface that it is to leave by, as destinations of one link need.
    pub link: Option<String>,
    /// Its source, or whichever the kernel takes.
    pub source: Option<IpAddr>,
    /// Where it goes.
    pub destination: IpAddr,
    /// What it is.
    pub what: Kind,
    /// Its length in bytes, IP header and all. Of TCP it is what the kernel makes of it.
    pub size: u32,
    /// It may not be fragmented.
    pub dont_fragment: bool,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// Its type of service or traffic class.
    pub tos: u8,
    /// Its mark.
    pub mark: u32,
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An ICMP echo request.
    Echo,
    /// UDP, for a port.
    Udp(u16),
    /// A connection's first segment, for a port.
    Tcp(u16),
    /// Of another protocol.
    Other(u8),
}

/// The identifier or port of the first probe of a network; the others' follow.
const FIRST: u16 = 20_000;

impl Probe {
    /// Its identifier, or the port that it comes from.
    pub(crate) fn id(number: usize) -> u16 {
        FIRST.wrapping_add(u16::try_from(number).unwrap_or(0))
    }

    /// The probe of an identifier.
    pub(crate) fn number(id: u16, count: usize) -> Option<usize> {
        let number = usize::from(id.checked_sub(FIRST)?);
        (number < count).then_some(number)
    }

    /// The fewest bytes that one can have.
    pub fn least(is_ipv6: bool, what: Kind) -> u32 {
        let header = if is_ipv6 { 40 } else { 20 };
        let transport = match what {
            Kind::Echo | Kind::Udp(_) => 8 + Nonce::LENGTH,
            Kind::Tcp(_) => return header + 40,
            Kind::Other(_) => Nonce::LENGTH,
        };
        header + transport
    }

    fn transport(&self, number: usize) -> Transport {
        let id = Self::id(number);
        match self.what {
            Kind::Echo => {
                Transport::Icmp { kind: if self.destination.is_ipv6() { 128 } else { 8 }, code: 0, id }
            }
            Kind::Udp(destination) => Transport::Udp { source: id, destination },
            Kind::Tcp(destination) => Transport::Tcp(Tcp { source: id, destination, flags: Tcp::SYN }),
            Kind::Other(number) => Transport::Other(number),
        }
    }

    /// What is asked of the prediction.
    pub fn question(&self, taken: &Taken, number: usize) -> Question {
        let any: IpAddr = if self.destination.is_ipv6() {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        let ip = Ip {
            source: self.source.unwrap_or(any),
            destination: self.destination,
            ttl: self.ttl,
            tos: self.tos,
            dont_fragment: self.dont_fragment,
            size: self.size,
        };
        let packet = Packet { ip, transport: self.transport(number), mark: self.mark };
        let own = |name: &String| Some(taken.state(self.from)?.link_named(name)?.index);
        let link = self.link.as_ref().and_then(own);
        Question { namespace: taken.places[self.from], packet, link, established: false, fresh: false }
    }

    /// Sends it, from the thread that calls. The socket hears the answer, of UDP, and must be kept for that.
    pub(crate) fn send(&self, space: &Space, number: usize) -> nslab_kernel::Result<io::Result<Socket>> {
        space.namespace.run(|| self.send_here(number))
    }

    fn send_here(&self, number: usize) -> io::Result<Socket> {
        let is_ipv6 = self.destination.is_ipv6();
        let domain = if is_ipv6 { libc::AF_INET6 } else { libc::AF_INET };
        let id = Self::id(number);
        let (kind, protocol, own_port, port) = match self.what {
            Kind::Echo if is_ipv6 => (libc::SOCK_RAW, libc::IPPROTO_ICMPV6, 0, 0),
            Kind::Echo => (libc::SOCK_RAW, libc::IPPROTO_ICMP, 0, 0),
            Kind::Udp(port) => (libc::SOCK_DGRAM, 0, id, port),
            Kind::Tcp(port) => (libc::SOCK_STREAM, 0, id, port),
            Kind::Other(number) => (libc::SOCK_RAW, i32::from(number), 0, 0),
        };
        let socket = Socket::new(domain, kind, protocol)?;
        self.options(&socket)?;
        let any: IpAddr = if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        if self.source.is_some() || own_port != 0 {
            socket.bind(SocketAddr::new(self.source.unwrap_or(any), own_port))?;
        }
        let to = match self.destination {
            IpAddr::V6(address) => {
                let scope = self.link.as_deref().map_or(0, link_number);
                SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope))
            }
            IpAddr::V4(_) => SocketAddr::new(self.destination, port),
        };
        let header = Self::least(is_ipv6, self.what) - Nonce::LENGTH;
        let payload = Nonce { number, is_answer: false }.payload(self.size.saturating_sub(header));
        match self.what {
            Kind::Tcp(_) => {
                socket.no_linger()?;
                socket.connect(to)?;
            }
            Kind::Echo => socket.send_to(&wire::echo(is_ipv6, id, &payload), to)?,
            Kind::Udp(_) | Kind::Other(_) => socket.send_to(&payload, to)?,
        }
        Ok(socket)
    }

    fn options(&self, socket: &Socket) -> io::Result<()> {
        let mark = libc::c_int::from_ne_bytes(self.mark.to_ne_bytes());
        if mark != 0 {
            socket.set(libc::SOL_SOCKET, libc::SO_MARK, mark)?;
        }
        let is_tcp = matches!(self.what, Kind::Tcp(_));
        // What the kernel learned of the way from other packets is not to matter.
        if self.destination.is_ipv6() {
            socket.set(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, i32::from(self.ttl))?;
            if self.tos != 0 {
                socket.set(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, i32::from(self.tos))?;
            }
            if !is_tcp && self.dont_fragment {
                socket.set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
                socket.set(libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1)?;
            }
            return Ok(());
        }
        socket.set(libc::SOL_SOCKET, libc::SO_BROADCAST, 1)?;
        socket.set(libc::IPPROTO_IP, libc::IP_TTL, i32::from(self.ttl))?;
        if self.tos != 0 {
            socket.set(libc::IPPROTO_IP, libc::IP_TOS, i32::from(self.tos))?;
        }
        if !is_tcp {
            let how = if self.dont_fragment { libc::IP_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_DONT };
            socket.set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how)?;
        }
        Ok(())
    }
}
