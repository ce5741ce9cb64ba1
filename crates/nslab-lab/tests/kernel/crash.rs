//! Killed at every step, then completed or taken away.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nslab_lab::apply::Event;
use nslab_testing::privileged;

use crate::support::{DIRECTORY, Site, assert_same, wanted, with_labs};

const LAB: &str = "name: k\nnodes: {h: {count: 16}, r: {forward: true}, y: {addresses: [192.0.2.1/32]}, \
                   x: {private: [/run/of-x], files: {/etc/of-x/f: one}}}\n\
                   switches: {s: {}}\nlinks: [[h, s], [r, s], [r, x], [x, y]]\n";
const EDITED: &str = "name: k\nnodes: {h: {count: 12}, r: {forward: true}, z: {private: [/run/of-z]}, \
                      x: {private: [/run/of-x], files: {/etc/of-x/f: two}}}\n\
                      switches: {s: {}, t: {}}\nlinks: [[h, s], [r, s, {mtu: 1400}], [r, x], [z, t], [x, t]]\n";

/// What the victim is to do.
const COMMAND: &str = "NSLAB_TEST_VICTIM";
/// The lab file of the commands `other` and `down`.
const TEXT: &str = "NSLAB_TEST_LAB";
/// After how many events it dies.
const STEPS: &str = "NSLAB_TEST_STEPS";

/// Not a test of its own: the process that the others kill.
#[test]
#[ignore = "run by the other tests of this file"]
fn victim() {
    let (Ok(command), Ok(directory), Ok(steps)) =
        (std::env::var(COMMAND), std::env::var(DIRECTORY), std::env::var(STEPS))
    else {
        return;
    };
    let left = AtomicUsize::new(steps.parse().unwrap());
    let observer = |_: Event<'_>| {
        // None is never.
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    };
    let paths = Site::paths_in(&PathBuf::from(directory));
    with_labs(&paths, &observer, true, |labs| match &command[..] {
        "up" => drop(labs.up(&wanted(LAB)).unwrap()),
        "edit" => drop(labs.up(&wanted(EDITED)).unwrap()),
        "down" => {
            let text = std::env::var(TEXT).unwrap();
            let name = if text.is_empty() { "k".to_owned() } else { wanted(&text).topology.name };
            labs.down(&name).unwrap();
        }
        "other" => drop(labs.up(&wanted(&std::env::var(TEXT).unwrap())).unwrap()),
        other => unreachable!("{other}"),
    });
}

/// Lets a process build the lab that `text` describes, and die after `steps` events; whether it died.
pub(crate) fn kill_building(site: &Site, text: &str, steps: usize) -> bool {
    kill(site, "other", text, steps)
}

/// Lets a process take the lab away that `text` describes, and die after `steps` events; whether it died.
pub(crate) fn kill_taking_away(site: &Site, text: &str, steps: usize) -> bool {
    kill(site, "down", text, steps)
}

/// Lets a process do `command` and die after `steps` events; whether it died (or came to its end before).
fn kill_after(site: &Site, command: &str, steps: usize) -> bool {
    kill(site, command, "", steps)
}

/// A process that builds the lab that `text` describes, if it is let.
pub(crate) fn building(site: &Site, text: &str) -> Command {
    victim_for(site, "other", text, 0)
}

fn victim_for(site: &Site, command: &str, text: &str, steps: usize) -> Command {
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["crash::victim", "--exact", "--include-ignored", "--test-threads=1"]);
    victim.env(COMMAND, command).env(DIRECTORY, site.directory()).env(TEXT, text);
    victim.env(STEPS, steps.to_string()).stdout(Stdio::null());
    victim
}

fn kill(site: &Site, command: &str, text: &str, steps: usize) -> bool {
    let status = victim_for(site, command, text, steps).status().unwrap();
    if status.signal() == Some(9) {
        return true;
    }
    assert!(status.success(), "{command} killed after {steps}: {status}");
    false
}

/// After how many events to kill: after each, where [times](nslab_testing::times) are few after every 13th.
pub(crate) fn steps() -> impl Iterator<Item = usize> {
    (1..).step_by(41 / nslab_testing::times(41))
}

/// So many labs are killed side by side: what is waited for most is the kernel, until it has taken namespaces away.
const WORKERS: usize = 4;

/// Kills `command` after as many events as [`steps`] says, each time on a lab that `prepare` made; then `check`s. Returns
/// how many events there are, as far as was tried.
fn at_every_step(
    command: &str,
    prepare: impl Fn(&Site) + Sync,
    check: impl Fn(&Site, usize) + Sync,
) -> usize {
    let (next, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(steps) = steps().nth(number) else { return };
            let site = Site::new();
            prepare(&site);
            if !kill_after(&site, command, steps) {
                return;
            }
            check(&site, steps);
            most.fetch_max(steps, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    most.into_inner()
}

#[test]
fn up_killed_at_any_step_is_completed() {
    privileged(|| {
        let lab = wanted(LAB);
        let reference = Site::new();
        reference.up(&lab);
        let whole = reference.shown(&lab);
        let kills = at_every_step(
            "up",
            |_| {},
            |site, steps| {
                site.up(&lab);
                assert_same(&site.shown(&lab), &whole, &format!("killed after {steps} steps"));
                assert_eq!(site.up(&lab).steps, 0);
                site.down("k");
                site.assert_clean();
            },
        );
        assert!(kills > 100, "{kills}");
        reference.down("k");
    });
}

#[test]
fn up_killed_at_any_step_is_taken_away() {
    privileged(|| {
        let kills = at_every_step(
            "up",
            |_| {},
            |site, _| {
                site.down("k");
                site.assert_clean();
            },
        );
        assert!(kills > 100, "{kills}");
    });
}

#[test]
fn a_change_killed_at_any_step_is_completed() {
    privileged(|| {
        let (lab, edited) = (wanted(LAB), wanted(EDITED));
        let reference = Site::new();
        reference.up(&edited);
        let whole = reference.shown(&edited);
        let kills = at_every_step(
            "edit",
            |site| drop(site.up(&lab)),
            |site, steps| {
                site.up(&edited);
                assert_same(&site.shown(&edited), &whole, &format!("killed after {steps} steps"));
                site.down("k");
                site.assert_clean();
            },
        );
        assert!(kills > 20, "{kills}");
        reference.down("k");
    });
}

#[test]
fn down_killed_at_any_step_is_completed() {
    privileged(|| {
        let lab = wanted(LAB);
        let kills = at_every_step(
            "down",
            |site| drop(site.up(&lab)),
            |site, steps| {
                if steps % 2 == 0 {
                    // `up` begins anew.
                    site.up(&lab);
                    assert_eq!(site.up(&lab).steps, 0);
                }
                if !site.paths.labs().unwrap().is_empty() {
                    site.down("k");
                }
                drop(site.labs(|labs| labs.down("k")));
                site.assert_clean();
            },
        );
        assert!(kills > 10, "{kills}");
    });
}
