//! Whether namespaces can be made, by whom.

use nslab_kernel::{Namespace, userns};
use rustix::fs::{Access, StatVfsMountFlags};

use super::{Check, Status, number};
use crate::rootless::RuntimeDir;

/// Fewer namespaces of a kind per user are told: each node of a lab takes one.
const FEW: u64 = 2048;

/// Looks at namespaces, at the ids in them, and at where they are pinned.
pub(super) fn look(is_root: bool, checks: &mut Vec<Check>) {
    if is_root {
        checks.push(match Namespace::create() {
            Ok(_) => Check::ok("network-namespaces", "can be made, as root"),
            Err(error) => Check::new("network-namespaces", Status::Lacking, error.to_string()),
        });
        directories(checks);
    }
    users(is_root, checks);
    for kind in ["net", "user", "mnt", "pid", "uts"] {
        let path = format!("/proc/sys/user/max_{kind}_namespaces");
        let Some(most) = number(&path) else { continue };
        // That none of users may be made is told above, with what to do.
        if most < FEW && !(kind == "user" && most == 0) {
            let name = format!("user.max_{kind}_namespaces");
            let status = if most == 0 && kind == "net" { Status::Lacking } else { Status::Warning };
            let text = format!("{most}: large labs have more nodes");
            checks.push(Check::new(&name, status, text).fix(format!("sudo sysctl -w {name}=65536")));
        }
    }
    ids(checks);
}

/// User namespaces: an ordinary user cannot do without.
fn users(is_root: bool, checks: &mut Vec<Check>) {
    const NAME: &str = "user-namespaces";
    let tried = if is_root { Ok(None) } else { userns::in_child(|| vec![1]) };
    // What the kernel said to the child is lost with it; its settings tell.
    let nothing = nslab_kernel::Error::io("create a user namespace", std::io::ErrorKind::PermissionDenied);
    let obstacle = userns::obstacle(&nothing);
    let check = match (is_root, tried) {
        (false, Ok(Some(_))) => Check::ok(NAME, "can be made: labs need no root"),
        (false, Ok(None) | Err(_)) => {
            let (what, fix) = obstacle
                .map_or(("they cannot be made", "run nslab as root"), |found| (found.what, found.fix));
            Check::new(NAME, Status::Lacking, what).fix(fix)
        }
        // Root has no need of them.
        (true, _) => match obstacle {
            Some(found) => {
                Check::new(NAME, Status::Note, format!("ordinary users cannot have labs: {}", found.what))
                    .fix(found.fix)
            }
            None => Check::ok(NAME, "no setting forbids them: ordinary users can have labs"),
        },
    };
    checks.push(check);
    if !is_root {
        let directory = RuntimeDir::find();
        let path = directory.path().display();
        checks.push(match directory.check() {
            Ok(_) => Check::ok("runtime-directory", path.to_string()),
            Err(error) => Check::new("runtime-directory", Status::Lacking, error.to_string())
                .fix(format!("chmod 700 {path}")),
        });
    }
}

/// `/run`, where labs are pinned, and `/proc/sys`, where nodes' sysctls are.
fn directories(checks: &mut Vec<Check>) {
    let is_writable = |path: &str| {
        rustix::fs::access(path, Access::WRITE_OK).is_ok()
            && rustix::fs::statvfs(path).is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::RDONLY))
    };
    checks.push(if is_writable("/run") {
        Check::ok("/run", "can be written")
    } else {
        Check::new(
            "/run",
            Status::Lacking,
            "cannot be written: labs and the names of namespaces are kept there",
        )
    });
    // As in most containers: nodes then cannot forward, nor have IPv6 off.
    checks.push(if is_writable("/proc/sys/net/ipv4/ip_forward") {
        Check::ok("/proc/sys", "can be written")
    } else {
        Check::new(
            "/proc/sys",
            Status::Lacking,
            "is mounted read-only, as in a container: sysctls of nodes cannot be set",
        )
    });
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    checks.push(match propagation(&mounts, "/run/netns") {
        Some(true) => {
            Check::ok("/run/netns", "its mounts are shared: programs elsewhere see names of namespaces")
        }
        Some(false) => Check::new(
            "/run/netns",
            Status::Note,
            "its mounts are not shared: programs in other mount namespaces do not see names of namespaces",
        ),
        None => Check::new("/run/netns", Status::Note, "it is not known how its mounts are shared"),
    });
}

/// Whether mounts below a path reach other mount namespaces (`proc_pid_mountinfo(5)`): the innermost mount that it is on, the
/// last of several, has the tag `shared:`.
fn propagation(mountinfo: &str, path: &str) -> Option<bool> {
    let path = std::path::Path::new(path);
    let mounts = mountinfo.lines().filter_map(|line| {
        let (before, _) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        let at = fields.get(4).filter(|at| path.starts_with(at))?;
        Some((at.len(), fields.iter().skip(6).any(|tag| tag.starts_with("shared:"))))
    });
    mounts.max_by_key(|(len, _)| *len).map(|(_, shared)| shared)
}

/// Which users there are, as seen from here.
fn ids(checks: &mut Vec<Check>) {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count: u64 = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum();
    checks.push(match count {
        // All of them (user_namespaces(7)).
        4_294_967_295 => Check::ok("user-ids", "all users are there"),
        0 => Check::new("user-ids", Status::Note, "it is not known which users there are"),
        1 => Check::new(
            "user-ids",
            Status::Note,
            "this is a user namespace with one user: `user:` and `owner:` of others cannot be had",
        ),
        count => Check::new("user-ids", Status::Note, format!("this is a user namespace with {count} users")),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_that_are_shared() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      25 22 0:22 / /run rw,nosuid - tmpfs tmpfs rw\n\
                      30 25 0:22 /netns /run/netns rw,nosuid shared:7 master:3 - tmpfs tmpfs rw\n";
        assert_eq!(propagation(mounts, "/run/netns"), Some(true));
        assert_eq!(propagation(mounts, "/run/other"), Some(false));
        assert_eq!(propagation(mounts, "/var"), Some(true));
        assert_eq!(propagation("", "/run"), None);
    }
}
