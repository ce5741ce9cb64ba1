//! The process that stands in, outside, for a program in a PID namespace.
//!
//! Who started nslab knows this process: waits for it, signals it, stops and continues it as a job of a shell. The program
//! is its child, in the same process group and with the same terminal, so that what the terminal sends reaches both:
//! here it is ignored, as the program decides what comes of it.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

use nslab_kernel::NamespaceFile;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{DumpableBehavior, Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus};

use super::signals::{self, Signals};
use super::{Failure, Place, start};
use crate::error::{Context, Result};

/// What is taken, and passed on if a process sent it. Not SIGCHLD, which is for this process, nor what is a fault in this
/// process, nor what cannot be taken.
const PASSED_ON: [Signal; 17] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::WINCH,
    Signal::CONT,
    Signal::TSTP,
    Signal::TTIN,
    // Else this process would be stopped when it gives the terminal back.
    Signal::TTOU,
    Signal::URG,
    Signal::IO,
    Signal::POWER,
];

/// Runs a command in the place, among the processes of its PID namespace, and ends as it does; returns only if it
/// cannot be run. This process must have one thread.
pub(super) fn run(place: &Place, processes: &NamespaceFile, command: Command) -> Failure {
    match begin(place, processes, command) {
        Ok((child, signals, terminal)) => match watch(child, &signals) {
            Ok(status) => {
                terminal.give_back();
                end_as(status)
            }
            Err(error) => error.into(),
        },
        Err(failure) => failure,
    }
}

fn begin(
    place: &Place,
    processes: &NamespaceFile,
    command: Command,
) -> Result<(Child, Signals, Terminal), Failure> {
    let terminal = Terminal::of_this_process();
    let mut all = PASSED_ON.to_vec();
    all.push(Signal::CHILD);
    let signals = Signals::take(&all).context(|| "take signals from a descriptor")?;
    let before = signals.before();
    // What this process forks is born there; it forks nothing else.
    processes.enter().map_err(crate::Error::from)?;
    let child = start(place, command, |command| {
        // SAFETY: between fork and exec the closure makes system calls only.
        unsafe {
            command.pre_exec(move || {
                // Last, as it is undone when another user is become: who kills this process means the program.
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                before.set()
            });
        }
        command.spawn()
    })?;
    Ok((child, signals, terminal))
}

/// Waits for the program's end.
fn watch(mut child: Child, signals: &Signals) -> Result<ExitStatus> {
    let action = || "wait for a program";
    let pid = Pid::from_child(&child);
    loop {
        // Signals first: when the job is continued the program is too, before it is looked whether it is stopped.
        for (number, by_process) in signals.read_with_origin() {
            // Of the terminal's signals the program has got its own.
            let passed = PASSED_ON.iter().find(|signal| signal.as_raw() == number);
            if let Some(&signal) = passed.filter(|_| by_process) {
                // It may have ended, which the next look tells; until then the pid is its own.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        // Without taking note of the end, which is for the standard library.
        let look =
            WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let state = rustix::process::waitid(WaitId::Pid(pid), look).context(action)?;
        if state.as_ref().is_some_and(WaitIdStatus::stopped) {
            // Taken note of, so that it is not seen again.
            let take = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
            let _ = rustix::process::waitid(WaitId::Pid(pid), take);
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
            let _ = rustix::process::kill_process(pid, Signal::CONT);
            continue;
        }
        if state.is_some() {
            return child.wait().context(action);
        }
        match rustix::event::poll(&mut [PollFd::new(signals, PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno).context(action),
        }
    }
}

/// Ends this process with a program's exit status, or by the signal that killed it.
fn end_as(status: ExitStatus) -> ! {
    if let Some(code) = status.code() {
        std::process::exit(code);
    }
    let number = status.signal().unwrap_or(libc::SIGKILL);
    // There is one core file already, if any.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    signals::reset_all();
    // SAFETY: a signal to this process, which does what it does by default.
    unsafe { libc::kill(libc::getpid(), number) };
    // As shells say it, should it live on.
    std::process::exit(128 + number)
}

/// The process group that this process is in; none if that is outside of its PID namespace, as below an init which never
/// made one. rustix takes it that there always is one.
fn own_group() -> Option<Pid> {
    // SAFETY: the call takes nothing, changes nothing and cannot fail.
    Pid::from_raw(unsafe { libc::getpgrp() })
}

/// The terminal of which this process was in the foreground. An interactive shell puts itself there and cannot undo it
/// where it does not see who was there before.
struct Terminal {
    group: Option<Pid>,
}

impl Terminal {
    fn of_this_process() -> Self {
        let own = own_group();
        let stdin = std::io::stdin();
        let foreground =
            stdin.is_terminal().then(|| rustix::termios::tcgetpgrp(stdin.as_fd()).ok()).flatten();
        Self { group: foreground.filter(|foreground| own == Some(*foreground)) }
    }

    fn give_back(&self) {
        let stdin = std::io::stdin();
        if let Some(group) = self.group
            && rustix::termios::tcgetpgrp(stdin.as_fd()).ok() != Some(group)
        {
            let _ = rustix::termios::tcsetpgrp(stdin.as_fd(), group);
        }
    }
}
