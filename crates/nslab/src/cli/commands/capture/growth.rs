//! Namespaces that come while a command runs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nslab_kernel::{Namespace, NamespaceId, mark};
use nslab_observe::capture::{self, Event, Opened, Options, Watch};
use nslab_snapshot::Places;

use super::failed;
use super::targets::{self, Anchor, Growth, Named, Naming};
use crate::cli::context;
use crate::cli::error::CliError;

/// A namespace without a name joins when it is so old.
const NAMELESS: Duration = Duration::from_secs(1);

/// Looks for them.
pub(in crate::cli::commands) struct Coming {
    watch: Watch,
    /// Namespaces that were taken in, or are about to be.
    known: Arc<Mutex<HashSet<NamespaceId>>>,
    /// Of those that were found.
    found: Arc<Mutex<VecDeque<Found>>>,
}

/// One that is being opened.
struct Found {
    anchor: Anchor,
    namespace: Option<Namespace>,
}

/// One that came.
pub(in crate::cli::commands) struct Came {
    /// It is ready to be captured in.
    pub(in crate::cli::commands) opened: Box<Opened>,
    pub(in crate::cli::commands) anchor: Option<Anchor>,
    /// None if there was no room for another descriptor.
    pub(in crate::cli::commands) namespace: Option<Namespace>,
}

impl Coming {
    /// Begins; none if nothing can come. `known` are there already, `count` of them; `naming` named them.
    pub(in crate::cli::commands) fn begin(
        growth: Growth,
        known: HashSet<NamespaceId>,
        mut naming: Naming,
        options: &Options,
        count: usize,
    ) -> Result<Option<Self>, CliError> {
        let paths = context::paths();
        let directories: Vec<PathBuf> = match &growth {
            Growth::None => return Ok(None),
            Growth::Host => vec![paths.netns.clone()],
            Growth::Lab(lab) => {
                vec![paths.lab(lab).pin("x").parent().map(PathBuf::from).unwrap_or_default()]
            }
        };
        let known = Arc::new(Mutex::new(known));
        let found: Arc<Mutex<VecDeque<Found>>> = Arc::default();
        let (shared, coming) = (Arc::clone(&known), Arc::clone(&found));
        // With the process that is in it, as another namespace may have got the number of one that is gone.
        let mut nameless: HashMap<(NamespaceId, String), Instant> = HashMap::new();
        let mut places = Places::default();
        let discover = move || {
            let found = match &growth {
                Growth::None => Ok(Vec::new()),
                Growth::Host => targets::host(&mut places),
                Growth::Lab(lab) => targets::nodes(&paths, lab),
            };
            // A node that is just being made has a file and no namespace yet: nothing is known of the others then, either.
            let Ok(mut found) = found else { return Vec::new() };
            let there: HashSet<NamespaceId> = found.iter().map(targets::Place::id).collect();
            let mut known = locked(&shared);
            // Numbers of namespaces that are gone may come again; those that are known are held until they are forgotten.
            nameless.retain(|(id, _), _| there.contains(id));
            // A name comes a little after the namespace, which is a process's until then.
            found.retain(|place| {
                let mut is_old = || {
                    let seen = nameless.entry((place.id(), place.name().to_owned()));
                    seen.or_insert_with(Instant::now).elapsed() >= NAMELESS
                };
                (place.is_named() || is_old()) && known.insert(place.id())
            });
            let named = naming.all(found);
            let mut coming = locked(&coming);
            named
                .into_iter()
                .map(|Named { source, anchor }| {
                    mark::set(&source.namespace);
                    coming.push_back(Found { anchor, namespace: source.namespace.duplicate().ok() });
                    source
                })
                .collect()
        };
        let watch = Watch::begin(&directories, options, count, discover).map_err(failed)?;
        Ok(Some(Self { watch, known, found }))
    }

    /// The next one that came, or why it cannot be captured in.
    pub(in crate::cli::commands) fn next(&self) -> Option<nslab_observe::Result<Came>> {
        let opened = self.watch.next()?;
        // They are opened in the order in which they were found.
        let found = locked(&self.found).pop_front();
        let (anchor, namespace) = found.map(|found| (found.anchor, found.namespace)).unzip();
        Some(match opened {
            capture::Found::Opened(opened) => Ok(Came { opened, anchor, namespace: namespace.flatten() }),
            capture::Found::Failed(error) => {
                if let Some(anchor) = anchor {
                    self.forget(anchor.id());
                }
                Err(error)
            }
        })
    }

    /// Forgets one that is let go, or could not be taken in: another may get its number.
    pub(in crate::cli::commands) fn forget(&self, id: NamespaceId) {
        locked(&self.known).remove(&id);
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to say of what happened to a namespace or an interface.
pub(in crate::cli::commands) fn words(event: Event, name: impl Fn(usize) -> String) -> String {
    match event {
        Event::InterfaceGone { place, name: link } => format!("{}:{link} is gone", name(place)),
        Event::InterfaceBack { place, name: link } => format!("{}:{link} is there again", name(place)),
        Event::Failed { place, why } => format!("{}: {why}", name(place)),
    }
}
