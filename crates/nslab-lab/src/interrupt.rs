//! Ctrl-C: a change of a lab that shall not go on is taken back, not cut off.

use std::sync::atomic::{AtomicBool, Ordering};

/// What asks a program to end, from a terminal or from whoever started it.
const SIGNALS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Set when one of them came.
static CAME: AtomicBool = AtomicBool::new(false);

/// Whether a change is to end early. By default it never is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Interrupt {
    flag: Option<&'static AtomicBool>,
}

impl Interrupt {
    /// One that comes when `flag` is set.
    pub fn when(flag: &'static AtomicBool) -> Self {
        Self { flag: Some(flag) }
    }

    /// Whether it has come.
    pub fn has_come(self) -> bool {
        self.flag.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Waits, before anything was changed, with signals doing what they do in any program: ending it. `None` if one
    /// came before.
    pub(crate) fn standing_aside<T>(self, wait: impl FnOnce() -> T) -> Option<T> {
        let caught: Vec<_> =
            SIGNALS.into_iter().filter(|&signal| action(signal) == Some(catching())).collect();
        for &signal in &caught {
            set(signal, libc::SIG_DFL, 0);
        }
        // Only now, as one may have come until then.
        if self.has_come() {
            return None;
        }
        let result = wait();
        for &signal in &caught {
            set(signal, catching(), libc::SA_RESETHAND);
        }
        Some(result)
    }
}

/// While this lives, the first signal of each kind does not end the process but is told by [`Caught::interrupt`]; a
/// second one ends it. What was ignored before (`nohup`) stays ignored.
#[derive(Debug)]
pub struct Caught {
    /// The signals whose handling was changed.
    signals: Vec<libc::c_int>,
}

impl Caught {
    /// Begins to catch.
    pub fn new() -> Self {
        CAME.store(false, Ordering::Relaxed);
        let signals = SIGNALS.into_iter().filter(|&signal| action(signal) == Some(libc::SIG_DFL));
        let signals = signals.filter(|&signal| set(signal, catching(), libc::SA_RESETHAND)).collect();
        Self { signals }
    }

    /// Tells of what came.
    pub fn interrupt(&self) -> Interrupt {
        Interrupt::when(&CAME)
    }
}

impl Default for Caught {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        for &signal in &self.signals {
            set(signal, libc::SIG_DFL, 0);
        }
    }
}

/// The handler, as the kernel takes it.
fn catching() -> libc::sighandler_t {
    let note: extern "C" fn(libc::c_int) = note;
    note as libc::sighandler_t
}

extern "C" fn note(_: libc::c_int) {
    CAME.store(true, Ordering::Relaxed);
}

/// What a signal does now.
fn action(signal: libc::c_int) -> Option<libc::sighandler_t> {
    // SAFETY: all zeroes is a valid value of the struct, and sigaction only writes to it.
    unsafe {
        let mut now = std::mem::zeroed::<libc::sigaction>();
        (libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0).then_some(now.sa_sigaction)
    }
}

fn set(signal: libc::c_int, handler: libc::sighandler_t, flags: libc::c_int) -> bool {
    // SAFETY: all zeroes is a valid value of the struct; the handler, if it is one, only stores to an atomic, which is
    // safe wherever a signal finds the process.
    unsafe {
        let mut wanted = std::mem::zeroed::<libc::sigaction>();
        wanted.sa_sigaction = handler;
        wanted.sa_flags = flags;
        libc::sigaction(signal, &raw const wanted, std::ptr::null_mut()) == 0
    }
}
