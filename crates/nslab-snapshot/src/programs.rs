//! BPF programs that see packets.

use nslab_kernel::bpf::{self, NetfilterProgram};
use nslab_kernel::link::Link;
use rustix::io::Errno;

use crate::{Program, ProgramAt};

/// What is known of the machine's programs before its namespaces are read.
#[derive(Debug)]
pub(crate) enum Programs {
    /// There is none.
    None,
    /// There are some; these are at hooks of netfilter.
    Some(Vec<NetfilterProgram>),
    /// Only root may ask.
    Unasked(String),
}

impl Programs {
    pub(crate) fn of_machine() -> Self {
        // A kernel that does not know the question has no such programs: of any kind, or at hooks of netfilter.
        let knows_not = |error: &std::io::Error| {
            [Errno::NOSYS, Errno::INVAL].iter().any(|own| error.raw_os_error() == Some(own.raw_os_error()))
        };
        match bpf::has_programs() {
            Ok(false) => return Self::None,
            Err(error) if knows_not(&error) => return Self::None,
            Err(error) => return Self::Unasked(error.to_string()),
            Ok(true) => {}
        }
        match bpf::netfilter_programs() {
            Ok(netfilter) => Self::Some(netfilter),
            Err(error) if knows_not(&error) => Self::Some(Vec::new()),
            Err(error) => Self::Unasked(error.to_string()),
        }
    }

    /// Those of the namespace that the thread is in.
    pub(crate) fn here(&self, links: &[Link]) -> Result<Vec<Program>, String> {
        let netfilter = match self {
            Self::None => return Ok(Vec::new()),
            Self::Some(netfilter) => netfilter,
            Self::Unasked(why) => return Err(why.clone()),
        };
        let mut all = Vec::new();
        for link in links {
            let link = link.index;
            for (incoming, at) in [(true, ProgramAt::Ingress { link }), (false, ProgramAt::Egress { link })] {
                let numbers = bpf::tcx(link, incoming).map_err(|error| error.to_string())?;
                all.extend(numbers.into_iter().map(|number| Program { number, at }));
            }
        }
        all.extend(netfilter.iter().map(|own| Program {
            number: own.program,
            at: ProgramAt::Netfilter { family: own.family, hook: own.hook },
        }));
        Ok(all)
    }
}
