//! The virtual machine: qemu, which runs the kernel, and virtiofsd, which shows it the host's files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::initramfs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::job::{Job, Mark};
use super::kernel::Kernel;
use crate::error::Error;

/// How large the machine is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) processors: usize,
    /// In MiB.
    pub(crate) memory: u32,
}

/// A machine that runs a job.
#[derive(Debug)]
pub(crate) struct Machine {
    directory: PathBuf,
    qemu: Running,
    files: Running,
    text: BufReader<ChildStdout>,
    /// A mark that was found behind the line given last.
    mark: Option<Mark>,
    /// How long it may say nothing.
    silence: Duration,
}

/// What the machine has to say.
#[derive(Debug)]
pub(crate) enum Said {
    /// A line that a program printed, or what is in a line before a mark.
    Line(String),
    Mark(Mark),
}

/// A program that is killed when this goes.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    /// Starts a machine; what it needs, and its logs, are in `directory`, which is emptied first.
    pub(crate) fn start(
        directory: &Path,
        kernel: &Kernel,
        job: &Job,
        size: Size,
        kvm: bool,
    ) -> Result<Self, Error> {
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory).map_err(Error::file(directory))?;
        let directory = std::fs::canonicalize(directory).map_err(Error::file(directory))?;
        let agent = std::env::current_exe().map_err(Error::file(Path::new("/proc/self/exe")))?;
        let orders = directory.join("job.json");
        let text = serde_json::to_vec_pretty(job).expect("it has no maps with strange keys");
        write(&orders, &text)?;
        write(&directory.join("initramfs"), &initramfs::build(kernel, &agent, &orders)?)?;

        let files = share(&directory)?;
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(options(kernel, size, kvm)).current_dir(&directory);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log(&directory, "qemu")?);
        let mut qemu = start(qemu, "qemu-system-x86")?;
        let longest = job.programs.iter().map(|program| program.limit).max().unwrap_or_default();
        let silence = Duration::from_secs(longest) + Duration::from_secs(60);
        let Some(text) = qemu.0.stdout.take() else {
            return Err(Error::Machine("qemu has no output".to_owned()));
        };
        Ok(Self { directory, qemu, files, text: BufReader::new(text), mark: None, silence })
    }

    /// Whether its kernel has booted within this time.
    pub(crate) fn boots_within(&mut self, limit: Duration) -> bool {
        self.speaks_within(limit) && self.text.fill_buf().is_ok_and(|text| !text.is_empty())
    }

    /// Whether it says something, or ends, within this time.
    fn speaks_within(&self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).ok();
        let mut text = [PollFd::new(self.text.get_ref(), PollFlags::IN)];
        !self.text.buffer().is_empty() || !matches!(poll(&mut text, limit.as_ref()), Ok(0))
    }

    /// Waits for what comes next; nothing, when the machine ended or hangs.
    pub(crate) fn next(&mut self) -> Result<Option<Said>, Error> {
        if let Some(mark) = self.mark.take() {
            return Ok(Some(Said::Mark(mark)));
        }
        if !self.speaks_within(self.silence) {
            return Ok(None);
        }
        let mut line = Vec::new();
        let read = self.text.read_until(b'\n', &mut line).map_err(Error::file(&self.directory))?;
        if read == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        Ok(Some(match Mark::split(line.strip_suffix('\n').unwrap_or(&line)) {
            ("", Some(mark)) => Said::Mark(mark),
            (printed, mark) => {
                self.mark = mark;
                Said::Line(printed.to_owned())
            }
        }))
    }

    /// Why the machine ended, as far as its logs tell.
    pub(crate) fn post_mortem(mut self) -> Error {
        let status = match self.qemu.0.try_wait() {
            Ok(Some(status)) => format!("qemu: {status}"),
            _ => "it hangs".to_owned(),
        };
        drop(self.files);
        let mut text =
            format!("the virtual machine ended too early ({status}); see {}", self.directory.display());
        for name in ["qemu.log", "virtiofsd.log", "console.log"] {
            let content = std::fs::read(self.directory.join(name)).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            let lines: Vec<&str> = content.lines().collect();
            let tail = &lines[lines.len().saturating_sub(30)..];
            if !tail.is_empty() {
                let _ = write!(text, "\n--- the end of {name}\n{}", tail.join("\n"));
            }
        }
        Error::Machine(text)
    }

    /// What the kernel complained of on its console.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let content = std::fs::read(self.directory.join("console.log")).unwrap_or_default();
        complaints(&String::from_utf8_lossy(&content))
    }
}

fn complaints(console: &str) -> Vec<String> {
    let signs =
        ["WARNING: ", "BUG: ", "Oops", "INFO: task ", "rcu: INFO", "Out of memory", "unregister_netdevice"];
    console.lines().filter(|line| signs.iter().any(|sign| line.contains(sign))).map(str::to_owned).collect()
}

/// Whether this process may have the processor run the machine itself. That it can is another matter: where this machine
/// is itself virtual, it may hang.
pub(crate) fn has_kvm() -> bool {
    File::options().read(true).write(true).open("/dev/kvm").is_ok()
}

fn options(kernel: &Kernel, size: Size, kvm: bool) -> Vec<String> {
    let Size { processors, memory } = size;
    let text = |part: &str| part.to_owned();
    let mut options = vec![
        // virtiofsd works on the machine's memory, so that must be shared.
        text("-machine"),
        text("q35,memory-backend=ram"),
        text("-object"),
        format!("memory-backend-memfd,id=ram,size={memory}M,share=on"),
    ];
    let accelerator = if kvm { "kvm" } else { "tcg,thread=multi,tb-size=256" };
    options.extend(["-accel", accelerator, "-cpu", "max"].map(text));
    options.extend([text("-smp"), processors.to_string(), text("-m"), format!("{memory}M")]);
    options.extend(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"].map(text));
    options.extend([text("-kernel"), kernel.image.display().to_string()]);
    options.extend(["-initrd", "initramfs", "-append"].map(text));
    let line = "console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off cryptomgr.notests tsc=reliable"
        .to_owned();
    options.push(std::iter::once(line).chain(kernel.boot.iter().cloned()).collect::<Vec<_>>().join(" "));
    options.extend(["-serial", "file:console.log"].map(text));
    options.extend(["-chardev", "socket,id=files,path=files.socket"].map(text));
    options.extend(["-device", "vhost-user-fs-pci,chardev=files,tag=host"].map(text));
    options.extend(["-device", "virtio-serial-pci", "-chardev", "file,id=text,path=/dev/stdout"].map(text));
    options.extend(["-device", "virtserialport,chardev=text,name=text"].map(text));
    options
}

/// Starts virtiofsd for the whole root and waits until it listens at `files.socket`.
fn share(directory: &Path) -> Result<Running, Error> {
    // Debian 12 has it with qemu, later ones in a package of its own.
    let places = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"];
    let Some(program) = places.iter().find(|place| Path::new(place).exists()) else {
        return Err(Error::Machine(
            "virtiofsd is not here\nInstall it: apt-get install virtiofsd (Debian 12: qemu-system-common)"
                .to_owned(),
        ));
    };
    // It confines itself, which takes privilege; as an ordinary user it has that in a user namespace.
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new(program)
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--"]).arg(program);
        command
    };
    command.args([
        "--socket-path=files.socket",
        "-o",
        "source=/,sandbox=chroot,cache=always",
        "--thread-pool-size=0",
    ]);
    command.current_dir(directory).stdin(Stdio::null());
    command.stdout(log(directory, "virtiofsd")?).stderr(log(directory, "virtiofsd")?);
    let mut running = start(command, "qemu-system-common")?;
    let socket = directory.join("files.socket");
    let start = Instant::now();
    while !socket.exists() {
        let ended = running.0.try_wait().map_err(Error::file(Path::new(program)))?;
        if ended.is_some() || start.elapsed() > Duration::from_secs(20) {
            let log = std::fs::read_to_string(directory.join("virtiofsd.log")).unwrap_or_default();
            return Err(Error::Machine(format!("{program} does not listen\n{log}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}

fn log(directory: &Path, name: &str) -> Result<File, Error> {
    let path = directory.join(format!("{name}.log"));
    File::options().create(true).append(true).open(&path).map_err(Error::file(&path))
}

/// Starts a program that does not outlive this process.
fn start(mut command: Command, package: &'static str) -> Result<Running, Error> {
    // SAFETY: between fork and exec there is one system call; nothing is allocated and no lock taken.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            Ok(())
        });
    }
    let child = command.spawn().map_err(|source| Error::Missing {
        program: command.get_program().to_string_lossy().into_owned(),
        package,
        source,
    })?;
    Ok(Running(child))
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    std::fs::write(path, content).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::complaints;

    #[test]
    fn what_the_kernel_complains_of_is_found() {
        let console =
            "[    1.0] e1000: up\n[    2.0] WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 f+0x1/0x2\n[ 3.0] x\n";
        assert_eq!(complaints(console).len(), 1);
    }
}
