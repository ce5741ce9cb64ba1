//! What engines call their containers.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::read;

/// What the engine calls a container, and which engine that is. `bundle` is the directory that the runtime was given.
pub(crate) fn name_of(id: &str, bundle: Option<&Path>) -> Option<(String, &'static str)> {
    let of = |name: Option<String>, engine| name.map(|name| (name, engine));
    of(docker(id), "docker")
        .or_else(|| of(podman(id, bundle), "podman"))
        .or_else(|| of(kubernetes(id, bundle), "containerd"))
}

fn docker(id: &str) -> Option<String> {
    let config = read(&Path::new("/var/lib/docker/containers").join(id).join("config.v2.json"))?;
    Some(config.get("Name")?.as_str()?.trim_start_matches('/').to_owned())
}

/// Podman's store is at `STORE/DRIVER-containers`, a container's bundle at `STORE/DRIVER-containers/ID/userdata`.
fn podman(id: &str, bundle: Option<&Path>) -> Option<String> {
    let own = bundle.and_then(|bundle| bundle.parent()?.parent()).map(Path::to_path_buf);
    let mut stores = vec![PathBuf::from("/var/lib/containers/storage")];
    stores.extend(
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share/containers/storage")),
    );
    let of_drivers = stores.iter().flat_map(|store| {
        ["overlay", "vfs", "btrfs", "zfs"].map(|driver| store.join(format!("{driver}-containers")))
    });
    own.into_iter().chain(of_drivers).find_map(|containers| {
        let all = read(&containers.join("containers.json"))?;
        let one = all.as_array()?.iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id))?;
        Some(one.get("names")?.get(0)?.as_str()?.to_owned())
    })
}

/// A pod as `NAMESPACE/POD`, from what containerd or CRI-O hand to the runtime.
fn kubernetes(id: &str, bundle: Option<&Path>) -> Option<String> {
    let usual = [
        PathBuf::from(format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}")),
        PathBuf::from(format!("/run/containers/storage/overlay-containers/{id}/userdata")),
    ];
    let mut bundles = bundle.map(Path::to_path_buf).into_iter().chain(usual);
    let config = bundles.find_map(|bundle| read(&bundle.join("config.json")))?;
    let annotations = config.get("annotations")?;
    let annotation = |keys: [&str; 2]| keys.iter().find_map(|key| annotations.get(*key)?.as_str());
    let pod = annotation(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"])?;
    let space = annotation(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"])?;
    Some(format!("{space}/{pod}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_anywhere() {
        let store = tempfile::tempdir().unwrap();
        let containers = store.path().join("vfs-containers");
        let bundle = containers.join("abc/userdata");
        std::fs::create_dir_all(&bundle).unwrap();
        std::fs::write(containers.join("containers.json"), r#"[{"id": "abc", "names": ["web"]}]"#).unwrap();
        assert_eq!(name_of("abc", Some(&bundle)), Some(("web".to_owned(), "podman")));
        assert_eq!(name_of("abd", Some(&bundle)), None);
    }

    #[test]
    fn a_pod() {
        let bundle = tempfile::tempdir().unwrap();
        let config = r#"{"annotations": {"io.kubernetes.cri.sandbox-name": "web-0",
            "io.kubernetes.cri.sandbox-namespace": "shop"}}"#;
        std::fs::write(bundle.path().join("config.json"), config).unwrap();
        assert_eq!(name_of("abc", Some(bundle.path())), Some(("shop/web-0".to_owned(), "containerd")));
    }
}
