//! Control groups of containers.

/// The characters of the id that engines give.
const ID_LEN: usize = 64;

/// Whether it is an id that an engine chose.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A container's control group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) engine: &'static str,
}

impl Group {
    /// Reads a line of `/proc/PID/cgroup`: `docker-ID.scope`, `libpod-ID.scope`, `crio-ID.scope`,
    /// `cri-containerd-ID.scope`, `/docker/ID`, `lxc.payload.NAME`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut above = "";
        for part in line.split('/') {
            if let Some(name) = part.strip_prefix("lxc.payload.") {
                return Some(Self { id: name.to_owned(), engine: "lxc" });
            }
            let bare = part.strip_suffix(".scope").unwrap_or(part);
            let (kind, id) = bare.rsplit_once(['-', ':']).unwrap_or((above, bare));
            if is_id(id) {
                let engine = match kind {
                    "docker" => "docker",
                    "libpod" | "libpod_parent" => "podman",
                    "crio" => "cri-o",
                    _ if kind.ends_with("containerd") || kind.starts_with("kubepods") => "containerd",
                    _ => "container",
                };
                return Some(Self { id: id.to_owned(), engine });
            }
            above = part;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups() {
        let id = "0123456789abcdef".repeat(4);
        for (line, engine) in [
            (format!("0::/system.slice/docker-{id}.scope"), "docker"),
            (format!("12:cpu:/docker/{id}"), "docker"),
            (format!("0::/machine.slice/libpod-{id}.scope/container"), "podman"),
            (format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"), "containerd"),
            (format!("0::/kubepods-besteffort-pod1.slice:cri-containerd:{id}"), "containerd"),
            (format!("0::/kubepods.slice/crio-{id}.scope"), "cri-o"),
        ] {
            assert_eq!(Group::parse(&line), Some(Group { id: id.clone(), engine }), "{line}");
        }
        let lxc = Group { id: "web".to_owned(), engine: "lxc" };
        assert_eq!(Group::parse("0::/lxc.payload.web/init.scope"), Some(lxc));
        assert_eq!(Group::parse("0::/user.slice/user-1000.slice/session-2.scope"), None);
        assert_eq!(Group::parse(""), None);
    }
}
