//! Tests that need privilege, run by anyone.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{CapabilitySet, UnshareFlags};

/// Runs `body`, a test, with the privilege to make network namespaces.
///
/// A process that has it runs `body` itself. Any other starts its own executable once more, for this one test, in new
/// user, network and mount namespaces in which it is root; the test is found by the name of the function that the
/// closure `body` is written in, so `body` must be a closure in the test function itself. Where user namespaces are
/// forbidden, the test is [skipped](crate::skip).
///
/// # Panics
/// If the test fails.
pub fn privileged<F: FnOnce()>(body: F) {
    if may_make_namespaces() {
        body();
        return;
    }
    let closure = std::any::type_name::<F>();
    let test = closure
        .split_once("::")
        .and_then(|(_crate, path)| path.split_once("::{{closure}}"))
        .map_or_else(|| panic!("{closure} is not a closure in a test function"), |(test, _)| test);
    let executable = std::env::current_exe().expect("a process knows its executable");
    let mut command = Command::new(executable);
    command.args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]);
    let user = CString::new(format!("0 {} 1", rustix::process::geteuid().as_raw())).expect("no zero in it");
    let group = CString::new(format!("0 {} 1", rustix::process::getegid().as_raw())).expect("no zero in it");
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor takes locks.
    unsafe { command.pre_exec(move || become_root(&user, &group)) };
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return crate::skip(&format!("a user namespace cannot be made: {error}")),
    };
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("running 1 test"), "there is no test {test}:\n{printed}{errors}");
    assert!(output.status.success(), "in a user namespace {test} failed:\n{printed}{errors}");
}

fn may_make_namespaces() -> bool {
    let needed = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Moves this single-threaded process into namespaces in which it is root (`user_namespaces(7)`).
fn become_root(user: &CString, group: &CString) -> io::Result<()> {
    let all = UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWNS;
    // SAFETY: descriptors stay shared; what changes is what paths and networks mean to this process, which is about to
    // become another program.
    unsafe { rustix::thread::unshare_unsafe(all) }?;
    let write = |file: &std::ffi::CStr, text: &[u8]| -> io::Result<()> {
        let file = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text)?;
        Ok(())
    };
    write(c"/proc/self/setgroups", b"deny")?;
    write(c"/proc/self/uid_map", user.as_bytes())?;
    write(c"/proc/self/gid_map", group.as_bytes())
}
