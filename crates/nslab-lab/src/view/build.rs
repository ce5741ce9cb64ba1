//! Making a view.

use std::path::{Path, PathBuf};
use std::process::Command;

use nslab_kernel::nsfile::Kind;
use nslab_kernel::{Namespace, NamespaceFile, mount};
use nslab_topology::model::{self, Content};
use rustix::thread::UnshareFlags;

use super::init::Starting;
use super::layers::{Ids, Layers};
use super::{MOUNTS, NAME, SHAPE, Shape, apart, prepare, release, remove};
use crate::error::{Context, Error, Result};
use crate::exec::{owner_ids, show_sys};
use crate::paths::LabPaths;

/// Makes the view of a node and pins it. What was left of an earlier one is taken away before; after an error nothing is
/// there. `init` is a command that ends up in [`init_main`](super::init_main), for a view with processes of its own.
pub(crate) fn create(
    paths: &LabPaths,
    node: &str,
    namespace: &Namespace,
    wanted: &model::View,
    init: Option<Command>,
) -> Result<()> {
    prepare(paths)?;
    remove(paths, node)?;
    let result = create_here(paths, node, namespace, wanted, init);
    if result.is_err() {
        // The first error is the one that tells.
        let _ = remove(paths, node);
    }
    result
}

fn create_here(
    paths: &LabPaths,
    node: &str,
    namespace: &Namespace,
    wanted: &model::View,
    init: Option<Command>,
) -> Result<()> {
    let directory = paths.views().join(node);
    crate::pins::make_directory(&directory)?;
    let write = |name: &str, text: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, text).context(|| format!("write {}", path.display()))
    };
    write(NAME, b"")?;
    // Whoever finds nothing mounted here learns where it is.
    let here = NamespaceFile::own(Kind::Mount)?;
    write(MOUNTS, here.id()?.as_bytes())?;
    let ids = |owner: &Option<model::Owner>| owner.as_ref().map(owner_ids).transpose();
    let plan = Plan {
        node,
        namespace,
        hosts: paths.node(node).join("hosts"),
        outer: here.age_number(),
        hidden: lab_mounts(paths),
        scratch: directory.clone(),
        directories: wanted
            .directories
            .iter()
            .map(|one| Ok((one, ids(&one.owner)?)))
            .collect::<Result<_>>()?,
        files: wanted.files.iter().map(|one| Ok((one, ids(&one.owner)?))).collect::<Result<_>>()?,
        init,
    };
    let Made { mounts, name, own, init } = apart(|| plan.carry_out())?;
    let mut shape = Shape { view: wanted.clone(), own };
    shape.view.files.iter_mut().for_each(|file| file.content = Content::Text(String::new()));
    let shape =
        serde_json::to_vec(&shape).map_err(std::io::Error::from).context(|| "write a view's shape")?;
    write(SHAPE, &shape)?;
    if let Some(init) = &init {
        init.pin(&directory)?;
    }
    name.pin(&directory.join(NAME))?;
    // Last: with this it is complete.
    mounts.pin(&directory.join(MOUNTS))?;
    init.map_or(Ok(()), Starting::let_go)
}

/// What was made, and is to be pinned.
struct Made {
    mounts: NamespaceFile,
    name: NamespaceFile,
    /// The device numbers of its own file systems.
    own: Vec<u64>,
    init: Option<Starting>,
}

/// The mounts of all labs. In a view they would only keep namespaces of other labs, and there would be N² of them.
pub(crate) fn lab_mounts(paths: &LabPaths) -> Vec<PathBuf> {
    let state = paths.root().parent().and_then(|state| std::fs::read_dir(state).ok());
    let labs = state.into_iter().flatten().flatten().map(|lab| lab.path());
    labs.flat_map(|lab| ["ns", "views"].map(|mount| lab.join(mount))).collect()
}

/// Moves the calling thread, which goes away soon, into a new mount namespace that counts as younger than `outer`, and a
/// new UTS namespace.
fn separate(outer: Option<u64>) -> Result<()> {
    let action = || "create a mount and a UTS namespace".to_owned();
    let unshare = || {
        // SAFETY: file descriptors stay shared; what changes is what paths and the host's name mean to this thread.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::NEWUTS) }.context(action)
    };
    let is_younger = || -> Result<bool> {
        let number = NamespaceFile::own(Kind::Mount)?.age_number();
        Ok(outer.zip(number).is_none_or(|(outer, number)| number > outer))
    };
    unshare()?;
    if is_younger()? {
        return Ok(());
    }
    // On the CPU on which the outer one was made, numbers only grow.
    let allowed = rustix::thread::sched_getaffinity(None).context(action)?;
    for cpu in (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)) {
        let mut only = rustix::thread::CpuSet::new();
        only.set(cpu);
        rustix::thread::sched_setaffinity(None, &only).context(action)?;
        unshare()?;
        if is_younger()? {
            return Ok(());
        }
    }
    Err(Error::Machine {
        what: "this kernel numbers mount namespaces so that a new one counts as older than the one nslab runs in".to_owned(),
        hint: Some("let nslab use all CPUs (taskset), or run it outside of a container".to_owned()),
    })
}

/// All that is needed to make a view, looked up where all of the machine is in sight.
struct Plan<'a> {
    node: &'a str,
    namespace: &'a Namespace,
    hosts: PathBuf,
    /// The age of the mount namespace in which the view is pinned.
    outer: Option<u64>,
    hidden: Vec<PathBuf>,
    scratch: PathBuf,
    directories: Vec<(&'a model::PrivateDirectory, Ids)>,
    files: Vec<(&'a model::File, Ids)>,
    /// How the first of its own processes is started, if it has such.
    init: Option<Command>,
}

impl Plan<'_> {
    /// Moves the calling thread into new namespaces and makes them what is wanted.
    fn carry_out(mut self) -> Result<Made> {
        // /sys shows the network namespace in which it was mounted.
        self.namespace.move_thread()?;
        separate(self.outer)?;
        mount::make_receiving(Path::new("/"))?;
        for path in &self.hidden {
            release(path)?;
        }
        rustix::system::sethostname(self.node.as_bytes())
            .context(|| format!("set the host name {}", self.node))?;
        match mount::bind(&self.hosts, Path::new("/etc/hosts")) {
            Err(error) if error.errno() != Some(rustix::io::Errno::NOENT) => return Err(error.into()),
            // This system has no /etc/hosts, so nothing would read it.
            _ => {}
        }
        show_sys();
        let mut layers = Layers::new(&self.scratch)?;
        // Outer ones first, whatever the order in the file.
        self.directories.sort_by_key(|(directory, _)| &directory.path);
        for (directory, ids) in self.directories {
            layers.directory(directory, ids)?;
        }
        for (file, ids) in self.files {
            layers.file(file, ids)?;
        }
        let own = layers.finish()?;
        Ok(Made {
            mounts: NamespaceFile::own(Kind::Mount)?,
            name: NamespaceFile::own(Kind::Uts)?,
            own,
            init: self.init.map(Starting::new).transpose()?,
        })
    }
}
