//! What the kernel tells programs of a namespace by ICMP.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use nslab_decode::{Frame, Link, decode};
use nslab_kernel::error::Context;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::Heard;
use super::recognise::Recogniser;
use crate::Result;

/// Longer is no packet.
const LONGEST: usize = 66_000;
/// Room for what other programs cause to come.
const ROOM: usize = 1 << 20;

/// A raw socket that gets whatever ICMP is for this namespace, once all hooks have let it pass.
pub(super) struct Ear {
    ipv6: bool,
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Ear {
    /// Opens one in the namespace that the calling thread is in.
    pub(super) fn open(ipv6: bool) -> Result<Self> {
        let (domain, protocol) =
            if ipv6 { (AddressFamily::INET6, ipproto::ICMPV6) } else { (AddressFamily::INET, ipproto::ICMP) };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(domain, SocketType::RAW, flags, Some(protocol))
            .context(|| "open a raw ICMP socket")?;
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, ROOM);
        Ok(Self { ipv6, socket, buffer: vec![0; LONGEST] })
    }

    /// Takes what has come.
    pub(super) fn hear(&mut self, recogniser: &Recogniser<'_>, heard: &mut Vec<Heard>) {
        while let Ok((length, _, Some(from))) =
            rustix::net::recvfrom(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT)
        {
            let Ok(from) = SocketAddr::try_from(from) else { continue };
            let message = &self.buffer[..length];
            let header;
            // Of IPv6 the header is not given.
            let bytes = if self.ipv6 {
                header = [&ipv6(from.ip(), length)[..], message].concat();
                &header[..]
            } else {
                message
            };
            let decoded = decode(&Frame::new(bytes).on(Link::Ip));
            heard.extend(recogniser.heard(from.ip(), &decoded));
        }
    }
}

/// A header of IPv6 for a message of `ICMPv6`.
fn ipv6(from: IpAddr, length: usize) -> [u8; 40] {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    header[6] = super::probe::ICMPV6;
    if let IpAddr::V6(from) = from {
        header[8..24].copy_from_slice(&from.octets());
    }
    header
}
