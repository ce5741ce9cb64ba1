//! Sysctls of a network namespace, read and written as files below `/proc/sys`.
//!
//! The kernel shows the calling *thread's* namespace there, so these functions act on the one that the thread is in
//! (see [`Namespace::run`](crate::Namespace::run)).

mod directory;

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use self::directory::{Directory, Tree};
use crate::error::{Context, Error, Result};

/// Where sysctls are.
const ROOT: &str = "/proc/sys";

/// The file of a sysctl. In a dotted key (`net.ipv4.ip_forward`) the dots part the levels; in one with slashes
/// (`net/ipv4/conf/eth0.100/forwarding`) the slashes do and dots stand for themselves, as in sysctl(8). A step up
/// (`..`) leads nowhere.
pub fn path(key: &str) -> PathBuf {
    Path::new(ROOT).join(relative(key))
}

/// The same without the root.
fn relative(key: &str) -> PathBuf {
    let relative = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    relative.split('/').filter(|part| !part.is_empty() && !matches!(*part, "." | "..")).collect()
}

/// The value, without the newline at its end.
pub fn read(key: &str) -> Result<String> {
    let value =
        std::fs::read_to_string(path(key)).map_err(|error| failure(key, format!("read {key}"), error))?;
    Ok(value.trim_end_matches('\n').to_owned())
}

/// Sets the value. [`Error::Sysctl`] says what stands in the way: [`Obstacle::Unknown`] if this kernel or namespace has
/// no such sysctl, [`Obstacle::Value`] if it does not take the value.
pub fn write(key: &str, value: &str) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path(key))
        // In one write(2): the kernel takes each as a value of its own.
        .and_then(|file| match rustix::io::write(&file, value.as_bytes()) {
            Ok(written) if written == value.len() => Ok(()),
            Ok(_) => Err(Errno::INVAL.into()),
            Err(errno) => Err(errno.into()),
        })
        .map_err(|error| failure(key, format!("set {key} to {value}"), error))
}

/// All sysctls at or below `key`, as keys that [`read`] and [`write()`] take: dotted where no part has a dot in it.
/// Sorted; none if there is nothing there.
pub fn list(key: &str) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    walk(&path(key), &mut keys)?;
    keys.sort();
    Ok(keys)
}

fn walk(path: &Path, keys: &mut Vec<String>) -> Result<()> {
    let action = || format!("list the sysctls below {}", path.display());
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOTDIR) => {
                keys.extend(key_of(path));
                return Ok(());
            }
            // Gone meanwhile, with an interface, or never there.
            Some(Errno::NOENT) => return Ok(()),
            _ => return Err(Error::io(action(), error)),
        },
    };
    for entry in entries {
        let entry = entry.context(action)?;
        if entry.file_type().context(action)?.is_dir() {
            walk(&entry.path(), keys)?;
        } else {
            keys.extend(key_of(&entry.path()));
        }
    }
    Ok(())
}

fn key_of(path: &Path) -> Option<String> {
    let key = path.strip_prefix(ROOT).ok()?.to_str()?;
    Some(if key.contains('.') { key.to_owned() } else { key.replace('/', ".") })
}

/// What stands in the way of a sysctl.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// There is none of this name, and why that may be.
    Unknown {
        /// The build option, module or interface that would bring it, in words.
        hint: String,
    },
    /// It does not take the value.
    Value,
    /// It cannot be written by this process, or by none.
    Forbidden,
    /// Something else.
    Other,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { hint } => write!(f, "there is no such sysctl here: {hint}"),
            Self::Value => f.write_str("it does not take this value"),
            Self::Forbidden => f.write_str(
                "it may not be written (it is read-only, or belongs to the whole host rather than to the network \
                 namespace, or /proc/sys is mounted read-only as in a container)",
            ),
            Self::Other => f.write_str("the kernel refused"),
        }
    }
}

fn failure(key: &str, action: String, source: io::Error) -> Error {
    let obstacle = match Errno::from_io_error(&source) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::ISDIR) => Obstacle::Unknown { hint: hint(&path(key)) },
        Some(Errno::INVAL | Errno::RANGE) => Obstacle::Value,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Obstacle::Forbidden,
        _ => Obstacle::Other,
    };
    Error::Sysctl { action, obstacle, source }
}

/// Why there is no such file: the first step of the path that is not there tells.
fn hint(path: &Path) -> String {
    /// What brings parts of the tree, by their beginnings; the longest match is last.
    const BRINGERS: &[(&str, &str)] = &[
        ("net/ipv4/", "CONFIG_INET"),
        ("net/ipv6/", "CONFIG_IPV6"),
        ("net/bridge/", "CONFIG_BRIDGE_NETFILTER, the module br_netfilter"),
        ("net/netfilter/", "CONFIG_NETFILTER"),
        ("net/netfilter/nf_conntrack", "CONFIG_NF_CONNTRACK, the module nf_conntrack"),
        ("net/netfilter/nf_log", "CONFIG_NETFILTER"),
        ("net/mpls/", "CONFIG_MPLS_ROUTING, the module mpls_router"),
        ("net/mptcp/", "CONFIG_MPTCP"),
        ("net/sctp/", "CONFIG_IP_SCTP, the module sctp"),
        ("net/ipv4/vrf", "CONFIG_NET_L3_MASTER_DEV"),
        ("net/ipv4/tcp_l3mdev_accept", "CONFIG_NET_L3_MASTER_DEV"),
        ("net/ipv4/udp_l3mdev_accept", "CONFIG_NET_L3_MASTER_DEV"),
        ("net/ipv4/fib_multipath", "CONFIG_IP_ROUTE_MULTIPATH"),
        ("net/ipv4/tcp_syncookies", "CONFIG_SYN_COOKIES"),
    ];
    if !path.starts_with(ROOT) || path.exists() {
        return "it is a directory of sysctls".to_owned();
    }
    let mut missing = path;
    while let Some(parent) = missing.parent().filter(|parent| !parent.exists()) {
        missing = parent;
    }
    let text = |path: &Path| path.strip_prefix(ROOT).unwrap_or(path).display().to_string();
    let parts: Vec<_> = missing.iter().filter_map(|part| part.to_str()).collect();
    if let [.., "conf" | "neigh", interface] = parts[..]
        && !matches!(interface, "all" | "default")
    {
        return format!("there is no interface {interface} in this namespace");
    }
    let wanted = text(path);
    match BRINGERS.iter().rev().find(|(beginning, _)| wanted.starts_with(beginning)) {
        Some((beginning, bringer)) if !beginning.ends_with('/') || text(missing).len() < beginning.len() => {
            format!("this kernel lacks {bringer}")
        }
        _ => format!("the kernel has no {}, or not in a namespace other than the host's own", text(missing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_dotted_or_slashed_and_never_lead_out() {
        assert_eq!(path("net.ipv4.ip_forward"), Path::new("/proc/sys/net/ipv4/ip_forward"));
        assert_eq!(
            path("net/ipv4/conf/eth0.5/forwarding"),
            Path::new("/proc/sys/net/ipv4/conf/eth0.5/forwarding")
        );
        assert_eq!(path("/net/../../etc/passwd"), Path::new("/proc/sys/net/etc/passwd"));
        assert_eq!(path("..net.ipv4"), Path::new("/proc/sys/net/ipv4"));
    }

    #[test]
    fn failures_say_why() {
        let text = |key| read(key).unwrap_err().to_string();
        assert!(text("net.ipv4.conf.nonesuch0.forwarding").contains("no interface nonesuch0"));
        assert!(text("net.ipv4.nonesuch").contains("no net/ipv4/nonesuch"));
        assert!(text("net.ipv4.conf").contains("directory"));
        let lacks = hint(Path::new("/proc/sys/net/sctp/nonesuch"));
        assert!(lacks.contains("CONFIG_IP_SCTP") || Path::new("/proc/sys/net/sctp").exists(), "{lacks}");
    }

    #[test]
    fn lists_what_it_can_read() {
        let keys = list("net.ipv4.conf.lo").unwrap();
        assert!(keys.contains(&"net.ipv4.conf.lo.forwarding".to_owned()));
        assert_eq!(list("net.ipv4.ip_forward").unwrap(), ["net.ipv4.ip_forward"]);
        assert_eq!(list("net.nonesuch").unwrap(), [""; 0]);
    }
}
