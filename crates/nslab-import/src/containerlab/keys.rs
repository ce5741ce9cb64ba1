//! What kinds and settings mean to a lab file.

/// What a node of a kind can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Linux,
    Bridge,
    Host,
    /// A container that somebody else started.
    Existing,
    /// All others are a network operating system in an image.
    Image,
}

/// What a kind can become.
pub(super) fn kind(name: &str) -> Kind {
    match name {
        "linux" => Kind::Linux,
        "bridge" | "ovs-bridge" => Kind::Bridge,
        "host" => Kind::Host,
        "ext-container" => Kind::Existing,
        _ => Kind::Image,
    }
}

/// Why a node's setting is not carried over.
pub(super) fn why_not(key: &str) -> &'static str {
    match key {
        "env-files"
        | "startup-config"
        | "license"
        | "extras"
        | "certificate"
        | "enforce-startup-config"
        | "suppress-startup-config"
        | "config"
        | "credentials" => "a node has this machine's files, not a container's",
        "publish" | "mgmt-ipv4" | "mgmt-ipv6" | "aliases" => {
            "it belongs to the management network, which there is not"
        }
        "entrypoint" | "image-pull-policy" | "runtime" | "restart-policy" | "auto-remove" | "user"
        | "devices" | "cap-add" | "shm-size" | "cpu" | "cpu-set" | "memory" | "healthcheck"
        | "startup-delay" | "type" | "components" | "security-opts" | "tmpfs" | "ulimits" | "privileged" => {
            "it is about a container, and a node is none"
        }
        "labels" | "position" => "it changes nothing of the network",
        _ => "nslab has no such setting",
    }
}
