//! Whether the running kernel can do what a plan asks of it, found out before anything is touched.
//!
//! A kernel's version tells little of what it was built with, so it is asked: what the plan needs is tried in a
//! namespace of its own, which goes away at once. Only what the plan needs is tried, and for most plans that is one or two
//! requests that the kernel refuses in one way or the other.

use std::collections::BTreeMap;

use nslab_kernel::link::{Bridge, LinkKind, NewLink};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::wireguard::Control;
use nslab_kernel::{Error as KernelError, Namespace, tun};
use nslab_topology::model::InterfaceKind;
use nslab_types::IfName;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::kinds;
use crate::plan::{Op, Plan};

/// Something that a kernel may have been built without.
enum Need {
    VlanFiltering,
    Kind(InterfaceKind),
    /// What nearly every lab needs and nearly every kernel has, so that asking may cost next to nothing.
    Basic(LinkKind),
}

/// Fails with [`Error::Machine`], naming the build options, if the kernel lacks something that `plan` needs.
pub(crate) fn check(plan: &Plan) -> Result<()> {
    crate::view::check(plan)?;
    let needs = needs(plan);
    if needs.is_empty() {
        return Ok(());
    }
    let lacking = with_privilege(|| probe(&needs))?;
    if lacking.is_empty() {
        return Ok(());
    }
    let options: Vec<String> =
        lacking.into_iter().map(|(option, whats)| format!("{option} ({})", whats.join(", "))).collect();
    Err(Error::Machine {
        what: format!(
            "this kernel cannot do what lab {} needs: it lacks {}",
            plan.lab,
            options.join(" and ")
        ),
        hint: Some(
            "nothing was changed; the kernels of distributions have these options, usually as modules"
                .to_owned(),
        ),
    })
}

/// Asks the kernel here or, without the privilege to try anything here, where an ordinary user's labs are built.
pub(crate) fn with_privilege<T>(ask: impl Fn() -> Result<T>) -> Result<T>
where
    T: Default + serde::Serialize + serde::de::DeserializeOwned,
{
    match ask() {
        Err(Error::Kernel(error)) if error.errno() == Some(Errno::PERM) => {
            let work = || ask().ok().and_then(|answer| serde_json::to_vec(&answer).ok());
            let given = nslab_kernel::userns::in_child(|| work().unwrap_or_default())?;
            Ok(given.and_then(|given| serde_json::from_slice(&given).ok()).unwrap_or_default())
        }
        answer => answer,
    }
}

/// Options that a kernel lacks, each with what it is needed for.
type Lacking = BTreeMap<String, Vec<String>>;

/// Asks for everything; what has to be tried is tried in a namespace of its own.
fn probe(needs: &BTreeMap<&'static str, (String, Need)>) -> Result<Lacking> {
    let mut lacking = Lacking::new();
    let mut scratch = None;
    for (what, need) in needs.values() {
        let option = if let Need::Basic(kind) = need {
            lacks_basic(kind)?
        } else {
            let (namespace, socket) = if let Some(scratch) = &mut scratch {
                scratch
            } else {
                let namespace = Namespace::create()?;
                let socket = namespace.run(|| Socket::open(Protocol::Route))??;
                scratch.insert((namespace, socket))
            };
            lacks(need, namespace, socket)?
        };
        if let Some(option) = option {
            lacking.entry(option.to_owned()).or_default().push(what.clone());
        }
    }
    Ok(lacking)
}

/// The build option that is lacking. An interface without queues is refused by every kernel that knows the kind, before
/// anything of it is made (`rtnl_create_link`, net/core/rtnetlink.c; `alloc_netdev_mqs`, net/core/dev.c), so that this can
/// be asked anywhere.
pub(crate) fn lacks_basic(kind: &LinkKind) -> Result<Option<&'static str>> {
    let name = IfName::new("probe").unwrap_or(IfName::LOOPBACK);
    let request = NewLink { queues: Some(0), ..NewLink::new(name, kind.clone()) };
    match Socket::open(Protocol::Route)?.request(&request) {
        Err(error) if error.errno() == Some(Errno::PERM) => Err(error.into()),
        answer => Ok(option(answer.err().as_ref())),
    }
}

/// What the plan needs, each with whom it is for, by a name that is the same for the same need.
fn needs(plan: &Plan) -> BTreeMap<&'static str, (String, Need)> {
    let mut needs = BTreeMap::new();
    for step in plan.steps() {
        let node = &plan.namespaces[step.namespace].node;
        match &step.op {
            Op::CreateVeth { .. } => {
                needs.entry("veth").or_insert_with(|| {
                    (format!("links, the first of {node}"), Need::Basic(LinkKind::Veth(None)))
                });
            }
            Op::CreateBridge { settings, .. } if !settings.vlan_filtering => {
                needs.entry("bridge").or_insert_with(|| {
                    let bridge = LinkKind::Bridge(Bridge::default());
                    (format!("switches, the first of them {node}"), Need::Basic(bridge))
                });
            }
            Op::CreateBridge { settings, .. } | Op::SetBridge { settings, .. } if settings.vlan_filtering => {
                needs.entry("VLAN filtering").or_insert_with(|| {
                    (format!("VLAN filtering, for the switch {node}"), Need::VlanFiltering)
                });
            }
            Op::CreateInterface { name, settings } => {
                let kind = settings.kind.name();
                needs.entry(kind).or_insert_with(|| {
                    (format!("{kind} interfaces, for {node}:{name}"), Need::Kind(settings.kind.clone()))
                });
            }
            _ => {}
        }
    }
    needs
}

/// The build option that is lacking. A refusal for any other reason means that the kernel knows the thing: it looks at
/// the kind before it looks at what is asked of it (`rtnl_newlink`, net/core/rtnetlink.c).
fn lacks(need: &Need, namespace: &Namespace, socket: &mut Socket) -> Result<Option<&'static str>> {
    let kind = match need {
        Need::Basic(kind) => kind.clone(),
        Need::VlanFiltering => LinkKind::Bridge(Bridge { vlan_filtering: Some(true), ..Bridge::default() }),
        Need::Kind(InterfaceKind::Tun { .. }) => {
            return Ok(option(namespace.run(tun::open)?.err().as_ref()));
        }
        // What it would be on has no number here, and is not looked for.
        Need::Kind(kind) => kinds::to_kernel(kind, |_| Ok(1)).unwrap_or(LinkKind::Dummy),
    };
    let wireguard = kind == LinkKind::Wireguard;
    let name = IfName::new("probe").unwrap_or(IfName::LOOPBACK);
    let refused = socket.request(&NewLink::new(name, kind)).err();
    if refused.is_none() {
        // Its name is used again.
        socket.request(&nslab_kernel::link::DelLink::Name(name))?;
        if wireguard {
            return Ok(option(namespace.run(Control::open)?.err().as_ref()));
        }
    }
    Ok(option(refused.as_ref()))
}

fn option(error: Option<&KernelError>) -> Option<&'static str> {
    match error {
        Some(KernelError::Unsupported { option, .. }) => Some(*option),
        _ => None,
    }
}
