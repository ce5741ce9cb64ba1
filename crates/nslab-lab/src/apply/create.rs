//! New namespaces, on several threads.

use nslab_kernel::link::SetLink;
use nslab_kernel::namespace::create_each;
use nslab_kernel::{Namespace, sysctl};
use rustix::io::Errno;

use super::{Event, Outcome, Site};
use crate::error::{Error, Refusal, Result};
use crate::paths::LabPaths;
use crate::pins;
use crate::plan::{Op, Plan, Stage, namespace_mark};
use crate::session::Open;
use nslab_kernel::parallel;

/// A namespace to make, with what is set in it before anything else.
struct Job<'a> {
    namespace: usize,
    /// The place of the step that makes it.
    place: usize,
    /// The sysctls that come with it: the place of the step, key, value, whether the kernel may lack it.
    sysctls: Vec<(usize, &'a str, &'a str, bool)>,
}

/// Makes the namespaces that the stage makes and sets their sysctls while the thread is inside.
pub(super) fn namespaces(plan: &Plan, stage: &Stage, site: &mut Site<'_>) -> Vec<Outcome> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut job_of: Vec<Option<usize>> = vec![None; plan.namespaces.len()];
    for (place, step) in stage.steps.iter().enumerate() {
        match &step.op {
            Op::CreateNamespace => {
                job_of[step.namespace] = Some(jobs.len());
                jobs.push(Job { namespace: step.namespace, place, sysctls: Vec::new() });
            }
            Op::SetSysctl { key, value, optional, .. } => {
                if let Some(job) = job_of[step.namespace] {
                    jobs[job].sysctls.push((place, key, value, *optional));
                }
            }
            _ => {}
        }
    }
    if jobs.is_empty() {
        return Vec::new();
    }
    let share = jobs.len().div_ceil(parallel::threads());
    let (paths, observer) = (site.paths, site.observer);
    let made: Vec<(usize, Option<Open>, Vec<Outcome>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = jobs
            .chunks(share)
            .map(|jobs| {
                scope.spawn(move || {
                    let mut made = Vec::with_capacity(jobs.len());
                    let result = create_each(jobs.len(), |number, namespace| {
                        let job = &jobs[number];
                        let (open, outcomes) = establish(plan, job, namespace, paths);
                        let failed = open.is_none();
                        observer(Event::Steps(outcomes.len()));
                        made.push((job.namespace, open, outcomes));
                        // What is refused once would be refused again.
                        if failed { Err(Stop::Refused) } else { Ok(()) }
                    });
                    if let Err(Stop::Kernel(error)) = result {
                        let job = &jobs[made.len().min(jobs.len() - 1)];
                        let step = plan.describe(&stage.steps[job.place]);
                        let refusal = Refusal::new(step, with_limit(&error.to_string()));
                        made.push((job.namespace, None, vec![(job.place, Err(refusal))]));
                    }
                    made
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut outcomes = Vec::new();
    for (namespace, open, of_namespace) in made {
        site.open[namespace] = open;
        outcomes.extend(of_namespace);
    }
    outcomes
}

/// Why a thread makes no further namespaces.
enum Stop {
    Refused,
    Kernel(nslab_kernel::Error),
}

impl From<nslab_kernel::Error> for Stop {
    fn from(error: nslab_kernel::Error) -> Self {
        Self::Kernel(error)
    }
}

/// Sets up a new namespace in which the thread is, and pins it last: what is pinned is marked.
fn establish(
    plan: &Plan,
    job: &Job<'_>,
    namespace: Namespace,
    paths: &LabPaths,
) -> (Option<Open>, Vec<Outcome>) {
    let reference = &plan.namespaces[job.namespace];
    let mut outcomes = Vec::with_capacity(1 + job.sysctls.len());
    for &(place, key, value, optional) in &job.sysctls {
        if let Err(error) = set_sysctl(key, value, optional) {
            let step = format!("{}: set {key} = {value}", reference.node);
            outcomes.push((place, Err(Refusal::new(step, error.to_string()))));
            return (None, outcomes);
        }
        outcomes.push((place, Ok(())));
    }
    let result = Open::new_inside(namespace).and_then(|mut open| {
        let mark = SetLink {
            index: 1,
            up: Some(true),
            alias: Some(namespace_mark(&plan.lab, &reference.node)),
            ..SetLink::default()
        };
        open.socket.request(&mark)?;
        pins::pin(paths, &reference.node, &reference.name, &open.namespace)?;
        Ok(open)
    });
    match result {
        Ok(open) => {
            outcomes.push((job.place, Ok(())));
            (Some(open), outcomes)
        }
        Err(error) => {
            let step = format!("create namespace {}", reference.name);
            outcomes.push((job.place, Err(Refusal::new(step, with_limit(&error.to_string())))));
            (None, outcomes)
        }
    }
}

/// The reason, and which limit of this machine it comes from where that shows.
fn with_limit(reason: &str) -> String {
    let limit = if reason.contains("No space left on device") {
        "; the limit on network namespaces is reached (sysctl user.max_net_namespaces)"
    } else if reason.contains("Too many open files") {
        "; a lab needs two files for each namespace while it is built (ulimit -Hn)"
    } else {
        ""
    };
    format!("{reason}{limit}")
}

/// Sets a sysctl in the thread's namespace.
pub(super) fn set_sysctl(key: &str, value: &str, optional: bool) -> Result<()> {
    match sysctl::write(key, value) {
        Err(error) if optional && error.errno() == Some(Errno::NOENT) => Ok(()),
        result => result.map_err(Error::from),
    }
}
