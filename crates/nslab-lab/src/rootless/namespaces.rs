//! The holder's namespaces, from one process to another.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use rustix::thread::LinkNameSpaceType;

use crate::error::{Context, Error, Result};

/// What there is of each, in the order in which they are handed over and entered: the user namespace first, as it gives
/// the right to enter the others.
const KINDS: [(&str, LinkNameSpaceType); 4] = [
    ("user", LinkNameSpaceType::User),
    ("mnt", LinkNameSpaceType::Mount),
    ("net", LinkNameSpaceType::Network),
    ("uts", LinkNameSpaceType::HostNameAndNISDomainName),
];

/// Descriptors of a process's namespaces. They cannot come to mean others, as a pid could.
#[derive(Debug)]
pub(super) struct Namespaces([OwnedFd; KINDS.len()]);

impl Namespaces {
    /// Those of the calling process.
    pub(super) fn own() -> Result<Self> {
        let open = |(name, _): (&str, _)| {
            let path = format!("/proc/self/ns/{name}");
            rustix::fs::openat(CWD, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .context(|| format!("open {path}"))
        };
        let [user, mount, network, uts] = KINDS;
        Ok(Self([open(user)?, open(mount)?, open(network)?, open(uts)?]))
    }

    /// Hands them over.
    pub(super) fn send(&self, stream: impl AsFd) -> io::Result<()> {
        let fds: Vec<_> = self.0.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(KINDS.len()))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        rustix::net::sendmsg(stream, &[IoSlice::new(b"n")], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Takes them over; none if the other side ended instead of sending them.
    pub(super) fn receive(stream: impl AsFd) -> io::Result<Option<Self>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(KINDS.len()))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = loop {
            let mut buffers = [IoSliceMut::new(&mut byte)];
            match rustix::net::recvmsg(&stream, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                result => break result?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let fds: Vec<OwnedFd> = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        let fds = fds
            .try_into()
            .map_err(|_| io::Error::other("the holder of the namespaces did not send them all"))?;
        Ok(Some(Self(fds)))
    }

    /// Moves the calling process into them. It must have one thread.
    /// Before it leaves the network that it is in, it does `before`.
    pub(super) fn enter(&self, before: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        for (fd, (name, kind)) in self.0.iter().zip(KINDS) {
            if kind == LinkNameSpaceType::Network {
                before()?;
            }
            rustix::thread::move_into_link_name_space(fd.as_fd(), Some(kind)).map_err(
                |errno| match errno {
                    rustix::io::Errno::INVAL => Error::Machine {
                        what: "a process with several threads cannot enter the user's labs".to_owned(),
                        hint: Some("enter before starting threads".to_owned()),
                    },
                    _ => Error::Io {
                        action: format!("enter the user's {name} namespace"),
                        source: errno.into(),
                    },
                },
            )?;
        }
        Ok(())
    }
}
