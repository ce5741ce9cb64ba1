//! Starting one program.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::Pid;

use super::table::MARK;
use super::view::View;
use crate::exec::{self, signals};
use crate::programs::message::Start;

/// A program that was started.
pub(super) struct Started {
    pub(super) pid: Pid,
    /// The first process of its node, if that has processes of its own.
    pub(super) init: Option<Pid>,
}

/// Starts a program in its node; says what is wrong if that fails.
pub(super) fn start(view: &View, request: &Start, mark: &str) -> Result<Started, String> {
    if request.name.is_empty() || request.name.contains('/') {
        return Err(format!("{:?} cannot be a program's name", request.name));
    }
    let mut place = view.place(&request.node).map_err(|error| error.to_string())?;
    place.directory = Some(request.directory.clone());
    // Without a view of the node's own, what is not there now has been taken away.
    place.directory_is_optional = request.directory_is_optional && place.view.is_some();
    place.as_user(request.user.as_deref()).map_err(|error| error.to_string())?;
    let mut command = command(&request.command).ok_or("there is nothing to run")?;
    let log = open_log(view, request)?;
    let log_too = log.try_clone().map_err(|error| error.to_string())?;
    command
        .env_clear()
        .envs(&request.inherited)
        .envs(place.user_environment())
        .envs(&place.env)
        .envs(&request.env)
        .env(MARK, mark)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too);
    // SAFETY: between fork and exec the closure makes system calls only.
    unsafe {
        command.pre_exec(|| {
            signals::reset_all();
            rustix::process::setsid()?;
            Ok(())
        });
    }
    let child = exec::spawn(&place, command).map_err(|failure| failure.to_string())?;
    // The keeper's loop reaps it.
    Ok(Started { pid: Pid::from_child(&child), init: place.first_process() })
}

/// One string is for the shell, several are a program and its arguments.
pub(in crate::programs) fn command(words: &[String]) -> Option<Command> {
    match words {
        [] => None,
        [line] => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(line);
            Some(command)
        }
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments);
            Some(command)
        }
    }
}

fn open_log(view: &View, request: &Start) -> Result<File, String> {
    let path = view.paths().log(&request.node, &request.name);
    let open = || OpenOptions::new().append(true).create(true).open(&path);
    let open = match open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(view.paths().logs()).and_then(|()| open())
        }
        result => result,
    };
    open.map_err(|error| format!("its log {} cannot be opened: {error}", path.display()))
}
