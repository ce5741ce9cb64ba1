//! BPF programs that see packets.

use nslab_kernel::bpf::{self, NetfilterProgram};
use nslab_kernel::link::Link;

use crate::{Program, ProgramAt};

/// What is known of the machine's programs before its namespaces are read.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    /// There is one. Only root may know, and may have put one there.
    any: bool,
    netfilter: Vec<NetfilterProgram>,
}

impl Programs {
    pub(crate) fn of_machine() -> Self {
        let any = bpf::has_programs().unwrap_or(false);
        let netfilter = if any { bpf::netfilter_programs().unwrap_or_default() } else { Vec::new() };
        Self { any, netfilter }
    }

    /// Those of the namespace that the thread is in.
    pub(crate) fn here(&self, links: &[Link]) -> Vec<Program> {
        if !self.any {
            return Vec::new();
        }
        let mut all = Vec::new();
        for link in links {
            let link = link.index;
            for (incoming, at) in [(true, ProgramAt::Ingress { link }), (false, ProgramAt::Egress { link })] {
                let numbers = bpf::tcx(link, incoming).unwrap_or_default();
                all.extend(numbers.into_iter().map(|number| Program { number, at }));
            }
        }
        all.extend(self.netfilter.iter().map(|own| Program {
            number: own.program,
            at: ProgramAt::Netfilter { family: own.family, hook: own.hook },
        }));
        all
    }
}
