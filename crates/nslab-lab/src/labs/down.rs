//! Taking a lab away.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::link::find;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::processes::{Depth, list};

use super::{Labs, leave};
use crate::apply::{Event, Observer};
use crate::error::{Context, Error, Result};
use crate::joined::Ledger;
use crate::journal::Journal;
use crate::lock::Lock;
use crate::paths::{LabPaths, Paths};
use crate::plan::namespace_mark;
use crate::runner;
use crate::{pins, processes, uplink, view};

/// What `down` took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Namespaces.
    pub namespaces: usize,
    /// Processes that were running in them besides the lab's own programs.
    pub processes: usize,
    /// How long it took.
    pub time: Duration,
}

impl Labs<'_> {
    /// Takes a lab away: its programs and all processes in its namespaces, its namespaces, its files. Works from the
    /// lab's directory, whatever state that is in, and where there is none, from the marks in the kernel. Errors with
    /// [`Error::NoSuchLab`] if there is nothing of it.
    pub fn down(&self, name: &str) -> Result<Gone> {
        let began = Instant::now();
        let paths = self.lab(name);
        let Some(lock) = Lock::existing(paths.root(), &mut || (self.waiting)(), self.interrupt)? else {
            let gone = take_away_unknown(&paths, name)?;
            tidy(&self.paths);
            return if gone.namespaces == 0 {
                Err(self.no_such_lab(name))
            } else {
                Ok(Gone { time: began.elapsed(), ..gone })
            };
        };
        let gone = take_away(&paths, self.observer)?;
        drop(lock);
        tidy(&self.paths);
        Ok(Gone { time: began.elapsed(), ..gone })
    }
}

/// Takes everything of a lab away that can be found from its directory, and the directory. The lock must be held.
pub(super) fn take_away(paths: &LabPaths, observer: &Observer<'_>) -> Result<Gone> {
    let progress = || observer(Event::Steps(1));
    Journal::down(&paths.journal())?;
    progress();
    runner::end(paths)?;
    uplink::stop_ways(paths)?;
    progress();
    let nodes = pins::list(paths)?;
    // One that cannot be read hides what is in foreign namespaces, and nothing else: what is the lab's own can go.
    let ledger = Ledger::read(paths);
    let holds_host = ledger.as_ref().is_ok_and(|ledger| ledger.has(uplink::HOST));
    let _host = if holds_host { Some(uplink::lock_host(paths)?) } else { None };
    let left =
        ledger.as_ref().map_or_else(|_| Ok(Vec::new()), |ledger| leave::all(paths, ledger, observer))?;
    Journal::down(&paths.journal())?;
    let mut own = Vec::with_capacity(nodes.len());
    for node in &nodes {
        if ledger.as_ref().map_or_else(|_| !leave::is_own(paths, node), |ledger| ledger.has(node)) {
            continue;
        }
        if let Some(namespace) = crate::actual::pinned(&paths.pin(node))? {
            own.push(namespace);
        }
    }
    let mut first = Vec::new();
    for node in &nodes {
        first.extend(view::first_process(paths, node)?);
    }
    let (processes, namespaces) = (processes::end_in(&own, &first)?, own.len());
    // Unpinned, they go all at once.
    drop(own);
    progress();
    view::remove_all(paths)?;
    pins::unpin_all(paths, &progress)?;
    match std::fs::remove_dir_all(paths.root()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", paths.root().display()))
        }
        _ if !left.is_empty() => {
            Err(Error::Refused { left: left.iter().map(ToString::to_string).collect(), refusals: left })
        }
        _ => Ok(Gone { namespaces, processes, time: Duration::ZERO }),
    }
}

/// Takes away what is left of a lab without a directory: names for `ip netns` that lead nowhere, and namespaces that
/// live on only because processes run in them, known by their mark.
fn take_away_unknown(paths: &LabPaths, name: &str) -> Result<Gone> {
    pins::unpin_all(paths, &|| {})?;
    let own = Namespace::current()?.id()?;
    let mut ours = Vec::new();
    let mut seen = HashSet::from([own]);
    for (pid, id) in list(Depth::Processes, |_| true)? {
        if seen.insert(id)
            && let Ok(space) = Namespace::of_process(pid)
            // The process may have gone elsewhere meanwhile.
            && space.id().is_ok_and(|now| now == id)
            && is_marked(&space, name)
        {
            ours.push(space);
        }
    }
    let processes = processes::end_in(&ours, &[])?;
    Ok(Gone { namespaces: ours.len(), processes, time: Duration::ZERO })
}

/// Whether a namespace carries the mark of the lab `name`. One that cannot be entered or read does not.
fn is_marked(space: &Namespace, name: &str) -> bool {
    let alias = space.run(|| {
        let mut socket = Socket::open(Protocol::Route).ok()?;
        find(&mut socket, 1).ok()?.alias
    });
    alias.ok().flatten().is_some_and(|alias| alias.starts_with(&namespace_mark(name, "")))
}

/// Removes the directories that labs share, if no lab is left in them and nslab made them.
pub(super) fn tidy(paths: &Paths) {
    // Another process may be about to use them: rmdir(2) only removes what is empty, and whoever finds its directory
    // gone makes it again.
    if paths.labs().is_ok_and(|labs| labs.is_empty()) {
        let made = paths.made_netns();
        if made.exists() {
            let _ = std::fs::remove_file(&made);
            let _ = std::fs::remove_dir(&paths.netns);
        }
        let _ = std::fs::remove_dir(&paths.state);
    }
}

impl From<Gone> for Duration {
    fn from(gone: Gone) -> Self {
        gone.time
    }
}

/// What is said of a lab that cannot be found.
impl Error {
    /// Whether it says that there is no such lab.
    pub fn is_no_such_lab(&self) -> bool {
        matches!(self, Self::NoSuchLab { .. })
    }
}
