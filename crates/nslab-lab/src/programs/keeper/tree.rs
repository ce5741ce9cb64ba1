//! The host's processes, as far as they descend from this one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

/// One process at the moment it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    parent: Option<Pid>,
    /// None where the session's leader is not of this process's PID namespace, which the kernel writes as 0: in a
    /// container entered from outside, or below an init that never made a session.
    pub(super) session: Option<Pid>,
    /// In clock ticks since boot: with the pid it tells processes apart.
    started: u64,
    /// It has ended and waits for its parent to take note.
    is_dead: bool,
}

impl Process {
    pub(super) fn read(pid: Pid) -> Option<Self> {
        // One read gets all of it, which matters where there are thousands.
        let mut stat = [0; 1024];
        let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
        Self::parse(pid, &stat[..length])
    }

    /// Reads `/proc/PID/stat`, see `proc_pid_stat(5)`.
    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        // The second field is a name in parentheses, which may hold anything, also parentheses.
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
        let is_dead = matches!(fields.next()?, "Z" | "X" | "x");
        // The group and the session of one that is just being released are written as -1 (`do_task_stat` in
        // fs/proc/array.c); none is 0.
        let pid_or_none = |field: &str| Some(Pid::from_raw(field.parse::<i32>().ok()?.max(0)));
        let parent = pid_or_none(fields.next()?)?;
        let _group = fields.next()?;
        let session = pid_or_none(fields.next()?)?;
        // The session is field 6, the start time 22.
        let started = fields.nth(15)?.parse().ok()?;
        Some(Self { pid, parent, session, started, is_dead })
    }

    /// Whether both are the same process, seen at two times.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }

    /// Sends it a signal: to it, never to a process that got its pid later.
    pub(super) fn signal(&self, signal: Signal) {
        let Ok(handle) = rustix::process::pidfd_open(self.pid, PidfdFlags::empty()) else { return };
        // The handle is of the process that was looked at, if that has the pid now.
        if Self::read(self.pid).is_some_and(|now| now.is_same(self)) {
            let _ = rustix::process::pidfd_send_signal(&handle, signal);
        }
    }

    /// A variable of the environment that it was executed with.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.environment()
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .and_then(|value| String::from_utf8(value.to_vec()).ok())
    }

    /// While another program is being executed the environment seems empty, so an empty one is looked at again.
    fn environment(&self) -> Vec<u8> {
        for _ in 0..10 {
            match std::fs::read(format!("/proc/{}/environ", self.pid)) {
                Ok(environment) if environment.is_empty() => std::thread::sleep(Duration::from_micros(200)),
                result => return result.unwrap_or_default(),
            }
        }
        Vec::new()
    }
}

/// All processes of the host.
#[derive(Debug)]
pub(super) struct Processes {
    by_pid: HashMap<Pid, Process>,
}

impl Processes {
    pub(super) fn read() -> Self {
        let by_pid = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let pid = Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?)?;
                Some((pid, Process::read(pid)?))
            })
            .collect();
        Self { by_pid }
    }

    /// Whether a process that was seen before still lives.
    pub(super) fn still_has(&self, process: &Process) -> bool {
        self.by_pid.get(&process.pid).is_some_and(|now| now.is_same(process) && !now.is_dead)
    }

    /// The living descendants of this process and of `inits`, without these themselves, each with what `of_child` says of
    /// their child that it descends from.
    pub(super) fn below_this_process<T>(
        &self,
        inits: &[Process],
        mut of_child: impl FnMut(&Process) -> T,
    ) -> Vec<(Process, T)> {
        let inits = inits.iter().filter(|init| self.still_has(init)).map(|init| init.pid);
        let tops: Vec<Pid> = std::iter::once(rustix::process::getpid()).chain(inits).collect();
        self.by_pid
            .values()
            .filter(|process| !process.is_dead && !tops.contains(&process.pid))
            .filter_map(|process| Some((*process, of_child(self.ancestor_below(&tops, process)?))))
            .collect()
    }

    /// The ancestor, or the process itself, whose parent is one of `tops`.
    fn ancestor_below<'a>(&'a self, tops: &[Pid], process: &'a Process) -> Option<&'a Process> {
        let mut ancestor = process;
        // The list was not read at once, so that reused pids could make it a ring.
        for _ in 0..self.by_pid.len() {
            let parent = ancestor.parent?;
            if tops.contains(&parent) {
                return Some(ancestor);
            }
            ancestor = self.by_pid.get(&parent)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_an_awkward_name() {
        let pid = Pid::from_raw(42).unwrap();
        let stat = b"42 (a) b (c) S 7 40 39 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 98765 1000 10";
        let process = Process::parse(pid, stat).unwrap();
        assert_eq!(process.parent.map(|pid| pid.as_raw_nonzero().get()), Some(7));
        assert_eq!(process.session.map(|pid| pid.as_raw_nonzero().get()), Some(39));
        assert_eq!(process.started, 98765);
        assert!(!process.is_dead);
        assert!(Process::parse(pid, b"42 (a) S").is_none());
    }

    #[test]
    fn stat_in_a_session_from_outside() {
        let pid = Pid::from_raw(42).unwrap();
        let stat = b"42 (cat) S 7 0 0 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 98765 1000 10";
        let process = Process::parse(pid, stat).unwrap();
        assert_eq!(process.session, None);
        assert_eq!(process.started, 98765);
    }

    #[test]
    fn stat_of_one_that_is_being_released() {
        let pid = Pid::from_raw(42).unwrap();
        let stat = b"42 (cat) X 0 -1 -1 0 -1 4228108 100 0 0 0 1 2 0 0 20 0 0 0 98765 0 0";
        let process = Process::parse(pid, stat).unwrap();
        assert_eq!((process.parent, process.session), (None, None));
        assert!(process.is_dead);
    }

    #[test]
    fn finds_its_own_child() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let below = Processes::read().below_this_process(&[], |process| process.pid);
        let found = below.iter().find(|(process, _)| process.pid == Pid::from_child(&child)).copied();
        child.kill().unwrap();
        child.wait().unwrap();
        let (process, top) = found.expect("the child is below this process");
        assert_eq!(top, process.pid);
    }

    #[test]
    fn what_was_left_behind_is_below_the_first_process_of_its_node() {
        let process = |number: i32, parent: i32| Process {
            pid: Pid::from_raw(number).unwrap(),
            parent: Pid::from_raw(parent),
            session: None,
            started: 7,
            is_dead: false,
        };
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let at = |offset: i32| own.wrapping_add(offset);
        // A program, the first process of its node, a daemon with a child, and what is nobody's.
        let all = [(1, own), (2, 1), (3, at(2)), (4, at(3)), (5, 1)];
        let all = all.map(|(offset, parent)| process(at(offset), parent));
        let processes = Processes { by_pid: all.iter().map(|one| (one.pid, *one)).collect() };
        let below = |init: Process| {
            let below = processes.below_this_process(&[init], |child| child.pid);
            let offset = |pid: Pid| pid.as_raw_nonzero().get() - own;
            let mut below: Vec<_> =
                below.iter().map(|(one, child)| (offset(one.pid), offset(*child))).collect();
            below.sort_unstable();
            below
        };
        assert_eq!(below(all[1]), [(1, 1), (3, 3), (4, 3)]);
        // Its pid has passed to another process.
        assert_eq!(below(Process { started: 6, ..all[1] }), [(1, 1)]);
    }
}
