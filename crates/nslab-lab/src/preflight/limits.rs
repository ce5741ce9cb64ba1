//! Limits that large labs meet.

use rustix::process::{Resource, getrlimit};

use super::{Check, Status, number};

/// Two files are open for each node while a lab is built.
const FILES_OF_A_NODE: u64 = 2;
/// Smaller limits are told: a lab of a thousand nodes meets them.
const FEW_FILES: u64 = 4096;
const FEW_PROCESSES: u64 = 4096;
/// The kernel's default (`net/ipv4/arp.c`, `net/ipv6/ndisc.c`): a switch with some dozens of hosts that all talk fills it.
const FEW_NEIGHBOURS: u64 = 1024;
const FEW_INSTANCES: u64 = 128;
const FEW_WATCHES: u64 = 8192;

/// Looks at each.
pub(super) fn look(checks: &mut Vec<Check>) {
    for key in ["net.ipv4.neigh.default.gc_thresh3", "net.ipv6.neigh.default.gc_thresh3"] {
        let most = number(&format!("/proc/sys/{}", key.replace('.', "/")));
        least(checks, key, most, FEW_NEIGHBOURS + 1, Status::Note, 16_384, |most| {
            format!(
                "{most} neighbours in all namespaces together; where more talk to each other, some are not found"
            )
        });
    }
    for (key, few, better) in [
        ("fs.inotify.max_user_instances", FEW_INSTANCES, 1024),
        ("fs.inotify.max_user_watches", FEW_WATCHES, 524_288),
    ] {
        let most = number(&format!("/proc/sys/{}", key.replace('.', "/")));
        least(checks, key, most, few, Status::Warning, better, |most| {
            format!("{most} for all programs of a user together")
        });
    }
    let pids = number("/proc/sys/kernel/pid_max");
    least(checks, "kernel.pid_max", pids, FEW_PROCESSES, Status::Warning, 4_194_304, |most| {
        format!("{most} processes")
    });
    let files = getrlimit(Resource::Nofile).maximum;
    checks.push(match files {
        Some(files) if files < FEW_FILES => Check::new(
            "open-files",
            Status::Warning,
            format!(
                "{files}: labs of up to some {} nodes can be built (ulimit -Hn)",
                files / FILES_OF_A_NODE
            ),
        ),
        Some(files) => Check::ok("open-files", files.to_string()),
        None => Check::ok("open-files", "no limit"),
    });
    let processes = getrlimit(Resource::Nproc).maximum;
    checks.push(match processes {
        Some(most) if most < FEW_PROCESSES => {
            Check::new("processes", Status::Warning, format!("{most} of a user (ulimit -Hu)"))
        }
        Some(most) => Check::ok("processes", most.to_string()),
        None => Check::ok("processes", "no limit"),
    });
    if let Some(most) = group_limit() {
        checks.push(if most < FEW_PROCESSES {
            Check::new(
                "pids-cgroup",
                Status::Warning,
                format!("{most} processes in this control group (pids.max)"),
            )
        } else {
            Check::ok("pids-cgroup", format!("{most} processes in this control group"))
        });
    }
}

/// A sysctl that should be at least so high; nothing is told of one that is not there.
fn least(
    checks: &mut Vec<Check>,
    key: &str,
    value: Option<u64>,
    least: u64,
    otherwise: Status,
    better: u64,
    text: impl Fn(u64) -> String,
) {
    let Some(value) = value else { return };
    checks.push(if value < least {
        Check::new(key, otherwise, text(value)).fix(format!("sudo sysctl -w {key}={better}"))
    } else {
        Check::ok(key, value.to_string())
    });
}

/// `pids.max` of this process's control group and those above it (cgroup v2).
fn group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = std::path::Path::new("/sys/fs/cgroup");
    let own = root.join(path.trim_start_matches('/'));
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    groups.filter_map(|group| std::fs::read_to_string(group.join("pids.max")).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_low_is_told_with_what_is_better() {
        let mut checks = Vec::new();
        let text = |most: u64| format!("{most} of them");
        least(&mut checks, "a.b", Some(5), 10, Status::Note, 100, text);
        least(&mut checks, "a.b", Some(10), 10, Status::Note, 100, text);
        least(&mut checks, "a.b", None, 10, Status::Note, 100, text);
        assert_eq!(checks.len(), 2);
        assert_eq!((checks[0].status, &checks[0].fix[0][..]), (Status::Note, "sudo sysctl -w a.b=100"));
        assert_eq!(checks[1].status, Status::Ok);
    }
}
