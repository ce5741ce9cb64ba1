//! The container that a process is in, by its control group and by what the engines keep in files.
//!
//! Engines are not asked: a snapshot is not to wait for one that hangs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use serde_json::Value;

use crate::Name;

/// The characters of a container's id.
const ID_LEN: usize = 64;
/// What an engine keeps of a container is far below that.
const LONGEST: u64 = 16 * 1024 * 1024;

/// What was found out about containers so far.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    known: HashMap<String, Name>,
}

impl Containers {
    /// The container of a process, if it is in one.
    pub(crate) fn of(&mut self, pid: Pid) -> Option<Name> {
        let path = format!("/proc/{}/cgroup", pid.as_raw_nonzero());
        let groups = std::fs::read_to_string(path).ok()?;
        let Group { id, engine } = groups.lines().find_map(Group::parse)?;
        let name = self.known.entry(id.clone()).or_insert_with(|| {
            let name = name_of(&id).unwrap_or_else(|| id.chars().take(12).collect());
            Name::Container { name, id, engine: engine.to_owned() }
        });
        Some(name.clone())
    }
}

/// A container's control group.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    id: String,
    engine: &'static str,
}

impl Group {
    /// Reads a line of `/proc/PID/cgroup`: `docker-ID.scope`, `libpod-ID.scope`, `crio-ID.scope`,
    /// `cri-containerd-ID.scope`, `/docker/ID`, `lxc.payload.NAME`.
    fn parse(line: &str) -> Option<Self> {
        let mut above = "";
        for part in line.split('/') {
            if let Some(name) = part.strip_prefix("lxc.payload.") {
                return Some(Self { id: name.to_owned(), engine: "lxc" });
            }
            let bare = part.strip_suffix(".scope").unwrap_or(part);
            let (kind, id) = bare.rsplit_once(['-', ':']).unwrap_or((above, bare));
            if id.len() == ID_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let engine = match kind {
                    "docker" => "docker",
                    "libpod" | "libpod_parent" => "podman",
                    "crio" => "cri-o",
                    _ if kind.ends_with("containerd") || kind.starts_with("kubepods") => "containerd",
                    _ => "container",
                };
                return Some(Self { id: id.to_owned(), engine });
            }
            above = part;
        }
        None
    }
}

/// What the engine calls a container.
fn name_of(id: &str) -> Option<String> {
    docker(id).or_else(|| podman(id)).or_else(|| kubernetes(id))
}

fn read(path: &Path) -> Option<Value> {
    if std::fs::metadata(path).ok()?.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn docker(id: &str) -> Option<String> {
    let config = read(&Path::new("/var/lib/docker/containers").join(id).join("config.v2.json"))?;
    Some(config.get("Name")?.as_str()?.trim_start_matches('/').to_owned())
}

fn podman(id: &str) -> Option<String> {
    let mut stores = vec![PathBuf::from("/var/lib/containers/storage")];
    stores.extend(
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share/containers/storage")),
    );
    stores.iter().find_map(|store| {
        let all = read(&store.join("overlay-containers/containers.json"))?;
        let one = all.as_array()?.iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id))?;
        Some(one.get("names")?.get(0)?.as_str()?.to_owned())
    })
}

/// A pod as `NAMESPACE/POD`, from what containerd or CRI-O hand to the runtime.
fn kubernetes(id: &str) -> Option<String> {
    let bundles = [
        format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
        format!("/run/containers/storage/overlay-containers/{id}/userdata/config.json"),
    ];
    let config = bundles.iter().find_map(|path| read(Path::new(path)))?;
    let annotations = config.get("annotations")?;
    let annotation = |keys: [&str; 2]| keys.iter().find_map(|key| annotations.get(*key)?.as_str());
    let pod = annotation(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"])?;
    let space = annotation(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"])?;
    Some(format!("{space}/{pod}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups() {
        let id = "0123456789abcdef".repeat(4);
        for (line, engine) in [
            (format!("0::/system.slice/docker-{id}.scope"), "docker"),
            (format!("12:cpu:/docker/{id}"), "docker"),
            (format!("0::/machine.slice/libpod-{id}.scope/container"), "podman"),
            (format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"), "containerd"),
            (format!("0::/kubepods-besteffort-pod1.slice:cri-containerd:{id}"), "containerd"),
            (format!("0::/kubepods.slice/crio-{id}.scope"), "cri-o"),
        ] {
            assert_eq!(Group::parse(&line), Some(Group { id: id.clone(), engine }), "{line}");
        }
        let lxc = Group { id: "web".to_owned(), engine: "lxc" };
        assert_eq!(Group::parse("0::/lxc.payload.web/init.scope"), Some(lxc));
        assert_eq!(Group::parse("0::/user.slice/user-1000.slice/session-2.scope"), None);
        assert_eq!(Group::parse(""), None);
    }
}
