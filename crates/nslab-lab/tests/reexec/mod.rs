//! Tests that need a process of their own: this binary, executed again in another role.
//!
//! What is tested changes the whole process (its namespaces, the program that it is) and wants it to have one thread,
//! which no test in the usual harness has. So a role is taken on before `main`, and with it before the harness.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses some of it")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a process that cannot do its part says so")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nslab_kernel::{Namespace, mount};
use nslab_lab::programs::Keeper;
use nslab_lab::{LabPaths, Paths};

/// The environment variable that names the role.
pub const ROLE: &str = "NSLAB_TEST_ROLE";
/// What a process exits with that cannot do what it should on this machine, having said why.
pub const SKIPPED: i32 = 77;

/// Declares tests, each of which runs in a process of its own as [`run`] says, and further roles of this binary.
#[macro_export]
macro_rules! processes {
    (run: $run:path; roles: [$($role:ident),*]; $($(#[$attribute:meta])* fn $name:ident() $body:block)*) => {
        mod bodies {
            #[allow(unused_imports, reason = "there may be roles and no tests")]
            use super::*;
            $(pub(super) fn $name() $body)*
        }
        $($(#[$attribute])* #[test] fn $name() { $run(stringify!($name)); })*

        #[used]
        #[unsafe(link_section = ".init_array")]
        static TAKE_ROLE: extern "C" fn() = {
            extern "C" fn take_role() {
                $crate::reexec::take_role(&[
                    $((stringify!($role), $role as fn()),)*
                    $((stringify!($name), bodies::$name as fn()),)*
                ]);
            }
            take_role
        };
    };
}

/// Does what the role says, if this process has one, and ends.
pub fn take_role(roles: &[(&str, fn())]) {
    let Ok(wanted) = std::env::var(ROLE) else { return };
    let Some((_, role)) = roles.iter().find(|(name, _)| *name == wanted) else {
        eprintln!("there is no role {wanted}");
        std::process::exit(99);
    };
    let result = catch_unwind(AssertUnwindSafe(role));
    std::process::exit(if result.is_ok() { 0 } else { 101 });
}

/// This binary in a role.
pub fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ROLE, role);
    command
}

/// Runs a test as the user that the tests run as.
pub fn run(role: &str) {
    assert_passed(command(role).status().unwrap());
}

/// Runs a test as an ordinary user.
pub fn run_as_user(role: &str) {
    use std::os::unix::process::CommandExt;
    let mut command = command(role);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    match command.current_dir("/").status() {
        Ok(status) => assert_passed(status),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            println!("skipped: no ordinary user may execute {}", std::env::current_exe().unwrap().display());
        }
        Err(error) => panic!("{error}"),
    }
}

fn assert_passed(status: ExitStatus) {
    assert!(status.success() || status.code() == Some(SKIPPED), "{status}");
}

/// Ends this process: it cannot do what it should here.
pub fn skip(reason: &str) -> ! {
    println!("skipped: {reason}");
    std::process::exit(SKIPPED);
}

/// Gives this process mounts of its own, and as an ordinary user a user namespace to be root in.
pub fn be_root() {
    if nslab_lab::rootless::needed() {
        if let Err(error) = nslab_kernel::userns::unshare_as_root() {
            skip(&format!("{error}"));
        }
    } else {
        // SAFETY: nothing but what paths mean to this process changes.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.unwrap();
    }
    mount::make_receiving(Path::new("/")).unwrap();
}

/// A lab with nodes and nothing else, for a process that is root.
pub struct Lab {
    directory: tempfile::TempDir,
    pub paths: LabPaths,
}

impl Lab {
    pub fn new(nodes: &[&str]) -> Self {
        be_root();
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let paths = Paths { netns: directory.path().join("netns"), state }.lab("lab");
        std::fs::create_dir_all(paths.pins()).unwrap();
        mount::bind(&paths.pins(), &paths.pins()).unwrap();
        mount::make_private(&paths.pins()).unwrap();
        for node in nodes {
            std::fs::write(paths.pin(node), "").unwrap();
            Namespace::create().unwrap().pin(&paths.pin(node)).unwrap();
        }
        std::fs::write(paths.hosts(), "192.0.2.1 red\n").unwrap();
        Self { directory, paths }
    }

    /// A directory for whatever a test needs.
    pub fn directory(&self) -> PathBuf {
        let path = self.directory.path().join("files");
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A test that failed left it running.
        if let Ok(Some(keeper)) = Keeper::connect(&self.paths) {
            let _ = keeper.end(Duration::ZERO);
        }
        mount::detach(&self.paths.pins()).unwrap();
    }
}
