//! Interactive shells.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;

use super::{Failure, Place, replace};

/// Turns the calling process into the user's shell (`$SHELL`, else `/bin/sh`) in the place; returns only if that
/// fails. Interactive if its input is a terminal. The prompt says where one is, in shells that take it from the environment.
pub fn shell(place: &Place) -> Failure {
    let shell =
        std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    replace(place, interactive(shell, place.hostname.as_deref()))
}

fn interactive(shell: OsString, node: Option<&str>) -> Command {
    let is_bash = Path::new(&shell).file_name().is_some_and(|name| name == "bash");
    let mut command = Command::new(shell);
    if std::io::stdin().is_terminal() {
        command.arg("-i");
    }
    if let Some(node) = node {
        command.env("PS1", format!("{node}# "));
        if is_bash {
            // Its start files set PS1 themselves, so this waits until they have been read.
            command.env("PROMPT_COMMAND", format!("PS1='{node}:\\w\\$ '; unset PROMPT_COMMAND"));
        }
    }
    command
}
