//! Tests in other kernels: Debian's, which have all that a kernel can have, in a virtual machine that sees this machine's
//! files.

mod binaries;
mod cpio;
mod guest;
mod image;
mod initramfs;
mod job;
mod kernel;
mod machine;
mod name;
mod report;

use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use self::job::{End, Job, Mark, Program};
use self::kernel::{Kernel, Store};
use self::machine::{Machine, Said, Size};
use self::report::Report;
use crate::error::Error;

/// Packages whose tests ask the kernel for something.
const PACKAGES: [&str; 5] = ["nslab-testing", "nslab-kernel", "nslab-lab", "nslab-observe", "nslab"];

/// Run the kernel-facing tests in another kernel
///
/// The tests are built here and all run in one boot of a virtual machine, as root, on a throw-away copy of this machine's
/// files. The kernel is Debian's and comes through apt; nothing is installed. With /dev/kvm it is quick; without, the
/// processor is emulated.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask vm-test                            everything, in the newest kernel
  cargo xtask vm-test 6.1 -- full_kernel         what most kernels in use lack, in Debian 12's own
  cargo xtask vm-test 6.12-cloud -p nslab-kernel -- links:: --test-threads=1
  cargo xtask vm-test --without nf_tables,bridge -- without_modules
  cargo xtask vm-test 6.12 --boot lockdown=confidentiality -p nslab -- locked_down
  cargo xtask vm-test ../linux/linux-image-6.19.0_amd64.deb

The exit status is 1 if a test fails, 2 for bad usage, 3 if this machine cannot do it.")]
pub(crate) struct TestArgs {
    #[command(flatten)]
    machine: MachineArgs,
    /// Test this package only (may be given several times)
    #[arg(short, long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// What the test programs are given: filters (part of a test's name), --skip, --exact, --test-threads
    #[arg(last = true, value_name = "FILTER")]
    harness: Vec<String>,
}

/// Run one command in another kernel
///
/// As root, in the current directory, on a throw-away copy of this machine's files: nothing that it writes lasts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask vm-run 6.1 -- ip link add wg0 type wireguard
  cargo xtask vm-run -- target/debug/nslab up examples/vlans.yaml
  cargo xtask vm-run --without bridge -- target/debug/nslab up examples/red-blue-green.yaml

The exit status is the command's own; 3, if this machine cannot do it.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    machine: MachineArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct MachineArgs {
    /// VERSION, VERSION-cloud, newest or newest-cloud, where cloud means Debian's small build; or a linux-image….deb
    #[arg(default_value = "newest-cloud")]
    kernel: String,
    /// Seconds that each program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Processors of the machine [default: this machine's, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    cpus: Option<u16>,
    /// Memory of the machine, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..))]
    memory: u32,
    /// Emulate the processor even where /dev/kvm can be used
    #[arg(long)]
    no_kvm: bool,
    /// A module that the kernel shall not find, nor what depends on it, such as `nf_tables` (may be given several times)
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    without: Vec<String>,
    /// An option for the kernel, such as `lockdown=confidentiality` (may be given several times)
    #[arg(long, value_name = "OPTION")]
    boot: Vec<String>,
}

/// Under KVM a machine has booted within this time, which is a multiple of what it takes.
const BOOT: Duration = Duration::from_secs(10);
/// Under emulation it takes some seconds; but where kernels change their own code while another processor runs it, that sees half
/// of the change now and then (`int3`, before anything else runs), and the kernel panics.
const EMULATED_BOOT: Duration = Duration::from_secs(180);
const ATTEMPTS: usize = 3;

/// The side in the machine.
pub(crate) fn guest(job: &Path) -> Result<ExitCode, Error> {
    guest::main(job).map(|()| ExitCode::SUCCESS)
}

/// Runs tests.
pub(crate) fn test(args: &TestArgs) -> Result<ExitCode, Error> {
    let place = Place::new(&args.machine)?;
    let packages =
        if args.packages.is_empty() { PACKAGES.map(str::to_owned).to_vec() } else { args.packages.clone() };
    let kernel = place.kernel(&args.machine)?;
    let mut programs = Vec::new();
    for binary in binaries::build(&packages)? {
        if binary.tests(&args.harness)? > 0 {
            let mut environment = environment();
            environment.push(("CARGO_MANIFEST_DIR".to_owned(), binary.directory.display().to_string()));
            if !kernel.without.is_empty() {
                environment.push(("NSLAB_TESTS_WITHOUT".to_owned(), args.machine.without.join(",")));
            } else if kernel.debian {
                // What every kernel of Debian's has, no test may miss.
                environment.push(("NSLAB_TESTS_MUST_RUN".to_owned(), "1".to_owned()));
                environment.push(("NSLAB_TESTS_FULL_KERNEL".to_owned(), "1".to_owned()));
            }
            programs.push(Program {
                label: binary.label,
                path: binary.path,
                arguments: args.harness.iter().cloned().chain(["--show-output".to_owned()]).collect(),
                directory: binary.directory,
                environment,
                limit: place.limit,
            });
        }
    }
    if programs.is_empty() {
        return Err(Error::Usage(format!("no test is called like {}", args.harness.join(" "))));
    }
    let labels: Vec<String> = programs.iter().map(|program| program.label.clone()).collect();
    let mut machine = place.start(&kernel, &Job { programs })?;

    let mut summary = Vec::new();
    let (mut total, mut good) = (Report::default(), true);
    let mut running: Option<(&str, Report)> = None;
    loop {
        match machine.next()? {
            None => {
                print_summary(&kernel, &summary, &total);
                if let Some((label, _)) = running {
                    eprintln!("{label} was running");
                }
                return Err(machine.post_mortem());
            }
            Some(Said::Line(line)) => {
                if running.as_mut().is_none_or(|(_, report)| report.line(&line)) {
                    println!("{line}");
                }
            }
            Some(Said::Mark(Mark::Begin(number))) => {
                let label = labels.get(number).map_or("?", String::as_str);
                println!("== {label}");
                running = Some((label, Report::default()));
            }
            Some(Said::Mark(Mark::End { end, milliseconds, left })) => {
                let Some((label, report)) = running.take() else { continue };
                let took = Duration::from_millis(milliseconds);
                let mut line = format!("{label:<26} {report}  ({:.1} s)", took.as_secs_f64());
                if !report.good(&end) {
                    good = false;
                    let _ = write!(line, "  FAILED: {end}");
                }
                if !left.is_empty() {
                    let _ = write!(line, "\n    left running: {}", left.join(", "));
                }
                for reason in report.skipped() {
                    let _ = write!(line, "\n    skipped: {reason}");
                }
                summary.push(line);
                total.add(&report);
            }
            Some(Said::Mark(mark)) => {
                if place.common(&mark) {
                    break;
                }
            }
        }
    }
    print_summary(&kernel, &summary, &total);
    complain(&machine);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a command.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Error> {
    let place = Place::new(&args.machine)?;
    let kernel = place.kernel(&args.machine)?;
    let Some((path, arguments)) = args.command.split_first() else {
        return Err(Error::Usage("no command".to_owned()));
    };
    let program = Program {
        label: path.clone(),
        path: path.into(),
        arguments: arguments.to_vec(),
        directory: std::env::current_dir().map_err(Error::file(Path::new(".")))?,
        environment: environment(),
        limit: place.limit,
    };
    let mut machine = place.start(&kernel, &Job { programs: vec![program] })?;
    let mut status = ExitCode::FAILURE;
    loop {
        match machine.next()? {
            None => return Err(machine.post_mortem()),
            Some(Said::Line(line)) => println!("{line}"),
            Some(Said::Mark(Mark::End { end, .. })) => match end {
                End::Exit(code) => status = ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
                end => eprintln!("{}: {end}", args.command.join(" ")),
            },
            Some(Said::Mark(mark)) => {
                if place.common(&mark) {
                    break;
                }
            }
        }
    }
    complain(&machine);
    Ok(status)
}

fn print_summary(kernel: &Kernel, summary: &[String], total: &Report) {
    println!("\nkernel {}", kernel.release);
    for line in summary {
        println!("{line}");
    }
    println!("{:<26} {total}", "in all");
}

fn complain(machine: &Machine) {
    for complaint in machine.complaints() {
        eprintln!("the kernel complained: {complaint}");
    }
}

/// What every use of a machine needs.
#[derive(Debug)]
struct Place {
    store: Store,
    directory: PathBuf,
    size: Size,
    kvm: bool,
    limit: u64,
    /// Held while a machine runs, as one is enough for this one.
    _lock: File,
}

impl Place {
    fn new(args: &MachineArgs) -> Result<Self, Error> {
        if !cfg!(target_arch = "x86_64") {
            return Err(Error::Machine(format!(
                "this works on x86_64 only, not on {}: the kernels are built for it",
                std::env::consts::ARCH
            )));
        }
        let kvm = !args.no_kvm && machine::has_kvm();
        let directory = binaries::target_directory()?.join("vm");
        let store = Store::open(&directory.join("kernels"))?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(Error::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another virtual machine to end ({})", path.display());
                lock.lock().map_err(Error::file(&path))?;
            }
            Err(TryLockError::Error(error)) => return Err(Error::file(&path)(error)),
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        Ok(Self {
            store,
            directory: directory.join("run"),
            size: Size { processors: args.cpus.map_or(processors, usize::from), memory: args.memory },
            kvm,
            limit: args.limit,
            _lock: lock,
        })
    }

    /// The kernel that is asked for, fetched if need be.
    fn kernel(&self, args: &MachineArgs) -> Result<Kernel, Error> {
        let kernel = self.store.kernel(&args.kernel)?;
        Ok(Kernel { boot: args.boot.clone(), ..kernel.hide(&args.without)? })
    }

    fn start(&self, kernel: &Kernel, job: &Job) -> Result<Machine, Error> {
        if self.kvm {
            let mut machine = Machine::start(&self.directory, kernel, job, self.size, true)?;
            if machine.boots_within(BOOT) {
                return Ok(machine);
            }
            eprintln!("/dev/kvm does not run this kernel, so the processor is emulated");
        }
        for _ in 1..ATTEMPTS {
            let mut machine = Machine::start(&self.directory, kernel, job, self.size, false)?;
            if machine.boots_within(EMULATED_BOOT) {
                return Ok(machine);
            }
            eprintln!("the emulated machine does not boot, so it is tried again");
            complain(&machine);
        }
        Machine::start(&self.directory, kernel, job, self.size, false)
    }

    /// Does what every mark is met with; says whether all is done.
    fn common(&self, mark: &Mark) -> bool {
        if let Mark::Booted { release, kvm } = mark {
            let how = if *kvm { "under KVM" } else { "emulated" };
            let Size { processors, memory } = self.size;
            eprintln!("kernel {release}, {how}, {processors} processors, {memory} MiB");
        }
        *mark == Mark::Done
    }
}

/// The environment of programs in the machine: little, so that what they do depends on little.
fn environment() -> Vec<(String, String)> {
    let mut all: Vec<_> = std::env::vars()
        .filter(|(name, _)| ["NSLAB_", "PROPTEST_", "RUST_"].iter().any(|start| name.starts_with(start)))
        // That is for this machine's processors.
        .filter(|(name, _)| name != "RUST_TEST_THREADS")
        .collect();
    // The system's own programs first: those of version managers start many processes, which is slow in an emulation.
    let mut path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    if let Ok(own) = std::env::var("PATH") {
        path.push(':');
        path.push_str(&own);
    }
    all.push(("PATH".to_owned(), path));
    all.push(("HOME".to_owned(), "/root".to_owned()));
    all.push(("LC_ALL".to_owned(), "C.UTF-8".to_owned()));
    all
}
