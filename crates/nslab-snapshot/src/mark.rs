//! Descriptors that snapshots have open for themselves.
//!
//! Whoever takes a snapshot finds namespaces by what processes have open, and has each open until it is done. If that counted as
//! a use, several who look again and again would keep alive what is long gone, each by what the others have open. So what a
//! snapshot opens has a flag that means nothing for such files, and that nobody else sets.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// The flag.
const MARK: OFlags = OFlags::APPEND;

/// Marks a descriptor, and those that it is duplicated to. If that fails it counts as a use, which does no harm for once.
pub(crate) fn set(fd: impl AsFd) {
    if let Ok(flags) = fcntl_getfl(&fd) {
        let _ = fcntl_setfl(&fd, flags | MARK);
    }
}

/// Whether somebody marked it.
pub(crate) fn is_set(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).is_ok_and(|flags| flags.contains(MARK))
}

/// The same of another process's descriptor, by its path `/proc/PID/fd/NUMBER`; no if that cannot be told.
pub(crate) fn is_set_at(path: &Path) -> bool {
    let (Some(process), Some(number)) = (path.parent().and_then(Path::parent), path.file_name()) else {
        return false;
    };
    let info = std::fs::read_to_string(process.join("fdinfo").join(number)).unwrap_or_default();
    // proc_pid_fdinfo(5): the flags are octal.
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| OFlags::from_bits_retain(flags).contains(MARK))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn marks_are_seen_from_outside() {
        let file = std::fs::File::open("/proc/self/ns/net").unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd());
        assert!(!is_set(&file) && !is_set_at(Path::new(&path)));
        set(&file);
        assert!(is_set(&file) && is_set_at(Path::new(&path)));
        assert!(is_set(file.try_clone().unwrap()));
    }
}
