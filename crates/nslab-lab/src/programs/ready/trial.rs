//! Running a command in a node to see whether it succeeds.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nslab_topology::model::Program;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::wait_for;
use crate::error::{Context, Result};
use crate::exec::{self, Place};
use crate::paths::LabPaths;
use crate::programs::keeper::command;

/// One that hangs is stopped after this, and tried again.
const LONGEST: Duration = Duration::from_secs(5);

pub(super) struct Trial<'a> {
    pub(super) paths: &'a LabPaths,
    pub(super) node: &'a str,
    pub(super) directory: &'a Path,
    pub(super) program: &'a Program,
    pub(super) words: &'a [String],
}

impl Trial<'_> {
    /// Runs it once.
    pub(super) fn succeeds(&self, deadline: Instant) -> Result<bool> {
        let Some(mut command) = command(self.words) else { return Ok(true) };
        let mut place = Place::for_node(self.paths, self.node)?;
        place.directory = Some(self.directory.to_owned());
        place.directory_is_optional = self.program.directory.is_none() && place.view.is_some();
        place.as_user(self.program.user.as_deref())?;
        // A group of its own, so that all of it can be stopped.
        command
            .envs(place.user_environment())
            .envs(&place.env)
            .envs(&self.program.env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = exec::spawn(&place, command)?;
        let pid = Pid::from_child(&child);
        let handle =
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).context(|| "watch a process (pidfd)")?;
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait_for(&handle, left.min(LONGEST)) {
            // It has not been waited for, so the group is its own still.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        Ok(child.wait().context(|| "wait for a process")?.success())
    }
}
