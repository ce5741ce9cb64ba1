//! Raw frames: sent, and seen where the network layer gets them.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nslab_kernel::Namespace;

/// "Local experimental Ethertype 1" (IEEE 802): nobody else's frames have it.
pub(crate) const ETHERTYPE: u16 = 0x88b5;

/// A socket that sees every frame of [`ETHERTYPE`] that any interface of a namespace hands to its network layer.
pub(crate) struct Tap {
    fd: OwnedFd,
}

/// A frame that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) link: u32,
    /// It was not for that interface (`PACKET_OTHERHOST`): the network layer throws it away.
    pub(crate) is_others: bool,
    /// What [`Tap::send`] was given.
    pub(crate) nonce: u32,
}

fn address(link: u32) -> libc::sockaddr_ll {
    // SAFETY: all zeros are a valid value of this plain structure.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
    address.sll_protocol = ETHERTYPE.to_be();
    address.sll_ifindex = i32::try_from(link).unwrap();
    address
}

fn length() -> libc::socklen_t {
    u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap()
}

impl Tap {
    pub(crate) fn open(namespace: &Namespace) -> Self {
        namespace
            .run(|| {
                let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
                // SAFETY: no memory is passed; the descriptor is ours alone.
                let fd = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(ETHERTYPE.to_be())) };
                assert!(fd >= 0, "{}", std::io::Error::last_os_error());
                // SAFETY: it was just made.
                Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } }
            })
            .unwrap()
    }

    /// Sends a frame by an interface, as its own network layer would. An error that the interface gives is none of ours:
    /// the frame is lost then.
    pub(crate) fn send(&self, link: u32, source: [u8; 6], destination: [u8; 6], nonce: u32, size: usize) {
        let mut frame = Vec::with_capacity(14 + size);
        frame.extend(destination);
        frame.extend(source);
        frame.extend(ETHERTYPE.to_be_bytes());
        frame.extend(nonce.to_ne_bytes());
        frame.resize(14 + size, 0);
        let address = address(link);
        // SAFETY: buffer and address outlive the call, and their lengths are their own.
        unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                length(),
            );
        }
    }

    /// What was seen since the last look, without what was sent here.
    pub(crate) fn look(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let mut buffer = [0_u8; 32];
            let (mut from, mut size) = (address(0), length());
            // SAFETY: buffer and address outlive the call, and their lengths are their own.
            let got = unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut size,
                )
            };
            if got < 18 {
                return seen;
            }
            if from.sll_pkttype == libc::PACKET_OUTGOING {
                continue;
            }
            seen.push(Seen {
                link: u32::try_from(from.sll_ifindex).unwrap(),
                is_others: from.sll_pkttype == libc::PACKET_OTHERHOST,
                nonce: u32::from_ne_bytes(*buffer[14..].first_chunk().unwrap()),
            });
        }
    }
}
