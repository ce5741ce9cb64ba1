//! WireGuard interfaces: keys, port, peers (`include/uapi/linux/wireguard.h`, over generic netlink).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::link::IfIndex;
use crate::netlink::generic::{self, HEADER_LEN};
use crate::netlink::{Attribute, Attributes, MessageWriter, Protocol, Reader, Request, Socket};

const WG_CMD_GET_DEVICE: u8 = 0;
const WG_CMD_SET_DEVICE: u8 = 1;
const VERSION: u8 = 1;
const WGDEVICE_A_IFINDEX: u16 = 1;
const WGDEVICE_A_PRIVATE_KEY: u16 = 3;
const WGDEVICE_A_PUBLIC_KEY: u16 = 4;
const WGDEVICE_A_FLAGS: u16 = 5;
const WGDEVICE_A_LISTEN_PORT: u16 = 6;
const WGDEVICE_A_PEERS: u16 = 8;
const WGDEVICE_F_REPLACE_PEERS: u32 = 1;
const WGPEER_A_PUBLIC_KEY: u16 = 1;
const WGPEER_A_FLAGS: u16 = 3;
const WGPEER_A_ENDPOINT: u16 = 4;
const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: u16 = 5;
const WGPEER_A_LAST_HANDSHAKE_TIME: u16 = 6;
const WGPEER_A_ALLOWEDIPS: u16 = 9;
const WGPEER_F_REMOVE_ME: u32 = 1;
const WGPEER_F_REPLACE_ALLOWEDIPS: u32 = 2;
const WGALLOWEDIP_A_FAMILY: u16 = 1;
const WGALLOWEDIP_A_IPADDR: u16 = 2;
const WGALLOWEDIP_A_CIDR_MASK: u16 = 3;
/// Peers that go into one message: an attribute holds 64 KiB, and a peer with few allowed prefixes takes about 200
/// bytes.
const PEERS_PER_MESSAGE: usize = 100;

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

/// A private key, which is shown to nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PrivateKey([u8; 32]);

impl PrivateKey {
    /// A new one, from the kernel's random numbers (getrandom(2)), with the bits set that X25519 would set (RFC 7748
    /// section 5).
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
                .map_err(|errno| Error::io("get random numbers", errno))?;
        }
        Ok(Self::from_bytes(bytes))
    }

    /// The key of these bytes.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        bytes[0] &= 0xf8;
        bytes[31] = (bytes[31] & 0x7f) | 0x40;
        Self(bytes)
    }

    /// Its bytes, for keeping it.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The public key that goes with it (X25519 of the base point).
    pub fn public(self) -> PublicKey {
        PublicKey(curve25519_dalek::MontgomeryPoint::mul_base_clamped(self.0).to_bytes())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl fmt::Display for PublicKey {
    /// As wg(8) writes it, in base 64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base64(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Base 64 with padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        let number = number << (8 * (3 - group.len()));
        for digit in 0..4 {
            let shown = digit <= group.len();
            text.push(if shown { char::from(DIGITS[number >> (18 - 6 * digit) & 63]) } else { '=' });
        }
    }
    text
}

/// A peer of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its public key.
    pub key: PublicKey,
    /// Where it is, as last known.
    pub endpoint: Option<SocketAddr>,
    /// What may come from it and is sent to it.
    pub allowed: Vec<IpNet>,
    /// Every how many seconds something is sent to it though there is nothing to say; 0 is never.
    pub keepalive: u16,
}

/// An interface as the kernel shows it. Its private key is not kept, what it can be known by is the public one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its public key, once it has a private one.
    pub key: Option<PublicKey>,
    /// The UDP port it listens on; 0 is one of the kernel's choice, when it is up.
    pub listen_port: u16,
    /// Its peers, in the kernel's order.
    pub peers: Vec<Peer>,
    /// When each peer last shook hands, in seconds since 1970, 0 is never; in the order of [`Device::peers`].
    pub handshakes: Vec<u64>,
}

/// What an interface is set to: these peers and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetDevice {
    /// The interface.
    pub link: IfIndex,
    /// Its private key; stays if none.
    pub key: Option<PrivateKey>,
    /// The UDP port it listens on.
    pub listen_port: u16,
    /// All of its peers. Those it has and keeps lose no session, as the kernel changes them in place; those it has
    /// besides are to be named in [`SetDevice::gone`].
    pub peers: Vec<Peer>,
    /// Peers to take away.
    pub gone: Vec<PublicKey>,
    /// Take all other peers away, too.
    pub replace: bool,
}

/// A socket that speaks to WireGuard. Interfaces are those of the namespace it was opened in.
#[derive(Debug)]
pub struct Control {
    socket: Socket,
    family: u16,
}

impl Control {
    /// Opens one in the namespace that the calling thread is in. Errors with [`Error::Unsupported`] on a kernel without
    /// WireGuard. The kernel loads its module when the first interface is made.
    pub fn open() -> Result<Self> {
        let mut socket = Socket::open(Protocol::Generic)?;
        let family = generic::family(&mut socket, "wireguard")?
            .ok_or(Error::Unsupported { what: "WireGuard".to_owned(), option: "CONFIG_WIREGUARD" })?;
        Ok(Self { socket, family })
    }

    /// Sets an interface's key, port and peers.
    pub fn set(&mut self, device: &SetDevice) -> Result<()> {
        let mut first = true;
        let mut peers = device.peers.chunks(PEERS_PER_MESSAGE);
        while first || peers.len() > 0 {
            let part = peers.next().unwrap_or_default();
            self.socket.request(&SetRequest { device, peers: part, first, family: self.family })?;
            first = false;
        }
        Ok(())
    }

    /// Reads an interface.
    pub fn get(&mut self, link: IfIndex) -> Result<Device> {
        let request = GetRequest { link, family: self.family };
        let parts =
            self.socket.dump("a WireGuard interface", &request, |_, payload| Ok(Some(parse(payload))))?;
        let mut device = Device::default();
        for part in parts {
            device.key = device.key.or(part.key);
            device.listen_port = device.listen_port.max(part.listen_port);
            for (peer, handshake) in part.peers.into_iter().zip(part.handshakes) {
                // A peer whose prefixes did not fit into one message is continued in the next.
                match device.peers.last_mut() {
                    Some(last) if last.key == peer.key => last.allowed.extend(peer.allowed),
                    _ => {
                        device.peers.push(peer);
                        device.handshakes.push(handshake);
                    }
                }
            }
        }
        Ok(device)
    }
}

/// `WG_CMD_SET_DEVICE` with some of the peers.
struct SetRequest<'a> {
    device: &'a SetDevice,
    peers: &'a [Peer],
    first: bool,
    family: u16,
}

impl fmt::Display for SetRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set the WireGuard interface that is link number {}", self.device.link)
    }
}

impl Request for SetRequest<'_> {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&generic::header(WG_CMD_SET_DEVICE, VERSION));
        message.u32(WGDEVICE_A_IFINDEX, self.device.link);
        if self.first {
            if let Some(key) = self.device.key {
                message.attribute(WGDEVICE_A_PRIVATE_KEY, &key.0);
            }
            message.u16(WGDEVICE_A_LISTEN_PORT, self.device.listen_port);
            if self.device.replace {
                message.u32(WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
            }
        }
        let gone = if self.first { &self.device.gone[..] } else { &[] };
        if self.peers.is_empty() && gone.is_empty() {
            return;
        }
        message.nested(WGDEVICE_A_PEERS, |list| {
            for key in gone {
                list.nested(0, |peer| {
                    peer.attribute(WGPEER_A_PUBLIC_KEY, &key.0);
                    peer.u32(WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
                });
            }
            for peer in self.peers {
                list.nested(0, |to| write_peer(to, peer));
            }
        });
    }
}

fn write_peer(message: &mut MessageWriter<'_>, peer: &Peer) {
    message.attribute(WGPEER_A_PUBLIC_KEY, &peer.key.0);
    message.u32(WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS);
    if let Some(endpoint) = peer.endpoint {
        message.attribute(WGPEER_A_ENDPOINT, &socket_address(endpoint));
    }
    message.u16(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peer.keepalive);
    message.nested(WGPEER_A_ALLOWEDIPS, |list| {
        for net in &peer.allowed {
            list.nested(0, |entry| {
                entry.u16(WGALLOWEDIP_A_FAMILY, u16::from(crate::abi::family_of(net.addr())));
                entry.address(WGALLOWEDIP_A_IPADDR, net.addr());
                entry.u8(WGALLOWEDIP_A_CIDR_MASK, net.prefix_len());
            });
        }
    });
}

/// `struct sockaddr_in` or `struct sockaddr_in6`.
fn socket_address(address: SocketAddr) -> Vec<u8> {
    let mut bytes = u16::from(crate::abi::family_of(address.ip())).to_ne_bytes().to_vec();
    bytes.extend(address.port().to_be_bytes());
    match address {
        SocketAddr::V4(address) => {
            bytes.extend(address.ip().octets());
            bytes.extend([0; 8]);
        }
        SocketAddr::V6(address) => {
            bytes.extend(address.flowinfo().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.extend(address.scope_id().to_ne_bytes());
        }
    }
    bytes
}

fn read_socket_address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    if family == u16::from(crate::abi::AF_INET) {
        let address = Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?);
        return Some(SocketAddr::new(IpAddr::V4(address), port));
    }
    let address = Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?);
    let scope = u32::from_ne_bytes(*bytes.get(24..)?.first_chunk()?);
    Some(SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope)))
}

/// `WG_CMD_GET_DEVICE`.
struct GetRequest {
    link: IfIndex,
    family: u16,
}

impl fmt::Display for GetRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look at the WireGuard interface that is link number {}", self.link)
    }
}

impl Request for GetRequest {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&generic::header(WG_CMD_GET_DEVICE, VERSION));
        message.u32(WGDEVICE_A_IFINDEX, self.link);
    }
}

/// Reads one message about an interface.
pub(crate) fn parse(payload: &[u8]) -> Device {
    let mut device = Device::default();
    for attribute in Reader::new(payload).attributes(HEADER_LEN) {
        match attribute.kind {
            WGDEVICE_A_PUBLIC_KEY => device.key = key(&attribute).filter(|key| key.0 != [0; 32]),
            WGDEVICE_A_LISTEN_PORT => device.listen_port = attribute.u16().unwrap_or(0),
            WGDEVICE_A_PEERS => {
                for peer in attribute.nested() {
                    if let Some((peer, handshake)) = read_peer(&peer.nested()) {
                        device.peers.push(peer);
                        device.handshakes.push(handshake);
                    }
                }
            }
            _ => {}
        }
    }
    device
}

fn key(attribute: &Attribute<'_>) -> Option<PublicKey> {
    attribute.payload.try_into().ok().map(PublicKey)
}

fn read_peer(attributes: &Attributes<'_>) -> Option<(Peer, u64)> {
    let key = key(&attributes.get(WGPEER_A_PUBLIC_KEY)?)?;
    let mut peer = Peer { key, endpoint: None, allowed: Vec::new(), keepalive: 0 };
    let mut handshake = 0;
    for attribute in attributes.clone() {
        match attribute.kind {
            WGPEER_A_ENDPOINT => peer.endpoint = read_socket_address(attribute.payload),
            WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL => peer.keepalive = attribute.u16().unwrap_or(0),
            // struct __kernel_timespec: seconds first.
            WGPEER_A_LAST_HANDSHAKE_TIME => handshake = attribute.u64().unwrap_or(0),
            WGPEER_A_ALLOWEDIPS => peer.allowed.extend(attribute.nested().filter_map(|entry| {
                let entry = entry.nested();
                let address = entry.get(WGALLOWEDIP_A_IPADDR)?.address()?;
                IpNet::new(address, entry.get(WGALLOWEDIP_A_CIDR_MASK)?.u8()?).ok()
            })),
            _ => {}
        }
    }
    Some((peer, handshake))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Batch;

    #[test]
    fn public_keys_are_those_of_the_standard() {
        // The first is Bob's of RFC 7748 section 6.1, the second what wg(8) says.
        let pairs = [
            (
                "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
                "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            ),
            (
                "77076d0a7318a57d3c16c17251b26645c6c2f6c929c6c2f6c929c6c2f6c929c6",
                "9587dd45b317aae2d2c9358ab2b55613f170082eead3d5b7c6328739358c5674",
            ),
        ];
        for (private, public) in pairs {
            let bytes = |text: &str| -> [u8; 32] {
                std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
            };
            let key = PrivateKey::from_bytes(bytes(private));
            assert_eq!(key.public().0, bytes(public));
        }
        assert_eq!(format!("{:?}", PrivateKey::from_bytes([1; 32])), "PrivateKey(…)");
        assert_ne!(PrivateKey::random().unwrap(), PrivateKey::random().unwrap());
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(PublicKey([0xff; 32]).to_string().len(), 44);
    }

    #[test]
    fn devices_are_read_as_they_are_written() {
        let peer = |byte, endpoint: &str, allowed: &[&str], keepalive| Peer {
            key: PublicKey([byte; 32]),
            endpoint: endpoint.parse().ok(),
            allowed: allowed.iter().map(|net| net.parse().unwrap()).collect(),
            keepalive,
        };
        let peers = vec![
            peer(1, "192.0.2.1:51820", &["10.0.0.0/8", "fd00::/64"], 25),
            peer(2, "[2001:db8::1]:7", &[], 0),
            peer(3, "", &["0.0.0.0/0"], 0),
        ];
        let device = SetDevice {
            link: 7,
            key: Some(PrivateKey::from_bytes([9; 32])),
            listen_port: 51820,
            peers: peers.clone(),
            gone: vec![PublicKey([4; 32])],
            replace: true,
        };
        let request = SetRequest { device: &device, peers: &device.peers, first: true, family: 30 };
        let bytes = Batch::payload(&request);
        let read = parse(&bytes);
        assert_eq!(read.listen_port, 51820);
        assert_eq!((&read.peers[0].key, &read.peers[1..]), (&PublicKey([4; 32]), &peers[..]));
        assert!(!request.to_string().contains("09"), "{request}");
        for end in 0..bytes.len() {
            parse(&bytes[..end]);
        }
    }
}
