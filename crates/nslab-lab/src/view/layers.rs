//! What is laid over the host's directories in a view that is being made. The calling thread is in it already.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nslab_kernel::mount;
use nslab_topology::model;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use super::files::fill;
use crate::error::{Context, Error, Result};

/// User and group, if they are to be others than root.
pub(super) type Ids = Option<(u32, u32)>;

/// The directory through which files are placed that are bound over others.
const STORE: &str = "store";
/// What is the kernel's, however the path leads there.
const KERNELS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The file systems that a view has of its own so far.
#[derive(Debug)]
pub(super) struct Layers {
    /// Their device numbers.
    own: Vec<u64>,
    /// A file system, mounted out of the way for a while, whose files are bound over those of the host.
    store: OwnedFd,
    /// How many it has.
    stored: usize,
}

impl Layers {
    /// Begins; `scratch` is a directory in which a mount can be made.
    pub(super) fn new(scratch: &Path) -> Result<Self> {
        let scratch = scratch.join(STORE);
        make_directory(&scratch)?;
        mount::tmpfs(&scratch)?;
        let action = || format!("open {}", scratch.display());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // By its descriptor it can be reached even when a private directory hides it.
        let store = rustix::fs::openat(CWD, &scratch, flags, Mode::empty()).context(action)?;
        let device = rustix::fs::fstat(&store).context(action)?.st_dev;
        Ok(Self { own: vec![device], store, stored: 0 })
    }

    /// Makes a directory private.
    pub(super) fn directory(&mut self, wanted: &model::PrivateDirectory, ids: Ids) -> Result<()> {
        let path = Path::new(&wanted.path);
        let mode = match look(path)? {
            Some(there) if !there.is_dir() => {
                return Err(machine(format!("{} is not a directory on this machine", wanted.path)));
            }
            // Two paths may lead to one directory, as /run and /var/run do.
            Some(there) if self.is_own(&there) => wanted.mode,
            Some(there) => {
                let real = resolve(path)?;
                self.mount(&real, &there)?;
                wanted.mode
            }
            None => {
                self.make_room(path)?;
                make_directory(path)?;
                wanted.mode
            }
        };
        set(path, mode, ids)
    }

    /// Puts a file there: over the one that the host has, or beside what it has.
    pub(super) fn file(&mut self, wanted: &model::File, ids: Ids) -> Result<()> {
        let path = Path::new(&wanted.path);
        let action = || format!("write {} of the node", wanted.path);
        match look(path)? {
            Some(there) if there.is_dir() => {
                Err(machine(format!("{} is a directory on this machine", wanted.path)))
            }
            Some(there) => {
                let real = resolve(path)?;
                let above = real.parent().unwrap_or(Path::new("/"));
                if !self.is_own(&there) && self.is_own(&std::fs::metadata(above).context(action)?) {
                    // It was bound there when its directory was made anew; below it is an empty file.
                    mount::detach(&real)?;
                } else if !self.is_own(&there) {
                    return self.bind_over(&real, wanted, ids);
                }
                let opened = OpenOptions::new().write(true).truncate(true).open(&real).context(action)?;
                fill(opened, wanted, ids).context(action)
            }
            None => {
                self.make_room(path)?;
                fill(create(path)?, wanted, ids).context(action)
            }
        }
    }

    /// Takes away what was needed only while the view was made; gives the device numbers of what is the view's own.
    pub(super) fn finish(self) -> Result<Vec<u64>> {
        mount::detach(&self.in_store("."))?;
        Ok(self.own)
    }

    fn is_own(&self, there: &Metadata) -> bool {
        self.own.contains(&there.dev())
    }

    /// Sees to it that something can be created at `path` without the host seeing it.
    fn make_room(&mut self, path: &Path) -> Result<()> {
        let above = path.parent().unwrap_or(Path::new("/"));
        match look(above)? {
            Some(there) if !there.is_dir() => {
                return Err(machine(format!("{} is not a directory on this machine", above.display())));
            }
            Some(there) if self.is_own(&there) => {}
            Some(there) => self.make_anew(above, &there)?,
            None => {
                self.make_room(above)?;
                make_directory(above)?;
            }
        }
        // A symbolic link that leads nowhere, as into a directory that has just been made private.
        match std::fs::symlink_metadata(path) {
            Ok(_) => std::fs::remove_file(path).context(|| format!("replace the link {}", path.display())),
            Err(_) => Ok(()),
        }
    }

    /// Lays an empty file system over a directory, with the same owner and permissions.
    fn mount(&mut self, real: &Path, there: &Metadata) -> Result<()> {
        if let Some(kernels) = KERNELS.iter().find(|kernels| real.starts_with(kernels)) {
            return Err(machine(format!("{} is in {kernels}, which is the kernel's", real.display())));
        }
        if real == Path::new("/") {
            return Err(machine("the root directory cannot be made a node's own".to_owned()));
        }
        mount::tmpfs(real)?;
        self.own.push(std::fs::metadata(real).context(|| format!("look at {}", real.display()))?.dev());
        // Those of a user who does not exist in this user namespace cannot be given; root's will do.
        let _ = std::os::unix::fs::chown(real, Some(there.uid()), Some(there.gid()));
        set(real, Some(there.mode() & 0o7777), None)
    }

    /// Makes a directory anew: one in memory, with everything of the old one bound to its place.
    fn make_anew(&mut self, path: &Path, there: &Metadata) -> Result<()> {
        let real = resolve(path)?;
        if real == Path::new("/") {
            return Err(machine(format!(
                "{} is not there on this machine, and nothing can be added to the root directory",
                path.display()
            )));
        }
        let action = || format!("make {} anew for the node", real.display());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let old = rustix::fs::openat(CWD, &real, flags, Mode::empty()).context(action)?;
        let entries: Vec<_> = std::fs::read_dir(&real)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))))
                    .collect()
            })
            .context(action)?;
        self.mount(&real, there)?;
        for (name, kind) in entries {
            let place = real.join(&name);
            if kind.is_symlink() {
                let target = rustix::fs::readlinkat(&old, &name, Vec::new()).context(action)?;
                let target: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(target.as_bytes());
                symlink(target, &place).context(action)?;
                continue;
            }
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_RECURSIVE
                | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
                | OpenTreeFlags::AT_NO_AUTOMOUNT;
            let tree = match rustix::mount::open_tree(&old, &name, flags) {
                Ok(tree) => tree,
                // It went away meanwhile.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(errno) => return Err(errno).context(action),
            };
            if kind.is_dir() {
                make_directory(&place)?;
            } else {
                drop(create(&place)?);
            }
            rustix::mount::move_mount(&tree, "", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                .context(action)?;
        }
        Ok(())
    }

    /// Shows a file over another.
    fn bind_over(&mut self, real: &Path, wanted: &model::File, ids: Ids) -> Result<()> {
        let action = || format!("show {} to the node", wanted.path);
        let source = self.in_store(&self.stored.to_string());
        self.stored += 1;
        fill(create(&source)?, wanted, ids).context(action)?;
        mount::bind(&source, real).map_err(Error::from)
    }

    fn in_store(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.store.as_raw_fd()))
    }
}

/// What is there, links followed; nothing is no error.
fn look(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(machine(format!(
            "{} leads through something that is not a directory on this machine",
            path.display()
        ))),
        // An ordinary user's root may not look into what is others'.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Error::Machine {
            what: format!("{} cannot be looked at: permission denied", path.display()),
            hint: path.parent().map(|above| {
                let above = above.display();
                format!("`private: [{above}]` gives the node a {above} of its own, without what the machine has there")
            }),
        }),
        Err(error) => Err(error).context(|| format!("look at {}", path.display())),
    }
}

fn resolve(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).context(|| format!("look at {}", path.display()))
}

fn make_directory(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).context(|| format!("create the directory {}", path.display()))
        }
        _ => set(path, Some(0o755), None),
    }
}

fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .context(|| format!("create {}", path.display()))
}

/// Sets permissions (whatever the umask) and owner.
fn set(path: &Path, mode: Option<u32>, ids: Ids) -> Result<()> {
    if let Some((uid, gid)) = ids {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .context(|| format!("give {} to another owner", path.display()))?;
    }
    match mode {
        Some(mode) => std::fs::set_permissions(path, PermissionsExt::from_mode(mode))
            .context(|| format!("set the permissions of {}", path.display())),
        None => Ok(()),
    }
}

fn machine(what: String) -> Error {
    Error::Machine { what, hint: Some("choose another path in the lab file".to_owned()) }
}
