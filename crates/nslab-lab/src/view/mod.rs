//! Kept views: the mounts, the host name and perhaps the processes that all programs of one node share.
//!
//! ```text
//! /run/nslab/LAB/views/            a private mount of the lab's own: only there can mount namespaces be pinned
//!                     /NODE/mnt    the view's mount namespace, bound here; without it the view is not complete
//!                     /NODE/uts    its UTS namespace
//!                     /NODE/pid    its PID namespace, if it has one, and in `init` the pid of the first process there
//!                     /NODE/shape  what it was made of
//! ```
//! A node that has nothing of its own has no view: every program gets mounts of its own when it is executed. A node
//! that asks for private files, directories or processes has one, made once. It receives what is mounted on the host later,
//! and nothing that is mounted in it is seen elsewhere. It lives as long as its pin or a process in it.
//!
//! Private directories are file systems in memory. Where something is wanted that the host has no place for, the nearest
//! directory above is made anew in memory, with all that was in it bound back; so nothing is ever created on the host.

mod build;
mod copies;
mod files;
pub(crate) mod init;
mod layers;
mod support;

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub(crate) use build::{create, lab_mounts};
pub use copies::{Unreadable, read_copies};
pub(crate) use files::write;
use init::Processes;
pub use init::init_main;
use nslab_kernel::NamespaceFile;
use nslab_kernel::mount;
use nslab_kernel::nsfile::Kind;
use nslab_topology::model;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};
pub(crate) use support::check;

use crate::error::{Context, Error, Result};
use crate::paths::LabPaths;

const MOUNTS: &str = "mnt";
const NAME: &str = "uts";
const SHAPE: &str = "shape";

/// Handles on a node's view, which keep it alive.
#[derive(Debug)]
pub struct View {
    pub(crate) mounts: NamespaceFile,
    pub(crate) name: NamespaceFile,
    pub(crate) processes: Processes,
}

impl View {
    /// The view of a node, if it has one. `views` is the directory of the lab's views, by whatever path.
    pub(crate) fn open(views: &Path, node: &str) -> Result<Option<Self>> {
        let pin = views.join(node).join(MOUNTS);
        let mounts = match NamespaceFile::open(&pin, Kind::Mount) {
            Ok(mounts) => mounts,
            Err(error) => {
                return match error.errno() {
                    Some(Errno::NOENT) => Ok(None),
                    Some(Errno::INVAL) => not_here(&pin, node).map(|()| None),
                    _ => Err(error.into()),
                };
            }
        };
        let name = NamespaceFile::open(&views.join(node).join(NAME), Kind::Uts)?;
        Ok(Some(Self { mounts, name, processes: Processes::open(&views.join(node))? }))
    }

    /// The root directory of the view, from which its files can be reached with `RESOLVE_IN_ROOT` of openat2(2).
    pub(crate) fn root(&self) -> Result<OwnedFd> {
        apart(|| {
            self.mounts.enter()?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, "/", flags, Mode::empty()).context(|| "open the root of a node's view")
        })
    }
}

/// Does something on a thread of its own, which shares neither its root nor its namespaces with others.
fn apart<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let run = || {
        // SAFETY: file descriptors stay shared; the thread's own root and working directory are nobody else's business.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }
            .context(|| "part a thread from the others' working directory")?;
        work()
    };
    std::thread::scope(|scope| {
        scope.spawn(run).join().unwrap_or_else(|_| {
            Err(Error::Io {
                action: "make a node's view".to_owned(),
                source: std::io::Error::other("a thread ended"),
            })
        })
    })
}

/// A pin on which nothing is mounted: left by an interruption, or mounted where this process does not see it, which is
/// an error.
fn not_here(pin: &Path, node: &str) -> Result<()> {
    let made_in = std::fs::read_to_string(pin).context(|| format!("read {}", pin.display()))?;
    let own = NamespaceFile::own(Kind::Mount)?.id()?;
    if made_in.is_empty() || made_in == own {
        return Ok(());
    }
    Err(Error::Machine {
        what: format!("the view of {node} was made in another mount namespace ({made_in}, this is {own})"),
        hint: Some("run nslab where the lab was built: in the same container or session".to_owned()),
    })
}

/// What a view was made of.
#[derive(Debug, Serialize, Deserialize)]
struct Shape {
    /// Its directories and files, without contents.
    view: model::View,
    /// The device numbers of its own file systems. What is on another is the host's, and must not be written to.
    own: Vec<u64>,
}

impl Shape {
    fn read(paths: &LabPaths, node: &str) -> Result<Self> {
        let path = paths.views().join(node).join(SHAPE);
        let text = std::fs::read(&path).context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| Error::Damaged { path, problem: error.to_string() })
    }
}

/// A view as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Nothing that it was made of was unmounted by hand.
    pub is_whole: bool,
    /// What it was made of, with its files as they are now.
    pub view: model::View,
    /// Which of the files are there, and who owns them, in the same order.
    pub owners: Vec<Option<(u32, u32)>>,
}

/// Looks at the view of a node, if there is a whole one.
pub(crate) fn read(paths: &LabPaths, node: &str) -> Result<Option<Found>> {
    let Some(view) = View::open(&paths.views(), node)? else { return Ok(None) };
    let Shape { view: mut shape, own } = Shape::read(paths, node)?;
    let inside = files::Inside { root: view.root()?, own };
    let mut is_whole = shape.directories.iter().all(|directory| inside.has_own(&directory.path));
    is_whole &= matches!(view.processes, Processes::Private(_)) != shape.processes.is_hosts();
    let mut owners = Vec::with_capacity(shape.files.len());
    for file in &mut shape.files {
        is_whole &= inside.has_own(&file.path) || inside.has_own(files::above(&file.path));
        owners.push(inside.read(file)?);
    }
    Ok(Some(Found { is_whole, view: shape, owners }))
}

/// Makes the directory of the views a private mount of its own. Does nothing if it is one already.
fn prepare(paths: &LabPaths) -> Result<()> {
    let views = paths.views();
    crate::pins::make_directory(&views)?;
    if !crate::pins::is_mount_point(&views)? {
        mount::bind(&views, &views)?;
    }
    mount::make_private(&views).map_err(Error::from)
}

/// The first process of a node that has processes of its own.
pub(crate) fn first_process(paths: &LabPaths, node: &str) -> Result<Option<Pid>> {
    Ok(match Processes::open(&paths.views().join(node))? {
        Processes::Private(init) => Some(init.pid),
        Processes::Host | Processes::Ended => None,
    })
}

/// The directories of all views of a lab.
fn directories(paths: &LabPaths) -> Result<Vec<PathBuf>> {
    let views = paths.views();
    let entries = match std::fs::read_dir(&views) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(|| format!("read {}", views.display()))?,
    };
    let path = |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.path());
    entries.map(path).collect::<std::io::Result<_>>().context(|| format!("read {}", views.display()))
}

/// Takes a node's view away, whatever there is of it, and ends its processes if they were its own. Otherwise it lives on in
/// the processes that are in it.
pub(crate) fn remove(paths: &LabPaths, node: &str) -> Result<()> {
    let directory = paths.views().join(node);
    init::end(std::slice::from_ref(&directory))?;
    for pin in [MOUNTS, NAME, init::PROCESSES] {
        release(&directory.join(pin))?;
    }
    match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Lets go of all views of a lab at once, after their own processes were ended.
pub(crate) fn remove_all(paths: &LabPaths) -> Result<()> {
    init::end(&directories(paths)?)?;
    release(&paths.views())
}

/// Unmounts what is mounted at a place, all of it.
pub(crate) fn release(path: &Path) -> Result<()> {
    loop {
        match mount::detach(path) {
            // Once more: it may have been mounted over by an interrupted `up`.
            Ok(()) => {}
            Err(error) if matches!(error.errno(), Some(Errno::INVAL | Errno::NOENT | Errno::NOTDIR)) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
