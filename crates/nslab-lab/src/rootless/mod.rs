//! Labs of ordinary users.
//!
//! All labs of a user live in one user namespace, in which the user is root: with its own mounts (a private `/run`),
//! its own network and host name. One small process, the holder, keeps it alive and hands it out.
//!
//! ```text
//! $XDG_RUNTIME_DIR/nslab/            or /tmp/nslab-UID/; its lock is the directory itself (flock)
//!                       /holder.sock a connection gives descriptors of the user, mount, network and UTS namespaces
//! ```
//! Each command enters these namespaces when it starts, and stays connected while it works. The holder ends when no
//! command is connected and no lab is left; so it can neither end under a command's feet nor stay behind for nothing.

mod client;
mod holder;
mod mounts;
mod namespaces;
pub(crate) mod outside;
mod runtime;

pub use client::{Entered, enter, enter_keeping_outside, release};
pub use holder::holder_main;
pub use outside::Outside;
pub use runtime::RuntimeDir;
use rustix::thread::CapabilitySet;

/// Whether this process is inside a user's namespaces, where nothing is outside: the network around the labs is one that
/// nobody is connected to.
pub fn is_inside() -> bool {
    mounts::is_private()
}

/// Whether this process lacks what labs need (`CAP_SYS_ADMIN` and `CAP_NET_ADMIN`), so that it has to [`enter`] a user
/// namespace. Not so for root, nor inside such a namespace.
pub fn needed() -> bool {
    let wanted = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
    !rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(wanted))
}
