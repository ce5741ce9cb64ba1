//! The program, run as users run it: as root in the real `/run`, and as an ordinary user.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod support;

mod adopting;
mod benching;
mod capturing;
mod causes;
mod commands;
mod connecting;
mod containers;
mod counting;
mod dropping;
mod edits;
mod examples;
mod exec;
mod explaining;
mod files;
mod importing;
mod interrupt;
mod join;
mod lines;
mod listening;
mod locked_down;
mod logs;
mod mtu;
mod output;
mod own_files;
mod own_processes;
mod pinging;
mod policy;
mod preflight;
mod reaching;
mod rootless;
mod scan;
mod shells;
mod status;
mod testing;
mod tracing;
mod uplink;
mod without_modules;
mod wrong;
