//! Which container a process is in, by its control group and by what engines and runtimes keep in files.
//!
//! Engines are not asked: whoever looks at a host is not to wait for one that hangs.

mod engines;
mod group;
mod runtimes;

use std::collections::HashMap;
use std::path::Path;

use rustix::process::Pid;
use serde_json::Value;

use self::engines::name_of;
use self::group::Group;
use self::runtimes::Runtimes;

/// What an engine keeps of a container is far below that, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;
/// The fewest characters of a container's id that are one, as engines show it.
const SHORT_ID: usize = 12;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// As its engine calls it; with Kubernetes `NAMESPACE/POD`; without an engine its id.
    pub name: String,
    /// Its id.
    pub id: String,
    /// What runs it: `docker`, `podman`, `containerd`, `cri-o`, `lxc`; without an engine the runtime, `runc` or `crun`.
    pub engine: &'static str,
}

impl Container {
    /// Whether somebody who says `text` means it: by its name, its id, or at least the first 12 characters of that.
    pub fn answers_to(&self, text: &str) -> bool {
        text == self.name || text == self.id || text.len() >= SHORT_ID && self.id.starts_with(text)
    }
}

/// The containers of this host, as far as they were found out about.
#[derive(Debug, Default)]
pub struct Containers {
    known: HashMap<String, Container>,
    runtimes: Option<Runtimes>,
}

impl Containers {
    /// The container of a process, if it is in one that can be seen: the processes of others may not be readable.
    pub fn of(&mut self, pid: Pid) -> Option<Container> {
        let path = format!("/proc/{}/cgroup", pid.as_raw_nonzero());
        let groups = std::fs::read_to_string(path).unwrap_or_default();
        let group = groups.lines().find_map(Group::parse);
        let runtimes = self.runtimes.get_or_insert_with(Runtimes::read);
        let task = match &group {
            Some(group) => runtimes.of_id(&group.id),
            None => runtimes.of_pid(pid),
        };
        let id = group.as_ref().map(|group| group.id.clone()).or_else(|| Some(task?.id.clone()))?;
        if let Some(known) = self.known.get(&id) {
            return Some(known.clone());
        }
        let bundle = task.and_then(|task| task.bundle.as_deref());
        let named = name_of(&id, bundle);
        let engine: &'static str = match (&group, &named, task) {
            (Some(group), ..) => group.engine,
            (None, Some(named), _) => named.1,
            (None, None, Some(task)) => task.runtime,
            (None, None, None) => return None,
        };
        // Without an engine the id is what somebody called it.
        let own = |id: &str| {
            if group::is_id(id) { id.chars().take(SHORT_ID).collect() } else { id.to_owned() }
        };
        let name = named.map_or_else(|| own(&id), |(name, _)| name);
        let container = Container { name, id: id.clone(), engine };
        self.known.insert(id, container.clone());
        Some(container)
    }
}

fn read(path: &Path) -> Option<Value> {
    if std::fs::metadata(path).ok()?.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
