//! Whether what is proposed as a fix makes the kernel deliver.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use nslab_kernel::sysctl;
use nslab_predict::command::Shell;
use nslab_predict::fix::{self, Aim};
use nslab_predict::{Network, Prediction, Verdict};

use crate::Error;
use crate::build::{Built, Taken};
use crate::observe;
use crate::probe::Probe;

/// What came of a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mended {
    /// None is proposed.
    NoFix,
    /// Its commands were typed, and the packet arrived.
    Arrived,
    /// They were, and it did not: what was typed, and what happened.
    Lost(String),
}

/// Types the fix of a prediction in a network, and sends the packet again, as a new connection. It is meant for
/// the namespace `meant`, if for any.
pub(crate) fn mend(
    built: &mut Built,
    taken: &Taken,
    probe: &Probe,
    prediction: &Prediction,
    meant: Option<usize>,
) -> Result<Mended, Error> {
    let looked = Network::of(&taken.snapshot);
    let aim = Aim { shell: Shell::Host, destination: meant.map(|space| taken.places[space]) };
    let Some(fix) = fix::find(&looked, &probe.question(taken, 0), prediction, &aim) else {
        return Ok(Mended::NoFix);
    };
    for space in &built.spaces {
        // What the tester keeps new interfaces from, anybody else's get: a link-local address.
        space.namespace.run(|| sysctl::write("net.ipv6.conf.default.addr_gen_mode", "0"))??;
    }
    let mut told = String::new();
    for command in fix.commands() {
        let _ = writeln!(told, "# {command}");
        if let Some(refused) = type_in(built, command)? {
            let _ = writeln!(told, "#   {refused}");
        }
    }
    built.wait()?;
    // The second has ports and identifiers of its own: it is a new connection.
    let observed = observe::run(built, &[probe.clone(), probe.clone()])?;
    let arrives = observed.last().is_some_and(|last| last.verdict(probe) == Verdict::Delivered);
    if arrives {
        return Ok(Mended::Arrived);
    }
    let _ = writeln!(told, "# observed: {:?}", observed.last());
    Ok(Mended::Lost(told))
}

/// Does what a command says that is for a namespace by its name; what the program that is run complains of.
fn type_in(built: &Built, command: &str) -> Result<Option<String>, Error> {
    let strange = || Ok(Some("it is for no namespace of the network".to_owned()));
    let in_space = command.strip_prefix("ip netns exec n").map(|rest| (rest, ""));
    let Some((rest, program)) = in_space.or_else(|| Some((command.strip_prefix("ip -n n")?, "ip "))) else {
        return strange();
    };
    let Some((number, words)) = rest.split_once(' ') else { return strange() };
    let Some(space) = number.parse().ok().and_then(|number: usize| built.spaces.get(number)) else {
        return strange();
    };
    let line = built.names(&format!("{program}{words}").replace(" netns n", " netns @"));
    let output = space.namespace.run(|| {
        Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).stdout(Stdio::null()).output()
    })??;
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
