//! Which processes are in which namespaces, and what they hold open: namespaces and sockets.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nslab_kernel::processes::{self, Depth};
use nslab_kernel::{Namespace, NamespaceId, mark};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use crate::error::Result;
use crate::{MOST_PROCESSES, Process};

/// `SIOCGSKNS` (`include/uapi/linux/sockios.h`): the network namespace of a socket, as a descriptor.
const SIOCGSKNS: libc::Ioctl = 0x894c;

/// What `/proc` tells of all processes that this one may look at.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    /// The processes that have a thread in it, by number.
    pub(crate) inside: HashMap<NamespaceId, Vec<Pid>>,
    /// Files that lead to a namespace, by its inode.
    pub(crate) files: HashMap<u64, PathBuf>,
    /// Who has a socket, by its inode.
    pub(crate) sockets: HashMap<u32, Process>,
    /// Namespaces that sockets are in.
    pub(crate) by_socket: HashMap<NamespaceId, Namespace>,
}

/// Which namespaces sockets were found to be in, for whoever looks again and again: a socket stays where it is, and asking takes longer than
/// to see that it is still there.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// By the socket's inode; none of those of who only looks.
    spaces: HashMap<u32, Option<NamespaceId>>,
}

impl Holders {
    /// Looks at all processes.
    pub(crate) fn find(memory: &mut Memory) -> Result<Self> {
        let mut found = Self::default();
        for (pid, id) in processes::list(Depth::Threads, |_| true)? {
            found.inside.entry(id).or_default().push(pid);
        }
        let mut pids: Vec<Pid> = found.inside.values().flatten().copied().collect();
        pids.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        pids.dedup();
        for pid in pids {
            found.look_at(pid, memory);
        }
        memory.spaces.retain(|inode, _| found.sockets.contains_key(inode));
        Ok(found)
    }

    /// Goes through what a process has open. It may end meanwhile, or not be ours to look at.
    fn look_at(&mut self, pid: Pid, memory: &mut Memory) {
        let directory = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("fd");
        let (mut handle, mut command) = (None, None);
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let Some(target) = target.to_str() else { continue };
            if let Some(inode) = number(target, "net:[") {
                if !self.files.contains_key(&inode) && !mark::is_set_at(&entry.path()) {
                    self.files.insert(inode, entry.path());
                }
            } else if let Some(inode) = number(target, "socket:[").and_then(|inode| u32::try_from(inode).ok())
            {
                if self.sockets.contains_key(&inode) {
                    continue;
                }
                let command = command.get_or_insert_with(|| command_of(pid));
                self.sockets
                    .insert(inode, Process { pid: pid.as_raw_nonzero().get(), command: command.clone() });
                match memory.spaces.get(&inode) {
                    Some(None) => continue,
                    Some(Some(id)) if self.is_found(*id) => continue,
                    _ => {}
                }
                let handle =
                    handle.get_or_insert_with(|| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
                let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
                let asked = handle
                    .as_ref()
                    .zip(number)
                    .and_then(|(handle, number)| namespace_of_socket(handle, number, inode));
                // One that could not be asked for, or is another by now, may be the next time.
                match asked {
                    None => {}
                    Some(Whose::Looking) => drop(memory.spaces.insert(inode, None)),
                    Some(Whose::Using(id, namespace)) => {
                        memory.spaces.insert(inode, Some(id));
                        self.by_socket.entry(id).or_insert(namespace);
                    }
                }
            }
        }
    }

    /// Whether there is a way to a namespace already.
    fn is_found(&self, id: NamespaceId) -> bool {
        self.inside.contains_key(&id)
            || self.files.contains_key(&id.inode)
            || self.by_socket.contains_key(&id)
    }

    /// The processes in a namespace, the first [`MOST_PROCESSES`] by name, and the numbers of the others.
    pub(crate) fn processes(&self, id: NamespaceId) -> (Vec<Process>, Vec<i32>) {
        let pids = self.inside.get(&id).map_or(&[][..], |pids| pids);
        let (mut named, mut others) = (Vec::new(), Vec::new());
        for &pid in pids {
            let number = pid.as_raw_nonzero().get();
            // The kernel's threads have no program.
            let has_program = || {
                let path = format!("/proc/{number}/exe");
                !matches!(rustix::fs::readlink(path, Vec::new()), Err(rustix::io::Errno::NOENT))
            };
            if named.len() < MOST_PROCESSES && has_program() {
                named.push(Process { pid: number, command: command_of(pid) });
            } else {
                others.push(number);
            }
        }
        (named, others)
    }
}

/// The number in `socket:[123]` and the like.
fn number(target: &str, kind: &str) -> Option<u64> {
    target.strip_prefix(kind)?.strip_suffix(']')?.parse().ok()
}

/// The name of a process; empty if it has ended.
pub(crate) fn command_of(pid: Pid) -> String {
    let path = format!("/proc/{}/comm", pid.as_raw_nonzero());
    std::fs::read(path).map(|text| String::from_utf8_lossy(&text).trim_end().to_owned()).unwrap_or_default()
}

/// Whose a socket is.
enum Whose {
    /// Of who only looks.
    Looking,
    /// Of who uses the namespace that it is in.
    Using(NamespaceId, Namespace),
}

/// Whose another process's socket of this inode is; none if it cannot be asked for.
fn namespace_of_socket(process: &OwnedFd, number: i32, inode: u32) -> Option<Whose> {
    let socket = rustix::process::pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()?;
    if rustix::fs::fstat(&socket).ok()?.st_ino != u64::from(inode) {
        return None;
    }
    if mark::is_set(&socket) {
        return Some(Whose::Looking);
    }
    // SAFETY: the ioctl takes no argument and gives a descriptor that is ours alone, or an error.
    let namespace = unsafe {
        let fd = libc::ioctl(socket.as_fd().as_raw_fd(), SIOCGSKNS);
        if fd < 0 {
            return None;
        }
        OwnedFd::from_raw_fd(fd)
    };
    let namespace = Namespace::from_fd(namespace).ok()?;
    Some(Whose::Using(namespace.id().ok()?, namespace))
}
