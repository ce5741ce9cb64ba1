//! What commands that deal with labs have in common.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nslab_lab::apply::Event;
use nslab_lab::labs::Helper;
use nslab_lab::{Interrupt, Labs, Paths, State, rootless};

use super::error::CliError;
use super::file;
use super::output::Output;

/// Where labs are. An ordinary user who is not in namespaces of their own has none: the host's are root's.
pub(super) fn paths() -> Paths {
    let all = Paths::default();
    if rootless::needed() { Paths { state: "/nonexistent/nslab".into(), ..all } } else { all }
}

/// The user's labs, entered.
pub(super) struct Context {
    /// How results are printed.
    pub(super) output: Output,
    /// Without root: the hold on the user's namespaces. `None` as root, and where the user has no labs.
    entered: Option<rootless::Entered>,
}

impl Context {
    /// For a command that only deals with labs that there are.
    ///
    /// Must be called before any thread is started: an ordinary user's process enters the user's namespaces.
    pub(super) fn open(output: Output) -> Result<Self, CliError> {
        Self::enter(output, false)
    }

    /// For a command that may make a lab.
    pub(super) fn open_or_create(output: Output) -> Result<Self, CliError> {
        Self::enter(output, true)
    }

    /// For a command that builds a lab with a way out.
    pub(super) fn open_with_way_out(output: Output) -> Result<Self, CliError> {
        let launcher = own("__holder", None);
        let entered = if rootless::needed() {
            rootless::enter_keeping_outside(&rootless::RuntimeDir::find(), &launcher)?
        } else {
            None
        };
        Ok(Self { output, entered })
    }

    fn enter(output: Output, create: bool) -> Result<Self, CliError> {
        let entered = if rootless::needed() {
            rootless::enter(&rootless::RuntimeDir::find(), create, &own("__holder", None))?
        } else {
            None
        };
        Ok(Self { output, entered })
    }

    /// Runs `work`, which changes labs, telling `observer` of progress. `interrupt` is what ends it early.
    pub(super) fn with_labs<T>(
        &self,
        observer: &(dyn Fn(Event<'_>) + Sync),
        interrupt: Interrupt,
        work: impl FnOnce(&Labs<'_>) -> T,
    ) -> T {
        let told = AtomicBool::new(false);
        let waiting = || {
            if !told.swap(true, Ordering::Relaxed) {
                self.output.note("waiting for another nslab that is changing this lab …");
            }
        };
        let launcher = |helper: Helper<'_>| match helper {
            Helper::Keeper(lab) => own("__keeper", Some(lab))(),
            Helper::Init => {
                let mut command = own("__init", None)();
                // Seen by all programs of the node.
                command.arg0("nslab-init");
                command
            }
        };
        work(&Labs {
            paths: paths(),
            launcher: &launcher,
            outside: self.entered.as_ref().and_then(rootless::Entered::outside),
            observer,
            waiting: &waiting,
            interrupt,
            one_by_one: false,
        })
    }

    /// Runs `work` on the labs.
    pub(super) fn labs<T>(&self, work: impl FnOnce(&Labs<'_>) -> T) -> T {
        self.with_labs(&|_| {}, Interrupt::default(), work)
    }

    /// The lab that is meant: the one named, that of the lab file in this directory, or the only one.
    #[expect(clippy::unused_self, reason = "an ordinary user's labs are seen only from inside")]
    pub(super) fn lab_name(&self, named: Option<&str>) -> Result<String, CliError> {
        if let Some(name) = named {
            return Ok(name.to_owned());
        }
        let running = paths().labs().unwrap_or_default();
        // Reading the lab file is worth it only where there is a choice.
        if running.len() > 1
            && let Some(here) = file::lab_of_this_directory()
            && running.contains(&here)
        {
            return Ok(here);
        }
        match &running[..] {
            [only] => Ok(only.clone()),
            [] => Err(CliError::bad_input("no lab is running").hint("`nslab up FILE` builds one")),
            several => Err(CliError::bad_input(format!("which lab? {} are running", several.len()))
                .hint(format!("name one of: {}", several.join(", ")))),
        }
    }

    /// The state of the lab that is meant.
    pub(super) fn lab(&self, named: Option<&str>) -> Result<State, CliError> {
        let name = self.lab_name(named)?;
        self.labs(|labs| match labs.state(&name) {
            Err(error) if error.is_no_such_lab() && labs.paths.lab(&name).root().exists() => {
                Err(CliError::bad_input(format!("lab {name:?} was never wholly built"))
                    .hint("`nslab up` completes it, `nslab down` takes it away"))
            }
            result => Ok(result?),
        })
    }

    /// Lets go of the user's namespaces after the last lab went away.
    pub(super) fn release(self) -> Result<(), CliError> {
        if let Some(entered) = self.entered {
            rootless::release(entered)?;
        }
        Ok(())
    }
}

/// Starts a copy of this program with a hidden command.
pub(super) fn own(command: &'static str, argument: Option<&str>) -> impl Fn() -> Command {
    move || {
        let mut program = Command::new(PathBuf::from("/proc/self/exe"));
        program.arg(command).args(argument);
        program
    }
}
