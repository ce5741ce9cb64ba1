//! Descriptors of those who only look: snapshots, captures, traces.
//!
//! Whoever takes a snapshot finds namespaces by what processes have open, and has each open until it is done; a capture has sockets in
//! namespaces for as long as it runs. If that counted as a use, several who look again and again would keep alive what is long gone, each
//! by what the others have open, or one by what it has open itself. So what they open has a flag (`O_APPEND`) that means nothing for
//! namespaces and sockets, and that nobody else sets.
//!
//! A thread that only visits a namespace has one of its own open to come back to, which has another flag as well (`O_NONBLOCK`): by it
//! whoever ends the processes of a namespace knows guests.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Pid;

/// The flag.
const MARK: OFlags = OFlags::APPEND;

/// Of the namespace that a guest comes back to.
const HOME: OFlags = MARK.union(OFlags::NONBLOCK);

/// Marks a descriptor, and those that it is duplicated to. If that fails it counts as a use, which does no harm for once.
pub fn set(fd: impl AsFd) {
    if let Ok(flags) = fcntl_getfl(&fd) {
        let _ = fcntl_setfl(&fd, flags | MARK);
    }
}

/// Marks a namespace's descriptor as what this thread comes back to.
pub(crate) fn set_home(fd: impl AsFd) {
    if let Ok(flags) = fcntl_getfl(&fd) {
        let _ = fcntl_setfl(&fd, flags | HOME);
    }
}

/// The inode numbers of the namespaces to which a process's threads are to come back that visit others just now; none if that
/// cannot be told.
pub fn homes(pid: Pid) -> Vec<u64> {
    let directory = format!("/proc/{}/fd", pid.as_raw_nonzero());
    let descriptors = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let home = |path: &Path| {
        let target = std::fs::read_link(path).ok()?;
        let inode = target.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()?;
        flags_at(path).is_some_and(|flags| flags.contains(HOME)).then_some(inode)
    };
    descriptors.filter_map(|entry| home(&entry.path())).collect()
}

/// Whether somebody marked it.
pub fn is_set(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).is_ok_and(|flags| flags.contains(MARK))
}

/// The same of another process's descriptor, by its path `/proc/PID/fd/NUMBER`; no if that cannot be told.
pub fn is_set_at(path: &Path) -> bool {
    flags_at(path).is_some_and(|flags| flags.contains(MARK))
}

fn flags_at(path: &Path) -> Option<OFlags> {
    let info = path.parent()?.parent()?.join("fdinfo").join(path.file_name()?);
    let info = std::fs::read_to_string(info).ok()?;
    // proc_pid_fdinfo(5): the flags are octal.
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok().map(OFlags::from_bits_retain)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn marks_are_seen_from_outside() {
        let file = std::fs::File::open("/proc/self/ns/net").unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd());
        assert!(!is_set(&file) && !is_set_at(Path::new(&path)));
        set(&file);
        assert!(is_set(&file) && is_set_at(Path::new(&path)));
        assert!(is_set(file.try_clone().unwrap()));
        let inode = file.metadata().unwrap().ino();
        let homes = || homes(rustix::process::getpid()).into_iter().filter(|one| *one == inode).count();
        let before = homes();
        set_home(&file);
        assert_eq!(homes(), before + 1);
    }
}
