//! Whether this machine can give nodes processes of their own, found out before anything is touched.

use nslab_kernel::{Error as KernelError, pidns, userns};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use crate::error::{Error, Result};
use crate::plan::{Op, Plan};

/// Fails with [`Error::Machine`] if a plan wants them and there cannot be any.
pub(crate) fn check(plan: &Plan) -> Result<()> {
    let wants = |op: &Op| matches!(op, Op::CreateView(view) if !view.processes.is_hosts());
    let Some(step) = plan.steps().find(|step| wants(&step.op)) else { return Ok(()) };
    let capabilities = rustix::thread::capabilities(None).map(|sets| sets.effective);
    let errno =
        |error: Option<&KernelError>| error.map_or(0, |error| error.errno().map_or(-1, Errno::raw_os_error));
    let tried = if capabilities.is_ok_and(|own| own.contains(CapabilitySet::SYS_ADMIN)) {
        errno(pidns::try_out().err().as_ref())
    } else {
        // Without privilege it can be tried only where an ordinary user's labs are built.
        let work = || errno(pidns::try_out().err().as_ref()).to_ne_bytes().to_vec();
        let given = userns::in_child(work)?.and_then(|given| given.try_into().ok());
        given.map_or(0, i32::from_ne_bytes)
    };
    let (what, hint) = match tried {
        0 => return Ok(()),
        libc::EINVAL => {
            ("this kernel has no PID namespaces", "CONFIG_PID_NS is the option that it was built without")
        }
        libc::ENOSPC => {
            ("the limit on PID namespaces is reached", "sudo sysctl -w user.max_pid_namespaces=65536")
        }
        libc::EPERM | libc::EACCES => (
            "a /proc of its own may not be mounted here, as in a container that hides a part of /proc",
            "let the container show all of /proc (--security-opt systempaths=unconfined, unmask=ALL with podman), \
             or take `processes: private` out of the lab file",
        ),
        _ => {
            let why = std::io::Error::from_raw_os_error(tried);
            let what =
                format!("{} cannot have processes of its own: {why}", plan.namespaces[step.namespace].node);
            return Err(Error::Machine { what, hint: None });
        }
    };
    let what = format!("{} cannot have processes of its own: {what}", plan.namespaces[step.namespace].node);
    Err(Error::Machine { what, hint: Some(hint.to_owned()) })
}
