//! Sysctls of a network namespace, read and written as files below `/proc/sys`.
//!
//! The kernel shows the calling *thread's* namespace there, so these functions act on the one that the thread is in
//! (see [`Namespace::run`](crate::Namespace::run)).

use std::path::PathBuf;

use crate::error::{Context, Result};

/// The file of a sysctl. In a dotted key (`net.ipv4.ip_forward`) the dots part the levels; in one with slashes
/// (`net/ipv4/conf/eth0.100/forwarding`) the slashes do and dots stand for themselves, as in sysctl(8).
pub fn path(key: &str) -> PathBuf {
    let relative = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    PathBuf::from("/proc/sys").join(relative.trim_start_matches('/'))
}

/// The value, without the newline at its end.
pub fn read(key: &str) -> Result<String> {
    let value = std::fs::read_to_string(path(key)).context(|| format!("read the sysctl {key}"))?;
    Ok(value.trim_end_matches('\n').to_owned())
}

/// Sets the value. Errors with `ENOENT` if this kernel or namespace has no such sysctl, `EINVAL` if it does not take
/// the value.
pub fn write(key: &str, value: &str) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path(key))
        .and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))
        .context(|| format!("set the sysctl {key} to {value}"))
}
