//! Containers whose engine cannot be asked, found among the processes: by what engines and runtimes keep in files, by the id in
//! a control group's path, or by the host name.

use std::collections::BTreeMap;
use std::path::Path;

use nslab_containers::Containers;
use nslab_kernel::processes::{Depth, list};
use nslab_kernel::{Namespace, NamespaceId};
use rustix::process::Pid;

use super::{FindError, of_process};

/// The namespace of the container `name`: its name, its id or the first 12 characters or more of that, or its host name. `None` if
/// no process is in one; an error if processes in several namespaces are.
pub(super) fn find(name: &str) -> Result<Option<Namespace>, FindError> {
    let own = Namespace::current()?.id()?;
    let mut containers = Containers::default();
    let mut is_known = |pid| containers.of(pid).is_some_and(|container| container.answers_to(name));
    let mut found: BTreeMap<NamespaceId, Pid> = BTreeMap::new();
    for (pid, id) in list(Depth::Processes, |id| id != own)? {
        let process = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
        if !found.contains_key(&id) && (is_known(pid) || is_called(&process, name)) {
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
