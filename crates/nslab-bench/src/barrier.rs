//! Waits until the kernel has finished taking namespaces away.
//!
//! The kernel takes a namespace away some time after its last user let go, on a workqueue with one worker, in batches
//! in the order in which they were let go. Nothing announces the end. What can be seen is a *count*: a namespace is
//! counted against its user namespace's `max_net_namespaces` until the very last step of its batch (after all devices
//! are gone and the last RCU callback ran). So a helper in a user namespace where one network namespace is allowed
//! holds one, the *sentinel*; lets go of it after the teardown that is measured; and tries to make the next until the
//! kernel permits it. All that was let go of before the sentinel is gone by then.
//!
//! It is too long by one batch with nothing but the sentinel in it where the workqueue had begun on the last of the
//! others already. [`Barrier::idle`] is how long that takes: tens of milliseconds, all of it RCU grace periods.
//!
//! One thing can come after the sentinel: a closed netlink socket holds its namespace until an RCU callback has run.
//! Each batch ends with `rcu_barrier()`, so a second wait finds what came late: [`Barrier::finished`].

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Doing, Result};
use crate::sys;

/// What the helper is called as: this program with this in its environment.
pub const ROLE: &str = "barrier";

/// The helper's end here.
#[derive(Debug)]
pub struct Barrier {
    helper: Child,
    ask: ChildStdin,
    answer: ChildStdout,
    idle: Duration,
}

impl Barrier {
    /// Starts the helper.
    pub fn start() -> Result<Self> {
        let failed = || "start the helper that watches namespaces go".to_owned();
        let mut helper = Command::new("/proc/self/exe")
            .arg0("nslab-bench-barrier")
            .env(crate::sandbox::ROLE_VARIABLE, ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(failed)?;
        let missing = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let ask = helper.stdin.take().ok_or_else(missing).doing(failed)?;
        let mut answer = helper.stdout.take().ok_or_else(missing).doing(failed)?;
        answer.read_exact(&mut [0]).doing(failed)?;
        let mut barrier = Self { helper, ask, answer, idle: Duration::ZERO };
        let mut waits: Vec<Duration> = (0..7).map(|_| barrier.wait()).collect::<Result<_>>()?;
        waits.sort();
        barrier.idle = waits[3];
        Ok(barrier)
    }

    /// How long waiting takes where there is nothing to wait for.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// When all namespaces that have been let go of were gone, even those held by closed sockets. Returns later.
    pub fn finished(&mut self) -> Result<Instant> {
        self.wait()?;
        let first = Instant::now();
        // Where namespaces came late, the second batch has their work in it as well.
        let late = self.wait()? > 2 * self.idle + Duration::from_millis(5);
        Ok(if late { Instant::now() } else { first })
    }

    /// Returns when all namespaces that have been let go of are gone. How long that took.
    pub fn wait(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let failed = || "wait for namespaces to go".to_owned();
        self.ask.write_all(&[0]).doing(failed)?;
        self.answer.read_exact(&mut [0]).doing(failed)?;
        Ok(start.elapsed())
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        sys::kill(self.helper.id());
        let _ = self.helper.wait();
    }
}

/// The helper's own life: one byte in, one byte out when the namespaces are gone.
pub fn helper() -> Result<()> {
    let failed = || "prepare the helper's user namespace".to_owned();
    sys::die_with_parent().doing(failed)?;
    sys::unshare(libc::CLONE_NEWUSER).doing(failed)?;
    std::fs::write("/proc/sys/user/max_net_namespaces", "1").doing(failed)?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut sentinel = Sentinel::make()?;
    loop {
        let answered = output.write_all(&[0]).and_then(|()| output.flush());
        if answered.is_err() || input.read_exact(&mut [0]).is_err() {
            return Ok(());
        }
        sentinel.drop();
        sentinel = Sentinel::make()?;
    }
}

/// A network namespace held by a thread and nothing else.
struct Sentinel {
    hold: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Sentinel {
    /// Tries until the kernel permits it.
    fn make() -> Result<Self> {
        let (hold, held) = mpsc::channel::<()>();
        let (made, wait) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let _ = sys::precise_sleeps();
            let outcome = loop {
                match sys::unshare(libc::CLONE_NEWNET) {
                    Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                    outcome => break outcome,
                }
            };
            let _ = made.send(outcome);
            // Ends when the other side is dropped.
            let _ = held.recv();
        });
        wait.recv()
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .doing(|| "make a namespace".to_owned())?;
        Ok(Self { hold, thread })
    }

    fn drop(self) {
        drop(self.hold);
        let _ = self.thread.join();
    }
}
