//! The labs of a user on a host: building, changing, listing, taking away.

mod down;
mod leave;
mod list;
mod machine;
mod tune;
mod up;

pub use down::Gone;
pub use list::{Status, Summary};
pub use up::{Built, Wanted};

use std::process::Command;

use crate::apply::Observer;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::paths::{LabPaths, Paths};
use crate::rootless::Outside;
use crate::state::State;

/// A process of nslab's own that a lab needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper<'a> {
    /// One that ends up in [`keeper_main`](crate::programs::keeper_main) for this lab.
    Keeper(&'a str),
    /// One that ends up in [`init_main`](crate::view::init_main).
    Init,
}

/// How this program starts a copy of itself that is a helper.
pub type Launcher<'a> = dyn Fn(Helper<'_>) -> Command + 'a;

/// All labs that this process can see.
pub struct Labs<'a> {
    /// Where they are kept.
    pub paths: Paths,
    /// How helpers are started.
    pub launcher: &'a Launcher<'a>,
    /// The helper in the host's network, for ways out without root.
    pub outside: Option<&'a Outside>,
    /// Who is told of progress.
    pub observer: &'a Observer<'a>,
    /// Who is told that another process works on the lab, which is waited for.
    pub waiting: &'a (dyn Fn() + Sync),
    /// What makes [`Labs::up`] take back what it has done so far. Taking a lab away goes on to its end.
    pub interrupt: Interrupt,
    /// Send each step on its own; for tests.
    pub one_by_one: bool,
}

impl Labs<'_> {
    /// The state of a lab that was built. Errors if there is no such lab, or if it was never wholly built.
    pub fn state(&self, name: &str) -> Result<State> {
        match State::read(&self.paths.lab(name))? {
            Some(state) => Ok(state),
            None => Err(self.no_such_lab(name)),
        }
    }

    fn no_such_lab(&self, name: &str) -> Error {
        Error::NoSuchLab { name: name.to_owned(), known: self.paths.labs().unwrap_or_default() }
    }

    fn lab(&self, name: &str) -> LabPaths {
        self.paths.lab(name)
    }
}
