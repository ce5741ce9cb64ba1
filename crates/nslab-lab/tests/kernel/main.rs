//! Labs on a real kernel, as root or as an ordinary user.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod build;
mod converge;
mod crash;
mod everything;
mod full_kernel_bonds;
mod join;
mod kinds;
mod logging;
mod oracle;
mod policy;
mod property;
#[path = "../reexec/mod.rs"]
mod reexec;
mod shaping;
mod shell;
mod support;
mod switching;
mod uplink;

use std::path::PathBuf;

/// The process that runs the programs of a lab, if this executable is started as that.
fn keeper() {
    let (directory, lab) =
        (PathBuf::from(std::env::var(support::DIRECTORY).unwrap()), std::env::var(support::LAB).unwrap());
    nslab_lab::programs::keeper_main(&support::Site::paths_in(&directory).lab(&lab)).unwrap();
}

processes! {
    run: reexec::run;
    roles: [keeper];
}
