//! How it ends, and where it cannot begin.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{ROUTED, can};
use crate::support::{Run, Session, Talking, as_root, as_root_alone, as_user};

as_root_alone!(nothing_stays, while_a_program_runs, without_types);
as_root!(what_cannot_be_seen);
as_user!(without_privilege);

/// Begins, and waits until it is ready.
fn begin(session: &Session, arguments: &[&str]) -> Talking {
    let mut command = session.command(["drops"]);
    command.args(arguments);
    Talking::ready(command)
}

/// The programs of BPF that processes below this one hold, by their numbers. What is asked for stands behind `nsenter`.
fn programs_of(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for fd in std::fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(fd.path()).unwrap_or_default();
        found.extend(
            text.lines().filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok()),
        );
    }
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace() {
        found.extend(programs_of(child.parse().unwrap()));
    }
    found
}

fn nothing_stays(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    for (signal, code) in [(Signal::INT, Some(0)), (Signal::TERM, Some(0)), (Signal::KILL, None)] {
        let talking = begin(session, &["--lab", &lab]);
        // It may be the child of `nsenter`.
        let programs = programs_of(talking.running.child.id());
        assert!(!programs.is_empty(), "no program is seen");
        talking.send(signal);
        let (status, said) = talking.end();
        if code.is_some() {
            assert!(said.contains(" dropped\n"), "{said}");
            assert_eq!(status, code);
        }
        // They are freed a moment later.
        let begun = Instant::now();
        while let Some(left) = nslab_kernel_programs().into_iter().find(|number| programs.contains(number)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "program {left} is still there");
            std::thread::yield_now();
        }
    }
}

fn nslab_kernel_programs() -> Vec<u32> {
    nslab::kernel::bpf::programs().unwrap().into_iter().map(|program| program.number).collect()
}

fn while_a_program_runs(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    let status = |words: &[&str]| {
        let mut command = session.command(["drops", "--lab", &lab, "--"]);
        command.args(words);
        Run::of(command).code
    };
    assert_eq!(status(&["true"]), Some(0));
    assert_eq!(status(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(status(&["/nonexistent/program"]), Some(127));
    let run = session.run(["drops", "nobody/nowhere", "--", "touch", "touched"]);
    run.status(2).says("nobody");
    assert!(!session.directory().join("touched").exists());
    // With all that was named gone, it ends.
    let talking = begin(session, &[&format!("{lab}/a")]);
    session.ok(["down", &lab]);
    let (status, said) = talking.end();
    assert_eq!(status, Some(0));
    assert!(said.contains("nothing is left to watch\n"), "{said}");
}

/// A kernel that does not tell its types.
fn without_types(session: &Session) {
    let mut command = session.other("unshare");
    command.args([
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs tmpfs /sys/kernel/btf && exec \"$0\" drops -- touch touched",
    ]);
    command.arg(session.program());
    if !std::path::Path::new("/sys/kernel/btf").exists() {
        return nslab_testing::kernel_lacks("CONFIG_DEBUG_INFO_BTF");
    }
    let run = Run::of(command).status(3);
    run.says("the kernel does not tell its types").says("CONFIG_DEBUG_INFO_BTF").says("nslab explain");
    assert!(!session.directory().join("touched").exists());
}

fn without_privilege(session: &Session) {
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        return nslab_testing::kernel_lacks("CONFIG_DEBUG_INFO_BTF");
    }
    let lab = session.up(ROUTED);
    let run = session.run(["drops", "--lab", &lab, "--", "touch", "touched"]).status(3);
    run.says("the kernel lets only root").says("CAP_BPF").says("nslab explain");
    assert!(!session.directory().join("touched").exists());
}

fn what_cannot_be_seen(session: &Session) {
    if !can(session) {
        return;
    }
    session.run(["drops", "netns:nowhere-at-all"]).status(2);
    session.run(["drops", "-c", "0"]).status(2);
    session.run(["drops", "red", "--lab", "x"]).status(2);
}
