//! Commands as people type them.

use std::path::PathBuf;

use nslab_snapshot::{Name, Snapshot};

/// From where commands are typed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shell {
    /// The namespace in which nslab was started.
    #[default]
    Host,
    /// Outside of the user namespace in which an ordinary user's labs are, where names of `ip netns` are not seen, and the
    /// snapshot's first namespace is another one.
    Outside,
}

/// A command as it is to be typed so that it is run in a namespace, which is given by its place in the snapshot.
pub fn typed(snapshot: &Snapshot, shell: Shell, place: usize, command: &str) -> String {
    let Some(namespace) = snapshot.namespaces.get(place) else { return command.to_owned() };
    let netns = namespace.names.iter().find_map(|name| match name {
        Name::Netns(name) => Some(name),
        _ => None,
    });
    match (namespace.name(), netns, command.strip_prefix("ip ")) {
        (Name::Host, ..) if shell == Shell::Host => command.to_owned(),
        // Of a lab's node that is right with root and without, when names for `ip netns` are seen only from inside.
        (name @ (Name::Host | Name::Node { .. }), ..) => format!("nslab exec {name} -- {command}"),
        (_, Some(name), _) if shell == Shell::Outside => format!("nslab exec netns:{name} -- {command}"),
        (_, Some(name), Some(rest)) => format!("ip -n {name} {rest}"),
        (_, Some(name), None) => format!("ip netns exec {name} {command}"),
        (Name::Process(process), ..) => format!("nslab exec pid:{} -- {command}", process.pid),
        (Name::Pinned(path), ..) => format!("nsenter --net={} {command}", path.display()),
        (name, ..) => format!("nslab exec {name} -- {command}"),
    }
}

/// How `ip link … netns WORD` names a namespace: by the name or file of `ip netns`, else by a process; none if it can be
/// named by neither, as that in which commands are typed need not be.
pub(crate) fn netns_word(snapshot: &Snapshot, place: usize) -> Option<String> {
    let namespace = snapshot.namespaces.get(place)?;
    let file = |name: &Name| match name {
        Name::Netns(name) => Some(PathBuf::from(name)),
        Name::Pinned(path) => Some(path.clone()),
        _ => None,
    };
    let names = namespace.names.iter().filter(|_| *namespace.name() != Name::Host);
    // A name is shorter than a path; both are files to ip(8).
    let file = names.filter_map(file).min_by_key(|path| path.as_os_str().len());
    let process = || namespace.processes.first().map(|process| process.pid.to_string());
    file.map(|path| path.display().to_string()).or_else(process)
}
