//! Containers whose engine cannot be asked, found among the processes: by the id in a control group's path, or by the
//! host name.

use std::collections::BTreeMap;
use std::path::Path;

use nslab_kernel::processes::{Depth, list};
use nslab_kernel::{Namespace, NamespaceId};
use rustix::process::Pid;

use super::{FindError, of_process};

/// The fewest characters of an id, as engines show it.
const SHORT_ID: usize = 12;

/// The namespace of the container `name`: its id or the first 12 characters or more of it, or its host name. `None` if
/// no process is in one; an error if processes in several namespaces are.
pub(super) fn find(name: &str) -> Result<Option<Namespace>, FindError> {
    let own = Namespace::current()?.id()?;
    let mut found: BTreeMap<NamespaceId, Pid> = BTreeMap::new();
    for (pid, id) in list(Depth::Processes, |id| id != own)? {
        let process = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
        if !found.contains_key(&id) && (is_in_group(&process, name) || is_called(&process, name)) {
            found.insert(id, pid);
        }
    }
    match found.values().collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [&pid] => Ok(Some(of_process(pid)?)),
        ref several => Err(FindError::missing(
            format!("{} network namespaces could be container {name:?}", several.len()),
            "name its process instead, with `pid:`",
        )),
    }
}

fn is_in_group(process: &Path, id: &str) -> bool {
    let is_id = id.len() >= SHORT_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id
        && std::fs::read_to_string(process.join("cgroup"))
            .is_ok_and(|groups| groups.lines().any(|line| names_container(line, id)))
}

/// Whether a line of `/proc/PID/cgroup` leads through a container's group: `docker-ID.scope`, `libpod-ID.scope`,
/// `crio-ID`, `cri-containerd-ID.scope`, or the bare id.
fn names_container(line: &str, id: &str) -> bool {
    line.split('/').any(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let part = part.rsplit(['-', ':']).next().unwrap_or(part);
        part.len() == 64 && part.starts_with(id)
    })
}

/// Whether a process that has files of its own is on a machine of this name.
fn is_called(process: &Path, name: &str) -> bool {
    let hostname = process.join("root/etc/hostname");
    let differs = |one: &Path, other: &Path| match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => {
            use std::os::unix::fs::MetadataExt;
            (one.dev(), one.ino()) != (other.dev(), other.ino())
        }
        _ => false,
    };
    differs(&process.join("ns/mnt"), Path::new("/proc/self/ns/mnt"))
        && differs(&hostname, Path::new("/etc/hostname"))
        && std::fs::read_to_string(hostname).is_ok_and(|text| text.trim() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_containers() {
        let id = "0123456789ab".to_owned() + &"c".repeat(52);
        for line in [
            format!("0::/system.slice/docker-{id}.scope"),
            format!("0::/docker/{id}"),
            format!("0::/user.slice/libpod-{id}.scope/container"),
            format!("0::/kubepods.slice/cri-containerd:{id}"),
        ] {
            assert!(names_container(&line, "0123456789ab"), "{line}");
            assert!(!names_container(&line, "123456789abc"), "{line}");
        }
        assert!(!names_container("0::/init.scope", "0123456789ab"));
    }
}
