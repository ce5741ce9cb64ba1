//! Processes that run in a lab's namespaces, whoever started them.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nslab_kernel::{Namespace, NamespaceId, mark, namespace};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::error::{Context, Result};

/// How long processes have to end by themselves.
const GRACE: Duration = Duration::from_secs(2);
/// How often new processes are looked for after all that were found have ended.
const ROUNDS: usize = 10;

/// Ends all processes in these namespaces, except the calling one: asks (SIGHUP, SIGTERM, SIGCONT), waits, then kills.
/// Returns how many there were. Those of `spared` are left alone: the first processes of PID namespaces, which go last, as
/// with one go all others of its namespace, without having been asked.
///
/// The handles are what it takes and not ids: an id passes on to the next namespace as soon as the one that had it is
/// gone, and with it would the processes that are ended.
pub fn end_in(namespaces: &[Namespace], spared: &[Pid]) -> Result<usize> {
    let ids: HashSet<NamespaceId> =
        namespaces.iter().map(Namespace::id).collect::<nslab_kernel::Result<_>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut ended = 0;
    for _ in 0..ROUNDS {
        let processes = find(&ids, spared)?;
        if processes.is_empty() {
            break;
        }
        ended += processes.len();
        for process in &processes {
            // An interactive shell ignores SIGTERM and heeds SIGHUP; one that is stopped heeds neither before SIGCONT.
            for signal in [Signal::HUP, Signal::TERM, Signal::CONT] {
                process.signal(signal);
            }
        }
        let alive = wait(processes, GRACE)?;
        for process in &alive {
            process.signal(Signal::KILL);
        }
        wait(alive, GRACE)?;
    }
    Ok(ended)
}

/// A process that cannot be mistaken for another, whatever becomes of its number.
struct Process {
    handle: OwnedFd,
}

impl Process {
    fn signal(&self, signal: Signal) {
        // It may have ended meanwhile, which is what is wanted.
        let _ = rustix::process::pidfd_send_signal(&self.handle, signal);
    }
}

/// Opens the processes in these namespaces, but for guests: who captures, traces or takes a snapshot has a thread there for a moment. A
/// number may pass to another process between the look and the opening, so the look is repeated through the opened one.
fn find(ids: &HashSet<NamespaceId>, spared: &[Pid]) -> Result<Vec<Process>> {
    let own = rustix::process::getpid();
    let mut processes = Vec::new();
    for (pid, _) in namespace::processes(ids)? {
        if pid == own || spared.contains(&pid) {
            continue;
        }
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // One that was a guest at the first look may have left before the second, and then it is not there at the third.
        if is_in(pid, ids) && !is_guest(pid, ids) && is_in(pid, ids) {
            processes.push(Process { handle });
        }
    }
    Ok(processes)
}

fn is_in(pid: Pid, ids: &HashSet<NamespaceId>) -> bool {
    Namespace::of_process(pid).and_then(|namespace| namespace.id()).is_ok_and(|id| ids.contains(&id))
}

/// Whether a process comes back to another namespace, where it belongs.
fn is_guest(pid: Pid, ids: &HashSet<NamespaceId>) -> bool {
    let homes = mark::homes(pid);
    !homes.is_empty() && !homes.iter().any(|home| ids.iter().any(|id| id.inode == *home))
}

/// Waits until all have ended or the time is over; returns those that have not.
fn wait(mut processes: Vec<Process>, time: Duration) -> Result<Vec<Process>> {
    let end = Instant::now() + time;
    while !processes.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 2, tv_nsec: 0 });
        let mut polled: Vec<PollFd<'_>> = processes
            .iter()
            .map(|process| PollFd::from_borrowed_fd(process.handle.as_fd(), PollFlags::IN))
            .collect();
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timeout)))
            .context(|| "wait for processes to end")?;
        let ended: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        let mut ended = ended.iter();
        processes.retain(|_| !ended.next().copied().unwrap_or(false));
    }
    Ok(processes)
}
