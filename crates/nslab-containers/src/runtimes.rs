//! What the runtimes keep of containers that run: runc `DIRECTORY/ID/state.json`, crun `DIRECTORY/ID/status`.

use std::path::{Path, PathBuf};

use rustix::process::Pid;
use serde_json::Value;

use crate::read;

/// Where runtimes keep their state, by themselves or for an engine.
const DIRECTORIES: [&str; 6] = [
    "/run/runc",
    "/run/crun",
    "/run/docker/runtime-runc/moby",
    "/run/containerd/runc/k8s.io",
    "/run/containerd/runc/moby",
    "/run/containerd/runc/default",
];

/// A container that a runtime runs.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) runtime: &'static str,
    /// Its first process.
    pid: i64,
    /// When that was started, in clock ticks since boot: its number may have passed to another by now.
    started: Option<u64>,
    /// The directory that the runtime was given.
    pub(crate) bundle: Option<PathBuf>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Runtimes {
    tasks: Vec<Task>,
}

impl Runtimes {
    pub(crate) fn read() -> Self {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = own.iter().flat_map(|own| ["runc", "crun"].map(|name| own.join(name)));
        let mut all = Self::default();
        for directory in DIRECTORIES.iter().map(PathBuf::from).chain(own) {
            all.look(&directory);
        }
        all
    }

    fn look(&mut self, directory: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            self.tasks.extend(task(&entry.path(), id));
        }
    }

    pub(crate) fn of_id(&self, id: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    pub(crate) fn of_pid(&self, pid: Pid) -> Option<&Task> {
        let mut tasks = self.tasks.iter();
        let task = tasks.find(|task| task.pid == i64::from(pid.as_raw_nonzero().get()))?;
        let is_its = task.started.is_none_or(|started| start_time(pid).is_none_or(|own| own == started));
        is_its.then_some(task)
    }
}

fn task(directory: &Path, id: String) -> Option<Task> {
    if let Some(state) = read(&directory.join("state.json")) {
        let labels = state.get("config").and_then(|config| config.get("labels")).and_then(Value::as_array);
        let bundle = labels
            .into_iter()
            .flatten()
            .find_map(|label| label.as_str()?.strip_prefix("bundle="))
            .map(PathBuf::from);
        // A number; runc before 1.0 wrote it as text.
        let started = state.get("init_process_start");
        let started = started.and_then(|own| own.as_u64().or_else(|| own.as_str()?.parse().ok()));
        let pid = state.get("init_process_pid")?.as_i64()?;
        return Some(Task { id, runtime: "runc", pid, started, bundle });
    }
    let status = read(&directory.join("status"))?;
    let bundle = status.get("bundle").and_then(Value::as_str).map(PathBuf::from);
    let started = status.get("process-start-time").and_then(Value::as_u64);
    Some(Task { id, runtime: "crun", pid: status.get("pid")?.as_i64()?, started, bundle })
}

/// When a process was started, in clock ticks since boot: field 22 of `/proc/PID/stat`, see `proc_pid_stat(5)`.
fn start_time(pid: Pid) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The second field is a name in parentheses, which may hold anything.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let run = tempfile::tempdir().unwrap();
        for (id, file, text) in [
            (
                "web",
                "state.json",
                r#"{"init_process_pid": 7, "config": {"labels": ["x=y", "bundle=/b/web"]}}"#,
            ),
            ("db", "status", r#"{"pid": 8, "bundle": "/b/db"}"#),
            ("broken", "state.json", "{"),
            ("empty", "nothing", ""),
        ] {
            std::fs::create_dir(run.path().join(id)).unwrap();
            std::fs::write(run.path().join(id).join(file), text).unwrap();
        }
        let mut all = Runtimes::default();
        all.look(run.path());
        assert_eq!(all.tasks.len(), 2);
        let web = all.of_pid(Pid::from_raw(7).unwrap()).unwrap();
        assert_eq!(
            (&web.id[..], web.runtime, web.bundle.as_deref()),
            ("web", "runc", Some(Path::new("/b/web")))
        );
        let db = all.of_id("db").unwrap();
        assert_eq!((db.pid, db.runtime, db.bundle.as_deref()), (8, "crun", Some(Path::new("/b/db"))));
    }

    #[test]
    fn a_number_that_passed_to_another_process() {
        let own = rustix::process::getpid();
        let started = start_time(own).unwrap();
        for (text, is_its) in [
            (format!("{started}"), true),
            (format!("\"{started}\""), true),
            (format!("{}", started - 1), false),
            ("null".to_owned(), true),
        ] {
            let run = tempfile::tempdir().unwrap();
            let directory = run.path().join("web");
            std::fs::create_dir(&directory).unwrap();
            let state =
                format!(r#"{{"init_process_pid": {}, "init_process_start": {text}}}"#, own.as_raw_nonzero());
            std::fs::write(directory.join("state.json"), state).unwrap();
            let mut all = Runtimes::default();
            all.look(run.path());
            assert_eq!(all.of_pid(own).is_some(), is_its, "{text}");
        }
    }
}
