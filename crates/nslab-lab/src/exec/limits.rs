//! The limit on open files: nslab may need more than the user's soft limit, programs get what the user had.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the limit was before [`raise`].
static ORIGINAL: OnceLock<Rlimit> = OnceLock::new();

/// Raises the number of files that this process may have open as far as the system lets it.
pub fn raise() {
    let before = *ORIGINAL.get_or_init(|| getrlimit(Resource::Nofile));
    set(Some(Rlimit { current: before.maximum, maximum: before.maximum }));
}

/// What the user had, if [`raise`] changed it.
pub(crate) fn original() -> Option<Rlimit> {
    ORIGINAL.get().copied()
}

/// Gives back what the user had, to a program that this process is about to become.
pub(crate) fn restore() {
    set(original());
}

/// Makes one system call, or none.
pub(crate) fn set(limit: Option<Rlimit>) {
    if let Some(limit) = limit {
        // A refusal is no harm: opening too many files says so itself.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
