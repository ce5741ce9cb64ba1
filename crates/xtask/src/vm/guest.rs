//! The side inside the machine: runs the programs of a job, each with its limit of time.

use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use super::job::{End, Job, Mark, Program};
use crate::error::Error;

/// Does the job in the file.
pub(crate) fn main(job: &Path) -> Result<(), Error> {
    let text = std::fs::read(job).map_err(Error::file(job))?;
    let job: Job =
        serde_json::from_slice(&text).map_err(|error| Error::Usage(format!("{}: {error}", job.display())))?;
    let kvm = under_kvm();
    say(&Mark::Booted { release: release(), kvm });
    for (number, program) in job.programs.iter().enumerate() {
        say(&Mark::Begin(number));
        let start = Instant::now();
        let end = run(program, kvm);
        let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        say(&Mark::End { end, milliseconds, left: clear() });
    }
    say(&Mark::Done);
    Ok(())
}

fn say(mark: &Mark) {
    let mut out = io::stdout().lock();
    // If the host does not listen any more, there is nobody to tell.
    let _ = out.write_all(mark.line().as_bytes()).and_then(|()| out.flush());
}

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Only under KVM does the kernel have its clock.
fn under_kvm() -> bool {
    std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/available_clocksource")
        .is_ok_and(|clocks| clocks.contains("kvm-clock"))
}

fn run(program: &Program, kvm: bool) -> End {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).current_dir(&program.directory).env_clear();
    if !kvm {
        // Tests that repeat themselves do so less: a second is worth a tenth of one.
        command.env("NSLAB_TESTS_BRIEF", "1").env("PROPTEST_CASES", "8");
    }
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    match command.stdin(Stdio::null()).process_group(0).spawn() {
        Ok(child) => wait(child, Duration::from_secs(program.limit)),
        Err(error) => End::NotStarted(error.to_string()),
    }
}

fn wait(mut child: Child, limit: Duration) -> End {
    let too_long = !ends_within(&child, limit);
    if too_long {
        show_where_it_stands(child.id());
        if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    match child.wait() {
        _ if too_long => End::TooLong,
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => End::Exit(code),
            (None, signal) => End::Signal(signal.unwrap_or_default()),
        },
        Err(error) => End::NotStarted(error.to_string()),
    }
}

fn ends_within(child: &Child, limit: Duration) -> bool {
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return true };
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let end = Instant::now() + limit;
    loop {
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).ok();
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            _ => return true,
        }
    }
}

/// Prints in which calls of the kernel the threads of a process stand.
fn show_where_it_stands(pid: u32) {
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        println!("thread {} ({}):\n{}", task.file_name().display(), read("comm").trim_end(), read("stack"));
    }
}

/// Kills all processes but the first one, this one and what stands between them; gives their names.
fn clear() -> Vec<String> {
    let mut left = Vec::new();
    let own = rustix::process::getpid();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        // Threads of the kernel have no command line, as have those that ended; init's own come from its busybox.
        let command = read("cmdline");
        if pid == own || pid.is_init() || command.is_empty() || command.starts_with(b"/bin/busybox\0") {
            continue;
        }
        if kill_process(pid, Signal::KILL).is_ok() {
            left.push(String::from_utf8_lossy(&read("comm")).trim_end().to_owned());
        }
    }
    left
}
