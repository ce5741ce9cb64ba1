//! Why there are no tracepoints.

use std::io;

/// Why programs cannot be put at the kernel's tracepoints here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The kernel allows it to root alone, or to `CAP_BPF` with `CAP_PERFMON`, in the first user namespace.
    #[error("the kernel lets only root put programs at tracepoints")]
    NotPermitted,
    /// The kernel does not tell its types (`/sys/kernel/btf/vmlinux` is not there).
    #[error("the kernel does not tell its types: there is no {path}")]
    NoTypes {
        /// The file.
        path: &'static str,
    },
    /// The types cannot be read or make no sense.
    #[error("the kernel's types ({path}) cannot be read: {why}")]
    BadTypes {
        /// The file.
        path: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The kernel is locked down for confidentiality (`kernel_lockdown(7)`): programs may not read its memory.
    #[error("the kernel is locked down (confidentiality): programs may not look into it")]
    LockedDown,
    /// The kernel has no ring buffers for programs, which came with Linux 5.8.
    #[error("this kernel has no ring buffers for programs of BPF")]
    NoRing,
    /// The kernel knows no programs at all.
    #[error("this kernel has no BPF")]
    NoBpf,
    /// The kernel has no such tracepoint, or a form of it that is not known here.
    #[error("this kernel has no tracepoint {name} of a form that is known")]
    NoTracepoint {
        /// Its name.
        name: &'static str,
    },
    /// More namespaces than can be told apart in the kernel at once.
    #[error("more namespaces than {most} cannot be told apart in the kernel")]
    TooMany {
        /// So many can.
        most: u32,
    },
    /// The kernel refused something else.
    #[error("the kernel refused {what}: {why}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// Its words, all of them.
        why: String,
    },
}

impl Unavailable {
    /// What to do about it, in words; none if nothing can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotPermitted => {
                Some("run it as root, or with CAP_BPF and CAP_PERFMON outside of user namespaces")
            }
            Self::NoTypes { .. } => Some("it needs a kernel built with CONFIG_DEBUG_INFO_BTF"),
            Self::LockedDown => {
                Some("boot without lockdown=confidentiality; lockdown=integrity is no obstacle")
            }
            Self::NoRing => Some("it needs Linux 5.8 or newer"),
            Self::NoBpf => Some("it needs a kernel built with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS"),
            Self::NoTracepoint { .. } => {
                Some("it needs a kernel built with CONFIG_TRACEPOINTS and CONFIG_BPF_EVENTS")
            }
            Self::TooMany { .. } => Some("name fewer, or take all of the host"),
            Self::BadTypes { .. } | Self::Refused { .. } => None,
        }
    }

    /// What an error of loading means.
    pub(crate) fn of(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let errno = errno(error);
        match errno {
            // Helpers that read the kernel's memory are not there then (`bpf_tracing_func_proto`).
            Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS | rustix::io::Errno::INVAL)
                if is_locked_down() =>
            {
                Self::LockedDown
            }
            Some(rustix::io::Errno::PERM) => Self::NotPermitted,
            Some(rustix::io::Errno::NOSYS) => Self::NoBpf,
            _ => Self::Refused { what: what.to_owned(), why: whole(error) },
        }
    }
}

/// The number of the system's error that is behind an error.
pub(crate) fn errno(error: &(dyn std::error::Error + 'static)) -> Option<rustix::io::Errno> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return rustix::io::Errno::from_io_error(error);
        }
        next = error.source();
    }
    None
}

/// An error with all that is behind it, on one line.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    // What the verifier says is long; its end has the reason.
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match &lines[..] {
        [first, .., _, _] if lines.len() > 6 => {
            let last = lines[lines.len() - 5..].join("; ");
            format!("{first}; …; {last}")
        }
        _ => lines.join("; "),
    }
}

/// Whether the kernel keeps even root from reading its memory (`security/lockdown/lockdown.c`).
fn is_locked_down() -> bool {
    std::fs::read_to_string("/sys/kernel/security/lockdown")
        .is_ok_and(|text| text.contains("[confidentiality]"))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_number_is_found_wherever_it_is() {
        let error = Outer(io::Error::from_raw_os_error(1));
        assert!(matches!(Unavailable::of("x", &error), Unavailable::NotPermitted | Unavailable::LockedDown));
        assert!(matches!(Unavailable::of("x", &Outer(io::Error::from_raw_os_error(38))), Unavailable::NoBpf));
        let other = Unavailable::of("the map", &Outer(io::Error::from_raw_os_error(12)));
        assert!(other.to_string().starts_with("the kernel refused the map: outer: "), "{other}");
        assert!(other.source().is_none() && other.hint().is_none());
    }

    #[test]
    fn of_long_words_the_end_is_kept() {
        let long: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let error = io::Error::other(long.join("\n"));
        assert_eq!(whole(&error), "0; …; 95; 96; 97; 98; 99");
    }
}
