//! Programs in a node: what `exec` and `shell` become, and how other programs are started there.
//!
//! To be in a node is to be in its network namespace, under its name, with its `/etc/hosts`, and with a `/sys` that
//! shows its interfaces; the last three need a mount and a UTS namespace: of the program's own, or those of the node's
//! [view](crate::view), if it has files of its own. Everything else (files, users, and processes unless the view has its
//! own) is the host's.

mod account;
mod detached;
mod entry;
mod failure;
pub mod gate;
pub mod limits;
mod place;
mod shell;
pub(crate) mod signals;
mod stand_in;

use std::ffi::OsStr;
use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;

pub use account::Account;
pub(crate) use account::owner_ids;
pub(crate) use detached::{mute, spawn_detached, spawn_first};
pub(crate) use entry::show_sys;
use entry::{Entry, Step};
pub use failure::Failure;
pub use place::Place;
pub(crate) use place::lab_name;
pub use shell::shell;

use crate::error::{Context, Result};

/// Moves the calling process into the place for good: namespaces, name, `/etc/hosts`, `/sys` and directory. The
/// process must have one thread, because the others would stay where they are. No process can change its PID namespace:
/// of a node with processes of its own it sees the files and is a stranger to the processes.
///
/// The environment is left alone. After an error the process may be half way in and should end.
pub fn enter(place: &Place) -> Result<()> {
    let entry = Entry::new(place)?;
    entry.carry_out().map_err(|(step, errno)| entry.explain(step, errno.into()))
}

/// Turns the calling process into a program in the place; returns only if that fails.
///
/// Nothing of nslab stays in between, so that terminal, signals and exit status are the program's own. Only where the node
/// has processes of its own, among which a process can but be born, the calling one stays as the program's parent: it
/// passes on what it is signalled, stops and ends as the program does. The process must have one thread.
pub fn exec<S: AsRef<OsStr>>(place: &Place, argv: &[S]) -> Failure {
    let Some((program, arguments)) = argv.split_first() else {
        return Failure::nothing_to_run();
    };
    let mut command = Command::new(program);
    command.args(arguments);
    replace(place, command)
}

/// As [`exec`], with a command that may have an environment of its own.
pub(crate) fn replace(place: &Place, mut command: Command) -> Failure {
    match place.processes() {
        Ok(None) => {}
        Ok(Some(processes)) => return stand_in::run(place, processes, command),
        Err(error) => return error.into(),
    }
    if let Err(error) = enter(place) {
        return error.into();
    }
    place.apply_environment(&mut command);
    limits::restore();
    let error = command.exec();
    Failure::run(&command, &error)
}

/// Starts a program in the place, as a child. What `command` says of environment and stdio holds; its working
/// directory is the place's where that has one. Works in a process with threads too.
pub fn spawn(place: &Place, command: Command) -> Result<Child, Failure> {
    let Some(processes) = place.processes()? else {
        return start(place, command, Command::spawn);
    };
    start(place, command, |command| {
        // Where a thread's children are born cannot be set back: as an ordinary user there is no way to one's own
        // PID namespace, which is the host's. The thread goes, the child stays this process's.
        let born_there = || {
            processes.enter().map_err(io::Error::other)?;
            command.spawn()
        };
        std::thread::scope(|scope| scope.spawn(born_there).join())
            .unwrap_or_else(|_| Err(io::Error::other("a thread ended")))
    })
}

/// Starts a program in the place by `spawn`.
fn start(
    place: &Place,
    mut command: Command,
    spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
) -> Result<Child, Failure> {
    let entry = Arc::new(Entry::new(place)?);
    place.apply_environment(&mut command);
    let nofile = limits::original();
    let (reader, writer) = std::io::pipe().context(|| "create a pipe")?;
    let child_entry = Arc::clone(&entry);
    // SAFETY: between fork and exec the closure makes system calls on what was prepared before, and nothing else: no
    // allocation, no lock.
    unsafe {
        command.pre_exec(move || {
            limits::set(nofile);
            child_entry.carry_out().map_err(|(step, errno)| {
                // If this fails too, the error is shown without the step.
                let _ = rustix::io::write(&writer, &[step as u8]);
                errno.into()
            })
        });
    }
    let error = match spawn(&mut command) {
        Ok(child) => return Ok(child),
        Err(error) => error,
    };
    // The kernel's word where the first process of a PID namespace has ended.
    if error.raw_os_error() == Some(libc::ENOMEM) && place.processes().is_ok_and(|own| own.is_some()) {
        return Err(place.ended().into());
    }
    let failure = Failure::run(&command, &error);
    // With the command goes the last writing end here.
    drop(command);
    match failed_step(reader) {
        Some(step) => Err(entry.explain(step, error).into()),
        None => Err(failure),
    }
}

/// The step in which a child failed, if it was before it became the program.
fn failed_step(mut reader: PipeReader) -> Option<Step> {
    let mut byte = [0];
    match std::io::Read::read(&mut reader, &mut byte) {
        Ok(1) => Step::from_byte(byte[0]),
        _ => None,
    }
}
