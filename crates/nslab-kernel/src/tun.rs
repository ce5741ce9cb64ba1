//! Programs' interfaces (`drivers/net/tun.c`), which are made by ioctl rather than netlink.

use std::os::fd::{AsRawFd, OwnedFd};

use nslab_types::IfName;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::abi::*;
use crate::error::{Context, Error, Result};
use crate::link::{Tun, TunMode};

/// The device that all of them are made with.
const DEVICE: &str = "/dev/net/tun";

/// `struct ifreq` as `TUNSETIFF` reads it (`include/uapi/linux/if.h`): a name, flags, the rest of the union.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; IfName::MAX_LEN + 1],
    flags: u16,
    rest: [u8; 22],
}

/// Opens the device in the calling thread's namespace, in which interfaces made with it will be.
pub fn open() -> Result<OwnedFd> {
    rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).map_err(
        |errno| {
            match errno {
                // Without the driver there is no file, or a file with nothing behind it.
                Errno::NOENT | Errno::NODEV | Errno::NXIO => {
                    Error::Unsupported { what: format!("a tun interface ({DEVICE})"), option: "CONFIG_TUN" }
                }
                errno => Error::io(format!("open {DEVICE}"), errno),
            }
        },
    )
}

/// Makes an interface in the calling thread's namespace; `EBUSY` if there is one of that name. What the program reads
/// and writes on the descriptor are packets without a header (`IFF_NO_PI`), and the interface has carrier while the
/// descriptor is open. One that is not persistent is gone when it is closed; one that is, is deleted by
/// [`DelLink`](crate::link::DelLink).
pub fn create(name: IfName, tun: Tun) -> Result<OwnedFd> {
    let device = open()?;
    attach(&device, name, tun)?;
    Ok(device)
}

/// As [`create`], with a device opened before by [`open`], in whose namespace the interface is made.
pub fn attach(device: &OwnedFd, name: IfName, tun: Tun) -> Result<()> {
    let mode = match tun.mode {
        TunMode::Tun => IFF_TUN,
        TunMode::Tap => IFF_TAP,
    };
    let mut request = InterfaceRequest {
        name: [0; IfName::MAX_LEN + 1],
        flags: mode | IFF_NO_PI | IFF_TUN_EXCL,
        rest: [0; 22],
    };
    request.name[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
    // SAFETY: `request` has the layout and size of `struct ifreq`, the name ends in a zero, and the kernel keeps no
    // reference to it.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), TUNSETIFF, &raw mut request) };
    check(done).context(|| format!("create the tun interface {name}"))?;
    if let Some(owner) = tun.owner {
        // SAFETY: the argument is a number, not a pointer.
        let done = unsafe { libc::ioctl(device.as_raw_fd(), TUNSETOWNER, libc::c_ulong::from(owner)) };
        check(done).context(|| format!("give the tun interface {name} to user {owner}"))?;
    }
    if tun.persistent { persist(device, name) } else { Ok(()) }
}

/// Makes the interface `name`, which a device was [attached](attach) to, one that stays when the device is closed.
pub fn persist(device: &OwnedFd, name: IfName) -> Result<()> {
    // SAFETY: the argument is a number, not a pointer.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), TUNSETPERSIST, 1 as libc::c_ulong) };
    check(done).context(|| format!("make the tun interface {name} persistent"))
}

fn check(done: libc::c_int) -> std::io::Result<()> {
    if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

// `struct ifreq` has this size on all 64-bit machines, and is no larger on others.
const _: () = assert!(size_of::<InterfaceRequest>() == 40);
