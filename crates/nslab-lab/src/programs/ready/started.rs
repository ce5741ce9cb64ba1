//! Whether a text for the shell has got to a command.
//!
//! Of a program that is given as a list, `execve` itself says whether it is there. What a text names is known to the
//! shell alone, which says so when it gets there: by ending with 127. So nobody is asked to be quick: `up` waits until
//! the text has got somewhere or has ended, however long a busy machine takes, and an end with a failure before that is
//! a failure of `up`. The text has got somewhere when one of its processes
//!
//! - is another program than the shell;
//! - is a shell that waits, for something other than a process of its own: for what it reads, say;
//! - is a shell that has used so much CPU time that it is busy with itself, as in a loop of built-in commands.
//!
//! It cannot be exact in more than that: of a text with several commands (`mkdir x; serve`) the first is enough, and the
//! one that is missing may come hours later.

use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// The CPU time in which every shell has read its text and looked up its first command, in clock ticks of `USER_HZ`, 100
/// a second (`include/asm-generic/param.h`): it takes about a thousandth of a second.
const STARTED: u64 = 10;
/// As many levels of shells within shells are looked into.
const DEEPEST: usize = 32;

/// A text that a shell works on.
pub(super) struct Text {
    shell: Pid,
    /// The shell's file.
    executed: Option<PathBuf>,
}

impl Text {
    pub(super) fn new(shell: Pid) -> Self {
        Self { shell, executed: std::fs::canonicalize("/bin/sh").ok() }
    }

    /// Whether it has got to a command. Not so of one that has ended.
    pub(super) fn has_started(&self) -> bool {
        self.executed.as_deref().is_none_or(|shell| has_started(&self.shell.to_string(), shell, DEEPEST))
    }
}

fn has_started(pid: &str, shell: &Path, depth: usize) -> bool {
    // There is no such link any more when a process has ended, which is for others to see.
    if std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|executed| executed != shell) {
        return true;
    }
    let Some(before) = Look::at(pid) else { return false };
    let children = children(pid);
    if children.is_empty() {
        // The same before and after: it had no process of its own in between, which it might have waited for.
        return before.is_started() && (!before.waits() || Look::at(pid).as_ref() == Some(&before));
    }
    depth > 0 && children.iter().any(|child| has_started(child, shell, depth - 1))
}

/// `/proc/PID/task/PID/children`, of kernels with `CONFIG_PROC_CHILDREN`.
fn children(pid: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The state of a process, with the counters that move when it does anything (`proc_pid_stat(5)`).
#[derive(Debug, PartialEq, Eq)]
struct Look {
    fields: Vec<String>,
}

impl Look {
    fn at(pid: &str) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything. The first field after it is number 3.
        let fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect();
        Some(Self { fields })
    }

    fn field(&self, number: usize) -> Option<&str> {
        self.fields.get(number - 3).map(String::as_str)
    }

    /// It sleeps and can be interrupted, or was stopped. A wait for a disk, as for the shell's own file, is another.
    fn waits(&self) -> bool {
        matches!(self.field(3), Some("S" | "T" | "t"))
    }

    fn is_started(&self) -> bool {
        // utime and stime.
        let used = |number| self.field(number).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
        self.waits() || used(14) + used(15) >= STARTED
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// A shell at work; all of it is killed with the test.
    struct Shell(Child);

    impl Shell {
        fn new(text: &str) -> Self {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", text]).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
            Self(command.stderr(Stdio::null()).spawn().unwrap())
        }

        fn text(&self) -> Text {
            Text::new(Pid::from_child(&self.0))
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ =
                rustix::process::kill_process_group(Pid::from_child(&self.0), rustix::process::Signal::KILL);
            let _ = self.0.wait();
        }
    }

    #[test]
    fn whatever_it_does_it_is_seen() {
        for text in [
            "exec sleep 1000",
            "sleep 1000; :",
            "(sleep 1000; :) & wait",
            "while :; do sleep 1; done",
            "while :; do :; done",
            "while :; do :; done & wait",
            "read line",
            "(read line; :); :",
            "kill -STOP $$",
        ] {
            let shell = Shell::new(text);
            let begun = Instant::now();
            while !shell.text().has_started() {
                assert!(begun.elapsed() < LIMIT, "{text}");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn what_is_not_there_never_starts() {
        for text in
            ["no-such-program", "no-such-program 1 2; exit", "cd / && no-such-program", "(no-such-program)"]
        {
            let mut shell = Shell::new(text);
            let seen = shell.text();
            // Until its output ends no look may say that it got anywhere.
            let mut output = shell.0.stdout.take().unwrap();
            let reader = std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
            while !reader.is_finished() {
                assert!(!seen.has_started(), "{text}");
            }
            assert_eq!(shell.0.wait().unwrap().code(), Some(127), "{text}");
            assert!(!seen.has_started(), "{text}");
        }
    }

    #[test]
    fn looks() {
        let look = |state: &str, utime: &str| {
            let line = format!("7 (a) b) {state} 1 7 7 0 -1 4194304 100 0 0 0 {utime} 2 0 0 20 0 1 0 98765");
            Look::parse(&line).unwrap()
        };
        assert!(look("S", "0").is_started() && look("T", "0").is_started());
        assert!(!look("R", "7").is_started() && !look("D", "0").is_started());
        assert!(look("R", "8").is_started());
        assert!(Look::parse("nonsense").is_none());
    }
}
