//! Labs on a real kernel, as root or as an ordinary user.

mod build;
mod converge;
mod crash;
mod oracle;
mod property;
mod shell;
mod support;
