//! Containers that an engine or a bare runtime made: found by name, entered and explained.

use crate::causes::shell;
use crate::support::{Session, as_root_alone};

as_root_alone!(of_podman, of_runc);

/// A root file system with busybox in it, and what that needs.
const ROOTFS: &str = r#"
set -e
mkdir -p rootfs/bin rootfs/proc rootfs/sys rootfs/dev rootfs/etc rootfs/run rootfs/tmp
cp "$(command -v busybox)" rootfs/bin/busybox
for name in $(ldd rootfs/bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do
    mkdir -p "rootfs$(dirname "$name")"
    cp -L "$name" "rootfs$name"
done
group=/nslab-test-$(cat /proc/sys/kernel/random/uuid)
gone() {
    for directory in /sys/fs/cgroup$group /sys/fs/cgroup/*$group; do
        [ ! -d "$directory" ] || find "$directory" -depth -type d -exec rmdir {} \;
    done
}
"#;

/// A cable from a namespace to the container, and what is said of it: `$pid` is its first process, `$name` what it is called.
const CABLE: &str = r#"
ip netns add client
ip -n client link set lo up
ip -n client link add eth0 type veth peer name eth0 netns "$pid"
ip -n client address add 10.0.0.1/24 dev eth0
ip -n client link set eth0 up
nsenter -t "$pid" --net ip link set lo up
nsenter -t "$pid" --net ip address add 10.0.0.2/24 dev eth0
nslab scan | grep "^container:$name "
nslab explain netns:client "$name" --short || true
nsenter -t "$pid" --net ip link set eth0 up
nslab explain netns:client "container:$name" --short
nslab explain netns:client "container:$name:80/tcp" --short || true
nslab exec "container:$name" -- ip -brief address show dev eth0 | tr -s ' '
nslab ping netns:client 10.0.0.2 -c 1 >/dev/null
ip netns del client
"#;

fn check(said: &str, name: &str) {
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with(&format!("container:{name} ")), "{said}");
    for (line, begins) in [
        (1, "dropped: NO_CARRIER"),
        (2, &format!("delivered to container:{name}")),
        (3, "rejected: NO_LISTENER"),
        (4, "eth0"),
    ] {
        assert!(lines[line].starts_with(begins), "line {line}: {said}");
    }
    assert!(lines[4].contains("10.0.0.2/24"), "{said}");
}

fn of_podman(session: &Session) {
    // All of Podman's is in the session's directory, and goes with it.
    let script = r#"
cat > containers.conf <<EOF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
static_dir = "$PWD/libpod"
tmp_dir = "$PWD/libpod-run"
volume_path = "$PWD/volumes"
EOF
export CONTAINERS_CONF=$PWD/containers.conf
pod() { podman --root "$PWD/store" --runroot "$PWD/run" --storage-driver vfs "$@"; }
name=web
trap 'pod rm --force --time 0 $name >/dev/null; gone' EXIT
# As many files and processes as may be had anyhow: more may be forbidden.
pod run --detach --name $name --network none --cgroup-parent $group --ulimit nofile=64:64 --ulimit nproc=64:64 \
    --rootfs "$PWD/rootfs" /bin/busybox sleep 600 >/dev/null
pid=$(pod inspect --format '{{.State.Pid}}' $name)
"#;
    check(&shell(session, &format!("{ROOTFS}{script}{CABLE}")).unwrap(), "web");
}

fn of_runc(session: &Session) {
    let script = r#"
name=nslab-bare-${group##*-}
trap 'runc delete --force $name; gone' EXIT
runc spec
python3 - "$group/$name" <<'EOF'
import json, sys
config = json.load(open("config.json"))
config["process"].update(args=["/bin/busybox", "sleep", "600"], terminal=False, rlimits=[])
config["linux"]["cgroupsPath"] = sys.argv[1]
json.dump(config, open("config.json", "w"))
EOF
runc run --detach $name </dev/null >/dev/null 2>&1
pid=$(runc state $name | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')
echo "$name"
"#;
    let said = shell(session, &format!("{ROOTFS}{script}{CABLE}")).unwrap();
    let (name, rest) = said.split_once('\n').unwrap();
    check(rest, name);
}
