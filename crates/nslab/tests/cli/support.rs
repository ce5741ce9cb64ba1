//! A user's session: the program in a directory of its own, with labs that go away with the test.

mod talking;

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use talking::Talking;

/// Whom the tests become when root runs them and an ordinary user is wanted.
const NOBODY: u32 = 65534;
/// No command of a test takes nearly as long.
const LIMIT: Duration = Duration::from_secs(120);
/// Nor does any test: what still runs then is killed, so that whoever waits for its words fails with those that it said.
const LONGEST: Duration = Duration::from_secs(300);

/// Two nodes on a cable.
pub(crate) const PAIR: &str = "
nodes: {red: {}, blue: {}}
links: [[red:eth0 10.0.0.1/24, blue:eth0 10.0.0.2/24]]
";

/// Two hosts with a router between them.
pub(crate) const ROUTED: &str = "
addressing: {ipv6: none}
nodes: {red: {}, fw: {forward: true}, blue: {}}
links:
  - [red:eth0 10.0.0.2/24, fw:lan 10.0.0.1/24]
  - [blue:eth0 10.0.1.2/24, fw:wan 10.0.1.1/24]
";

/// Declares each function, which takes a session, as two tests: as root and as an ordinary user.
macro_rules! each_user {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn as_root() {
                $crate::support::Session::of_root().iter().for_each(super::$name);
            }
            #[test]
            fn as_user() {
                $crate::support::Session::of_user().iter().for_each(super::$name);
            }
        }
    )*};
}
pub(crate) use each_user;

/// As [`each_user`], with a machine to themselves as far as snapshots look: no other test's namespaces.
macro_rules! each_user_alone {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn as_root() {
                $crate::support::Session::of_root().map(|one| one.alone()).iter().for_each(super::$name);
            }
            #[test]
            fn as_user() {
                $crate::support::Session::of_user().map(|one| one.alone()).iter().for_each(super::$name);
            }
        }
    )*};
}
pub(crate) use each_user_alone;

/// Declares each function as a test as root, with a machine to itself as far as snapshots look.
macro_rules! as_root_alone {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn as_root() {
                $crate::support::Session::of_root().map(|one| one.alone()).iter().for_each(super::$name);
            }
        }
    )*};
}
pub(crate) use as_root_alone;

/// Declares each function as a test as an ordinary user, whose labs nobody else sees.
macro_rules! as_user {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn as_user() {
                $crate::support::Session::of_user().iter().for_each(super::$name);
            }
        }
    )*};
}
pub(crate) use as_user;

/// Declares each function as a test as root.
macro_rules! as_root {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn as_root() {
                $crate::support::Session::of_root().iter().for_each(super::$name);
            }
        }
    )*};
}
pub(crate) use as_root;

/// Where a user works.
pub(crate) struct Session {
    program: Program,
    /// The user to become; `None` for who runs the tests.
    user: Option<u32>,
    /// Labs are in the host's `/run`, together with those of others.
    pub(crate) is_root: bool,
    directory: TempDir,
    labs: Mutex<Vec<String>>,
    world: Option<World>,
}

/// A PID and a mount namespace with a `/proc` and a `/run` of their own.
struct World {
    /// Ends with its first process, and all that is in it.
    _keeper: Running,
    /// That first process.
    init: u32,
}

impl World {
    fn new() -> Self {
        let mut keeper = Command::new("unshare");
        keeper.args(["--pid", "--mount", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]);
        keeper.arg("mount -t tmpfs tmpfs /run && mkdir /run/netns && echo ready && exec sleep infinity");
        keeper.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut keeper = Running::start(keeper);
        let mut ready = [0; 6];
        keeper.child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        let id = keeper.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        Self { _keeper: keeper, init: children.trim().parse().unwrap() }
    }
}

impl Session {
    /// Root's; none where the tests run without privilege.
    pub(crate) fn of_root() -> Option<Self> {
        let is_root = !nslab::lab::rootless::needed();
        // As an ordinary user these are tests that there are not, rather than some that cannot run.
        is_root.then(|| Self::new(Program::Built, None, true))
    }

    /// An ordinary user's; none, with the reason said, where users may not have user namespaces.
    pub(crate) fn of_user() -> Option<Self> {
        let session = if rustix::process::geteuid().is_root() {
            Self::new(Program::Copy(copy_for_all()), Some(NOBODY), false)
        } else {
            Self::new(Program::Built, None, false)
        };
        let probe = session.run(["up", "--empty", "probe"]);
        if probe.code == Some(3) {
            nslab_testing::skip(&probe.stderr);
            return None;
        }
        probe.ok();
        session.ok(["down", "probe"]);
        Some(session)
    }

    fn new(program: Program, user: Option<u32>, is_root: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("nslab-cli-").tempdir().unwrap();
        let session = Self { program, user, is_root, directory, labs: Mutex::default(), world: None };
        session.hand_over(session.directory());
        std::fs::create_dir(session.runtime_parent()).unwrap();
        session.hand_over(&session.runtime_parent());
        std::fs::set_permissions(session.runtime_parent(), std::fs::Permissions::from_mode(0o700)).unwrap();
        session
    }

    /// In a world of its own, where that can be made.
    pub(crate) fn alone(mut self) -> Self {
        self.world = rustix::process::geteuid().is_root().then(World::new);
        self
    }

    /// Gives a file to the session's user.
    pub(crate) fn hand_over(&self, path: &Path) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user)).unwrap();
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn runtime_parent(&self) -> PathBuf {
        self.directory().join("runtime")
    }

    /// Where an ordinary user's commands meet; there is nothing while there is no lab.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.runtime_parent().join("nslab")
    }

    /// A lab's name that nobody else uses; the lab is taken away with the session.
    pub(crate) fn lab(&self, begin: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{begin}-{}-{number}", std::process::id());
        self.labs.lock().unwrap().push(name.clone());
        name
    }

    /// Writes a file into the session's directory.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory().join(name);
        std::fs::write(&path, text).unwrap();
        self.hand_over(&path);
        path
    }

    /// Makes a FIFO in the session's directory.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.directory().join(name);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from(0o644), 0).unwrap();
        self.hand_over(&path);
        path
    }

    /// Writes a lab file; returns the lab's name, and the file's, which lies in the directory of the commands.
    pub(crate) fn lab_file(&self, text: &str) -> (String, String) {
        let lab = self.lab("lab");
        let file = format!("{lab}.yaml");
        self.file(&file, format!("name: {lab}\n{text}"));
        (lab, file)
    }

    /// Builds a lab and returns its name.
    pub(crate) fn up(&self, text: &str) -> String {
        let (lab, file) = self.lab_file(text);
        self.ok(["up", &file]);
        lab
    }

    /// The program, as this user runs it.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.other(self.program());
        command.args(arguments);
        command
    }

    pub(crate) fn program(&self) -> PathBuf {
        match &self.program {
            Program::Built => env!("CARGO_BIN_EXE_nslab").into(),
            Program::Copy(directory) => directory.path().join("nslab"),
        }
    }

    /// Another program, as this user runs it.
    pub(crate) fn other(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.world {
            Some(world) => {
                let mut command = Command::new("nsenter");
                command.args(["-t", &world.init.to_string(), "--pid", "--mount"]);
                if let Some(user) = self.user {
                    command.args(["-S", &user.to_string(), "-G", &user.to_string()]);
                }
                command.arg(format!("--wd={}", self.directory().display()));
                command.arg("--").arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.directory());
        command.env("XDG_RUNTIME_DIR", self.runtime_parent()).env("HOME", self.directory());
        command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COMPLETE");
        // For a user who may not enter what is root's.
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if let Some(user) = self.user.filter(|_| self.world.is_none()) {
            command.uid(user).gid(user);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command(arguments))
    }

    /// Runs the program, which must succeed; returns what it printed.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        self.run(arguments).ok()
    }

    /// As [`Session::ok`], with `--json`.
    pub(crate) fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        let mut command = self.command(arguments);
        command.arg("--json");
        Run::of(command).json()
    }

    /// Fails the test if there is anything of the lab.
    pub(crate) fn assert_nothing_of(&self, lab: &str) {
        if self.is_root && self.world.is_none() {
            assert!(!Path::new("/run/nslab").join(lab).exists(), "{lab} has a directory");
            for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
                let name = entry.file_name().into_string().unwrap();
                assert!(!name.starts_with(&format!("{lab}-")), "there is a namespace {name}");
            }
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
            assert!(!mounts.contains(&format!("/nslab/{lab}/")), "{lab} has mounts");
        } else {
            let labs = self.ok(["ls", "--json"]);
            assert!(!labs.contains(&format!("{lab:?}")), "{labs}");
        }
    }

    /// Fails the test if the user has namespaces, which are there as long as a lab is.
    pub(crate) fn assert_no_holder(&self) {
        // A holder that was asked while other commands were at work ends by itself when they have gone.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !self.is_root && self.runtime().exists() && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        assert!(self.is_root || !self.runtime().exists(), "the holder's directory is there");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let labs = std::mem::take(&mut *self.labs.lock().unwrap());
        if self.is_root {
            for lab in &labs {
                let _ = self.command(["down", lab]).output();
            }
        } else if self.runtime().exists() {
            let _ = self.command(["down", "--all"]).output();
        }
        if !std::thread::panicking() {
            for lab in &labs {
                self.assert_nothing_of(lab);
            }
            self.assert_no_holder();
        }
    }
}

/// Which file is run.
enum Program {
    Built,
    /// As any user may read it, wherever the sources are.
    Copy(Arc<TempDir>),
}

/// A copy of the program outside of directories that only root may enter; it goes away with the last session.
fn copy_for_all() -> Arc<TempDir> {
    static COPY: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    // A test that failed while it held the lock left nothing half done that matters.
    let mut copy = COPY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(copy) = copy.upgrade() {
        return copy;
    }
    let directory = tempfile::Builder::new().prefix("nslab-program-").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (built, path) = (env!("CARGO_BIN_EXE_nslab"), directory.path().join("nslab"));
    if std::fs::hard_link(built, &path).is_err() {
        // By another process: one that is being started elsewhere would have the file open for writing, and nobody could run it (ETXTBSY).
        assert!(Command::new("cp").arg(built).arg(&path).status().unwrap().success());
    }
    let directory = Arc::new(directory);
    *copy = Arc::downgrade(&directory);
    directory
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    shown: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: Command) -> Self {
        Self::with_input(command, b"")
    }

    pub(crate) fn with_input(mut command: Command, input: &[u8]) -> Self {
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let shown = format!("{command:?}");
        let mut running = Running::start(command);
        let stdout = collect(running.child.stdout.take());
        let stderr = collect(running.child.stderr.take());
        if let Some(mut stdin) = running.child.stdin.take() {
            // A program need not read what it gets.
            let _ = stdin.write_all(input);
        }
        let status = running.end();
        let text = |thread: std::thread::JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&thread.join().unwrap()).into()
        };
        let (stdout, stderr): (String, String) = (text(stdout), text(stderr));
        assert!(!stderr.contains("panicked at"), "{shown}: {stderr}");
        Self { shown, code: status.code(), signal: status.signal(), stdout, stderr }
    }

    /// Fails unless it ended with this exit status.
    pub(crate) fn status(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Fails unless it succeeded; returns what it printed.
    pub(crate) fn ok(self) -> String {
        self.status(0).stdout
    }

    pub(crate) fn json(self) -> Value {
        let run = self.status(0);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
    }

    /// Fails unless it said this on standard error.
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} was expected from {}:\n{}", self.shown, self.stderr);
        self
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes).unwrap();
        }
        bytes
    })
}

/// A command at work; it is killed if it outlives the test, or is at it for too [long](LONGEST).
pub(crate) struct Running {
    pub(crate) child: Child,
    handle: Arc<std::os::fd::OwnedFd>,
    _deadline: Sender<()>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let handle = Arc::new(pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap());
        let (deadline, dropped) = channel();
        let (one, pid) = (Arc::clone(&handle), child.id());
        #[expect(clippy::print_stderr, reason = "a test's own words")]
        std::thread::spawn(move || {
            if dropped.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                eprintln!("killed after {} s: {command:?}", LONGEST.as_secs());
                // What it started has its pipes, too.
                let below = descendants(pid);
                let _ = pidfd_send_signal(&one, Signal::KILL);
                for pid in below {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        });
        Self { child, handle, _deadline: deadline }
    }

    /// Signals it; in a world of its own the program itself, and not who brought it there.
    pub(crate) fn send(&self, signal: Signal) {
        let pid = self.child.id();
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        // It may have ended by itself.
        let _ = match descendants(pid).first() {
            Some(program) if name == "nsenter\n" => kill_process(*program, signal),
            _ => pidfd_send_signal(&self.handle, signal),
        };
    }

    /// Waits until it ends.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let limit = Timespec::try_from(LIMIT).unwrap();
        let ready = poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&limit)).unwrap();
        assert!(ready > 0, "it does not end: {:?}", self.child);
        self.child.wait().unwrap()
    }
}

/// What a process started, and what that started.
fn descendants(pid: u32) -> Vec<Pid> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()) {
            found.extend(Pid::from_raw(child.cast_signed()));
            found.extend(descendants(child));
        }
    }
    found
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The keys of a JSON object, in alphabetical order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let map = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
    let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}
