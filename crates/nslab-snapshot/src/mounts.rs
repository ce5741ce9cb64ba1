//! Namespaces that are mounted somewhere, which keeps them alive without a process.

use std::path::{Path, PathBuf};

/// A namespace's mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Its inode number.
    pub(crate) inode: u64,
    /// Where it is mounted.
    pub(crate) path: PathBuf,
}

/// The network namespaces that are mounted in the mount namespace of the process with this directory in `/proc`; none
/// if that cannot be read.
pub(crate) fn list(process: &Path) -> Vec<Pin> {
    let text = std::fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

/// Reads a line of `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`); none if it is not a network namespace's.
fn parse(line: &str) -> Option<Pin> {
    let mut fields = line.split(' ');
    let root = fields.nth(3)?;
    let inode = root.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()?;
    let path = unescape(fields.next()?);
    let (_, rest) = line.split_once(" - ")?;
    rest.starts_with("nsfs ").then_some(Pin { inode, path })
}

/// Spaces, tabs, newlines and backslashes stand as three octal digits (`mangle`, `fs/seq_file.c`).
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| first == b'\\');
        let octal = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = r"340 30 0:4 net:[4026532456] /run/netns/a\040b\134 rw shared:181 - nsfs nsfs rw";
        assert_eq!(parse(line), Some(Pin { inode: 4_026_532_456, path: PathBuf::from("/run/netns/a b\\") }));
        assert_eq!(parse("340 30 0:4 mnt:[4026532456] /run/m rw - nsfs nsfs rw"), None);
        assert_eq!(parse("22 1 0:21 / /sys rw,nosuid - sysfs sysfs rw"), None);
        assert_eq!(parse(""), None);
        assert_eq!(unescape(r"/a\09\"), PathBuf::from(r"/a\09\"));
    }
}
