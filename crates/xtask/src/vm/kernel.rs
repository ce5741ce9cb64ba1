//! Debian's kernels: found, fetched, unpacked. Nothing is installed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::name::Wanted;
use crate::error::{Error, output};

/// A kernel ready to be booted.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// What `uname -r` says in it.
    pub(crate) release: String,
    /// What the machine boots.
    pub(crate) image: PathBuf,
    /// The directory that stands for `/lib/modules`.
    pub(crate) modules: PathBuf,
    /// A statically linked busybox, for the first steps in it.
    pub(crate) busybox: PathBuf,
    /// Whether it is one of Debian's, so that what it should be able to do is known.
    pub(crate) debian: bool,
    /// Files of modules that it shall not find, below the directory of its release.
    pub(crate) without: Vec<PathBuf>,
    /// Options on its command line, besides those that every machine gets.
    pub(crate) boot: Vec<String>,
}

impl Kernel {
    /// The kernel without the modules of these names.
    pub(crate) fn hide(self, names: &[String]) -> Result<Self, Error> {
        let directory = self.modules.join(&self.release);
        let index = directory.join("modules.dep");
        let dependencies = std::fs::read_to_string(&index).map_err(Error::file(&index))?;
        let mut without = Vec::new();
        for name in names {
            let found = module(&dependencies, name).ok_or_else(|| {
                Error::Usage(format!("{name}: {} has no such module; it may be built in", self.release))
            })?;
            without.push(found.into());
        }
        Ok(Self { without, ..self })
    }
}

/// The file of a module, by `modules.dep`.
fn module<'a>(dependencies: &'a str, name: &str) -> Option<&'a str> {
    let files = dependencies.lines().filter_map(|line| Some(line.split_once(':')?.0));
    files.into_iter().find(|file| {
        let stem = file.rsplit('/').next().and_then(|name| name.strip_suffix(".ko")).unwrap_or_default();
        stem.replace('-', "_") == name.replace('-', "_")
    })
}

/// Where unpacked kernels are kept.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// The store in `directory`, which is made.
    pub(crate) fn open(directory: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(directory).map_err(Error::file(directory))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The kernel of that name or, if it ends in `.deb`, of that package.
    pub(crate) fn kernel(&self, name: &str) -> Result<Kernel, Error> {
        let busybox = self.busybox()?;
        if Path::new(name).extension() == Some(OsStr::new("deb")) {
            let directory = self.directory.join("package");
            remove(&directory)?;
            unpack(Path::new(name), &directory, &busybox)?;
            return ready(&directory, &busybox, false);
        }
        let Some(wanted) = Wanted::parse(name) else {
            return Err(Error::Usage(format!(
                "{name}: no kernel's name; examples are newest-cloud, 6.12, 6.1-cloud, 6.1.0-56-amd64, linux-image.deb"
            )));
        };
        let here = self.unpacked()?;
        let offered = offered();
        let mut releases: BTreeSet<&str> = here.iter().map(String::as_str).collect();
        releases.extend(offered.iter().filter_map(|package| package.strip_prefix("linux-image-")));
        let Some(release) = wanted.choose(releases.iter().copied()) else {
            let known = kinds(&releases);
            return Err(Error::Usage(if known.is_empty() {
                format!(
                    "{name}: apt knows no kernel at all: run apt-get update, on Debian or what descends from it"
                )
            } else {
                format!("{name}: apt knows no such kernel; it knows {}", known.join(", "))
            }));
        };
        let directory = self.directory.join(release);
        if !here.contains(release) {
            eprintln!("fetching the kernel {release}");
            remove(&directory)?;
            let package = self.download(&format!("linux-image-{release}"))?;
            let half = self.directory.join("half");
            remove(&half)?;
            unpack(&package, &half, &busybox)?;
            std::fs::rename(&half, &directory).map_err(Error::file(&directory))?;
            std::fs::remove_file(&package).map_err(Error::file(&package))?;
        }
        ready(&directory, &busybox, true)
    }

    /// The releases that are here.
    fn unpacked(&self) -> Result<BTreeSet<String>, Error> {
        let mut releases = BTreeSet::new();
        for entry in std::fs::read_dir(&self.directory).map_err(Error::file(&self.directory))? {
            let entry = entry.map_err(Error::file(&self.directory))?;
            if entry.path().join("boot").is_dir() {
                releases.extend(entry.file_name().into_string());
            }
        }
        Ok(releases)
    }

    fn busybox(&self) -> Result<PathBuf, Error> {
        let directory = self.directory.join("tools");
        let path = directory.join("bin/busybox");
        if !path.exists() {
            let package = self.download("busybox-static")?;
            extract(&package, &directory)?;
            std::fs::remove_file(&package).map_err(Error::file(&package))?;
        }
        // Newer packages have it below usr.
        let merged = directory.join("usr/bin/busybox");
        Ok(if path.exists() { path } else { merged })
    }

    /// Has apt fetch a package, and gives its file.
    fn download(&self, package: &str) -> Result<PathBuf, Error> {
        let directory = self.directory.join("download");
        remove(&directory)?;
        std::fs::create_dir_all(&directory).map_err(Error::file(&directory))?;
        let fetch = || {
            let mut command = Command::new("apt-get");
            command.args(["--quiet=2", "--option=APT::Sandbox::User=root", "download", package]);
            output(command.current_dir(&directory), "apt")
        };
        if let Err(first) = fetch() {
            if matches!(first, Error::Missing { .. }) {
                return Err(first);
            }
            // Its lists may be older than what the servers have.
            if !rustix::process::geteuid().is_root() {
                return Err(Error::Machine(format!(
                    "{first}\nThe package {package} is needed. If apt's lists are old: sudo apt-get update"
                )));
            }
            output(Command::new("apt-get").args(["--quiet=2", "update"]), "apt")?;
            fetch().map_err(|error| Error::Machine(format!("{error}\nThe package {package} is needed.")))?;
        }
        let mut entries = std::fs::read_dir(&directory).map_err(Error::file(&directory))?;
        match entries.next() {
            Some(Ok(entry)) => Ok(entry.path()),
            _ => Err(Error::Machine(format!(
                "apt-get download {package} left nothing in {}",
                directory.display()
            ))),
        }
    }
}

/// Unpacks a kernel's package and makes its modules fit to be loaded with what there is in the machine.
fn unpack(package: &Path, directory: &Path, busybox: &Path) -> Result<(), Error> {
    extract(package, directory)?;
    let modules = modules(directory);
    let release = only(&modules)?;
    // Once here, not every time in an emulation.
    for (ending, tool) in [("ko.xz", "xz"), ("ko.zst", "zstd"), ("ko.gz", "gzip")] {
        let mut files = Vec::new();
        find(&modules, ending, &mut files)?;
        for files in files.chunks(100) {
            let mut command = Command::new(tool);
            command.arg("-d").arg("-q").args((tool == "zstd").then_some("--rm"));
            output(command.args(files), if tool == "xz" { "xz-utils" } else { tool })?;
        }
    }
    let mut command = Command::new(busybox);
    command.arg("depmod").arg("-b").arg(absolute(directory)?).arg(&release);
    output(&mut command, "busybox-static")?;
    super::image::extract(&directory.join(format!("boot/vmlinuz-{release}")), &directory.join("vmlinux"))?;
    Ok(())
}

/// Names of packages that apt knows and that may be kernels.
fn offered() -> Vec<String> {
    let ask =
        || output(Command::new("apt-cache").args(["pkgnames", "linux-image-"]), "apt").unwrap_or_default();
    let mut names = ask();
    if names.is_empty() && rustix::process::geteuid().is_root() {
        // A machine that was only just made has no lists yet. If this fails, there is no kernel to choose from.
        let _ = output(Command::new("apt-get").args(["--quiet=2", "update"]), "apt");
        names = ask();
    }
    String::from_utf8_lossy(&names).lines().map(str::to_owned).collect()
}

/// The short names of what can be chosen.
fn kinds(releases: &BTreeSet<&str>) -> Vec<String> {
    let mut kinds = BTreeSet::new();
    for release in releases {
        let mut numbers = release.split('.');
        // Others name no single release.
        let (Some(major), Some(minor), Some(_)) = (numbers.next(), numbers.next(), numbers.next()) else {
            continue;
        };
        for flavour in ["", "-cloud"] {
            let kind = format!("{major}.{minor}{flavour}");
            if Wanted::parse(&kind).is_some_and(|wanted| wanted.choose(releases.iter().copied()).is_some()) {
                kinds.insert(kind);
            }
        }
    }
    kinds.into_iter().collect()
}

/// The kernel that was unpacked into `directory`.
fn ready(directory: &Path, busybox: &Path, debian: bool) -> Result<Kernel, Error> {
    let modules = absolute(&modules(directory))?;
    let release = only(&modules)?;
    let unpacked = directory.join("vmlinux");
    let image = if unpacked.exists() { unpacked } else { directory.join(format!("boot/vmlinuz-{release}")) };
    Ok(Kernel {
        release,
        image: absolute(&image)?,
        modules,
        busybox: absolute(busybox)?,
        debian,
        without: Vec::new(),
        boot: Vec::new(),
    })
}

/// Where a package has its modules; newer ones below `usr`.
fn modules(directory: &Path) -> PathBuf {
    let merged = directory.join("usr/lib/modules");
    if merged.exists() { merged } else { directory.join("lib/modules") }
}

fn extract(package: &Path, directory: &Path) -> Result<(), Error> {
    output(Command::new("dpkg-deb").arg("--extract").arg(package).arg(directory), "dpkg").map(|_| ())
}

/// The name of the only entry of a directory.
fn only(directory: &Path) -> Result<String, Error> {
    let mut entries = std::fs::read_dir(directory).map_err(Error::file(directory))?;
    match (entries.next(), entries.next()) {
        (Some(Ok(entry)), None) => Ok(entry.file_name().to_string_lossy().into_owned()),
        _ => Err(Error::Machine(format!(
            "the package has not one kernel's modules in {}",
            directory.display()
        ))),
    }
}

/// Files whose names end in `.ENDING`, in a directory and below.
pub(crate) fn find(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in std::fs::read_dir(directory).map_err(Error::file(directory))? {
        let entry = entry.map_err(Error::file(directory))?;
        let kind = entry.file_type().map_err(Error::file(directory))?;
        if kind.is_dir() {
            find(&entry.path(), ending, found)?;
        } else if entry
            .file_name()
            .to_string_lossy()
            .strip_suffix(ending)
            .is_some_and(|name| name.ends_with('.'))
        {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::fs::canonicalize(path).map_err(Error::file(path))
}

fn remove(directory: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(directory)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::module;

    #[test]
    fn a_module_is_found_by_either_spelling() {
        let dependencies = "kernel/net/llc/llc.ko:\nkernel/net/802/8021q.ko: kernel/net/802/garp.ko\n\
                            kernel/net/netfilter/nf-tables.ko: kernel/net/netfilter/nfnetlink.ko\n";
        assert_eq!(module(dependencies, "8021q"), Some("kernel/net/802/8021q.ko"));
        assert_eq!(module(dependencies, "nf_tables"), Some("kernel/net/netfilter/nf-tables.ko"));
        assert_eq!(module(dependencies, "garp"), None);
    }
}
