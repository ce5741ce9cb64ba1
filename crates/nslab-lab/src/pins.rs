//! Pins: the files that keep a lab's namespaces alive, and the names under which `ip netns` finds them.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nslab_kernel::{Namespace, mount};

use crate::error::{Context, Error, Result};
use crate::paths::LabPaths;

/// Makes the directory of the pins a mount of its own. Does nothing if it is one already.
///
/// First private, so that pins do not spread to where `/run` does; then shared by itself: a mount namespace that is made
/// while the lab runs (a shell's, a system service's) gets copies of the pins, and must lose them when the lab goes.
pub fn prepare(paths: &LabPaths) -> Result<()> {
    let pins = paths.pins();
    make_directory(&pins)?;
    if !is_mount_point(&pins)? {
        mount::bind(&pins, &pins)?;
    }
    // Always: an `up` may have been interrupted between the two.
    mount::make_private(&pins)?;
    mount::make_shared(&pins)?;
    prepare_names(paths)
}

/// Makes the directory for `ip netns`, and notes that we did.
fn prepare_names(paths: &LabPaths) -> Result<()> {
    let directory = paths.netns_directory();
    if directory.is_dir() {
        return Ok(());
    }
    let note = paths.made_netns();
    std::fs::write(&note, []).context(|| format!("write {}", note.display()))?;
    make_directory(directory)
}

/// Pins the namespace of `node`, which has none, and gives it its name for `ip netns`. What an interrupted `up` left
/// of a pin is used; anything else that stands at the name's place is an error (`EEXIST`).
pub fn pin(paths: &LabPaths, node: &str, name: &str, namespace: &Namespace) -> Result<()> {
    hold(paths, node, namespace)?;
    link(paths, node, name)
}

/// As [`pin`], without a name for `ip netns`.
pub fn hold(paths: &LabPaths, node: &str, namespace: &Namespace) -> Result<()> {
    let pin = paths.pin(node);
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o444)
        .open(&pin)
        .context(|| format!("create {}", pin.display()))?;
    Ok(namespace.pin(&pin)?)
}

fn link(paths: &LabPaths, node: &str, name: &str) -> Result<()> {
    let (pin, link) = (paths.pin(node), paths.netns_link(name));
    match std::os::unix::fs::symlink(&pin, &link) {
        Err(error)
            if error.kind() == ErrorKind::AlreadyExists
                && std::fs::read_link(&link).is_ok_and(|target| target == pin) =>
        {
            Ok(())
        }
        // The last of the other labs went away and took the directory along.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            prepare_names(paths)?;
            std::os::unix::fs::symlink(&pin, &link).context(|| format!("create {}", link.display()))
        }
        result => result.context(|| format!("create {}", link.display())),
    }
}

/// Takes a node's pin and its name (which may be empty, for one that was [held](hold)) away, whatever there is of them.
/// What is not the lab's stays.
pub fn unpin(paths: &LabPaths, node: &str, name: &str) -> Result<()> {
    let pin = paths.pin(node);
    let link = paths.netns_link(name);
    if !name.is_empty() && std::fs::read_link(&link).is_ok_and(|target| target == pin) {
        remove_file(&link)?;
    }
    match mount::detach(&pin) {
        Ok(()) => {}
        // EINVAL: nothing is mounted there.
        Err(error) if matches!(error.errno(), Some(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT)) => {}
        Err(error) => return Err(error.into()),
    }
    remove_file(&pin)
}

/// Takes all pins and names of the lab away at once, telling `progress` of each. What is not the lab's stays.
pub fn unpin_all(paths: &LabPaths, progress: &dyn Fn()) -> Result<()> {
    for (link, _) in names(paths)? {
        remove_file(&link)?;
        progress();
    }
    let pins = paths.pins();
    loop {
        match mount::detach(&pins) {
            // Once more: it may have been mounted over by an interrupted `up`.
            Ok(()) => progress(),
            Err(error)
                if matches!(error.errno(), Some(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT)) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The nodes and switches that have a pin.
pub fn list(paths: &LabPaths) -> Result<Vec<String>> {
    let pins = paths.pins();
    let entries = match std::fs::read_dir(&pins) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(|| format!("read {}", pins.display())),
    };
    let mut nodes = Vec::new();
    for entry in entries {
        let entry = entry.context(|| format!("read {}", pins.display()))?;
        nodes.extend(entry.file_name().into_string().ok());
    }
    Ok(nodes)
}

/// The names under which `ip netns` finds the lab's namespaces, by node.
pub fn names_by_node(paths: &LabPaths) -> Result<HashMap<String, String>> {
    let text = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    Ok(names(paths)?.iter().filter_map(|(link, target)| Some((text(target)?, text(link)?))).collect())
}

/// Gives the namespace of `node` another name for `ip netns`.
pub fn rename(paths: &LabPaths, node: &str, from: &str, to: &str) -> Result<()> {
    link(paths, node, to)?;
    let old = paths.netns_link(from);
    if from != to && std::fs::read_link(&old).is_ok_and(|target| target == paths.pin(node)) {
        remove_file(&old)?;
    }
    Ok(())
}

/// All names for `ip netns` that lead to pins of the lab, with what they lead to.
fn names(paths: &LabPaths) -> Result<Vec<(std::path::PathBuf, std::path::PathBuf)>> {
    let directory = paths.netns_directory();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(|| format!("read {}", directory.display())),
    };
    let pins = paths.pins();
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context(|| format!("read {}", directory.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_symlink())
            && let Ok(target) = std::fs::read_link(entry.path())
            && target.parent() == Some(&pins)
        {
            names.push((entry.path(), target));
        }
    }
    Ok(names)
}

/// What stands where a name for `ip netns` is to go, unless it is the lab's own: a sentence's part.
pub fn foreign_holder(paths: &LabPaths, node: &str, name: &str) -> Result<Option<String>> {
    let link = paths.netns_link(name);
    let metadata = match std::fs::symlink_metadata(&link) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(|| format!("look at {}", link.display())),
    };
    if !metadata.is_symlink() {
        return Ok(Some(match Namespace::open(&link) {
            Ok(namespace) => format!("somebody else made that namespace ({})", namespace.id()?),
            Err(_) => "it is not a namespace".to_owned(),
        }));
    }
    let target = std::fs::read_link(&link).context(|| format!("read {}", link.display()))?;
    if target == paths.pin(node) {
        return Ok(None);
    }
    let owner = target
        .parent()
        .filter(|directory| {
            directory.ends_with("ns") && directory.parent().and_then(Path::parent) == paths.root().parent()
        })
        .and_then(Path::parent)
        .and_then(Path::file_name);
    Ok(Some(match owner {
        Some(lab) => format!("it belongs to lab {:?}", lab.to_string_lossy()),
        None => format!("it is a symbolic link to {}", target.display()),
    }))
}

/// Makes a directory that everybody may read, with those above it, unless it is there.
pub fn make_directory(path: &Path) -> Result<()> {
    // The last of the other labs may take the directory above away between the two steps (`rmdir` of what is empty).
    // It is there a moment later, unless there is nothing to make it in.
    const TRIES: usize = 1000;
    let make = || std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    let mut made = make();
    for _ in 1..TRIES {
        match &made {
            Err(error) if error.kind() == ErrorKind::NotFound => made = make(),
            _ => break,
        }
    }
    made.map_err(|source| Error::Io { action: format!("create the directory {}", path.display()), source })
}

fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Whether something is mounted exactly at `path` (`STATX_ATTR_MOUNT_ROOT`, kernel 5.8).
pub(crate) fn is_mount_point(path: &Path) -> Result<bool> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let stat = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
        .context(|| format!("look at {}", path.display()))?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::make_directory;

    #[test]
    fn a_directory_is_made_while_another_lab_takes_the_one_above_away() {
        let scratch = tempfile::tempdir().unwrap();
        let all = scratch.path().join("nslab");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = std::fs::remove_dir(&all);
                }
            });
            let made = (0..5000).try_for_each(|_| {
                let lab = all.join("lab");
                make_directory(&lab)?;
                std::fs::remove_dir(&lab).unwrap();
                Ok::<_, crate::Error>(())
            });
            done.store(true, Ordering::Relaxed);
            made.unwrap();
        });
    }
}
