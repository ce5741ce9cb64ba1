//! The first root of the machine: busybox, the modules that reach the host's files, and `init.sh`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::cpio::Archive;
use super::kernel::Kernel;
use crate::error::Error;

/// What must be loaded before the host's files can be seen, where it is not built in.
const MODULES: [&str; 8] = [
    "virtio",
    "virtio_ring",
    "virtio_pci",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_console",
    "virtiofs",
    "overlay",
];

/// The archive for a kernel, which will run `agent` with `job`.
pub(crate) fn build(kernel: &Kernel, agent: &Path, job: &Path) -> Result<Vec<u8>, Error> {
    let read = |path: &Path| std::fs::read(path).map_err(Error::file(path));
    let directory = kernel.modules.join(&kernel.release);
    let index = directory.join("modules.dep");
    let dependencies = std::fs::read_to_string(&index).map_err(Error::file(&index))?;
    let wanted = needed(&dependencies);

    let mut archive = Archive::default();
    for directory in ["bin", "sbin", "proc", "sys", "dev", "host", "upper", "root", "lib", "lib/modules"] {
        archive.directory(directory);
    }
    archive.file("bin/busybox", &read(&kernel.busybox)?);
    archive.file("sbin/modprobe", include_bytes!("modprobe.sh"));
    archive.file("init", include_bytes!("init.sh"));
    let settings = [("MODULES", &*kernel.modules), ("AGENT", agent), ("JOB", job)];
    let mut settings = settings.map(|(name, path)| setting(name, path)).concat();
    let hidden: Vec<String> =
        kernel.without.iter().map(|file| format!("{}/{}", kernel.release, file.display())).collect();
    settings.push_str(&setting("WITHOUT", Path::new(&hidden.join(" "))));
    archive.file("settings", settings.as_bytes());
    let home = format!("lib/modules/{}", kernel.release);
    archive.directory(&home);
    let mut made = BTreeSet::new();
    for path in &wanted.files {
        for parent in Path::new(path).ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if !parent.as_os_str().is_empty() && made.insert(parent.to_owned()) {
                archive.directory(&format!("{home}/{}", parent.display()));
            }
        }
        archive.file(&format!("{home}/{path}"), &read(&directory.join(path))?);
    }
    archive.file(&format!("{home}/modules.dep"), wanted.index.as_bytes());
    Ok(archive.finish())
}

/// A variable of a shell, quoted.
fn setting(name: &str, path: &Path) -> String {
    format!("{name}='{}'\n", path.display().to_string().replace('\'', r"'\''"))
}

/// Part of the modules: their files, and the lines of `modules.dep` about them.
#[derive(Debug, PartialEq, Eq)]
struct Needed {
    files: BTreeSet<String>,
    index: String,
}

fn needed(dependencies: &str) -> Needed {
    let mut needed = Needed { files: BTreeSet::new(), index: String::new() };
    for line in dependencies.lines() {
        let Some((file, others)) = line.split_once(':') else { continue };
        let name = file.rsplit('/').next().and_then(|name| name.strip_suffix(".ko")).unwrap_or_default();
        if MODULES.contains(&name.replace('-', "_").as_str()) {
            needed.files.insert(file.to_owned());
            needed.files.extend(others.split_whitespace().map(str::to_owned));
            let _ = writeln!(needed.index, "{line}");
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{needed, setting};

    #[test]
    fn a_module_comes_with_what_it_needs() {
        let found = needed(
            "kernel/fs/overlayfs/overlay.ko:\nkernel/fs/xfs/xfs.ko: kernel/lib/crc.ko\n\
             kernel/fs/fuse/virtiofs.ko: kernel/fs/fuse/fuse.ko kernel/drivers/virtio/virtio.ko\n",
        );
        let files: Vec<&str> = found.files.iter().map(String::as_str).collect();
        assert_eq!(
            files,
            [
                "kernel/drivers/virtio/virtio.ko",
                "kernel/fs/fuse/fuse.ko",
                "kernel/fs/fuse/virtiofs.ko",
                "kernel/fs/overlayfs/overlay.ko"
            ]
        );
        assert_eq!(found.index.lines().count(), 2);
    }

    #[test]
    fn paths_are_quoted() {
        assert_eq!(setting("JOB", Path::new("/a b/it's")), "JOB='/a b/it'\\''s'\n");
    }
}
