#!/bin/busybox sh
# The first program in the machine: makes a throw-away copy of the host's root and starts the job in it. `settings`
# defines MODULES (the kernel's modules, a path of the host), AGENT and JOB (paths of the host), and WITHOUT (files of
# modules that shall not be found, below MODULES).
. /settings
b=/bin/busybox
die() { echo "init: $*" >/dev/console; $b reboot -f; }

$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in virtio_pci virtio_console virtiofs overlay; do /sbin/modprobe $module 2>/dev/null; done
$b mount -t virtiofs -o ro host /host || die 'the host cannot be reached through virtiofs'
# The kernel looks for the modules that it asks for here, in the root that it was booted with.
$b mount --bind "/host$MODULES" /lib/modules || die "no modules in $MODULES"
# What is no module is not loaded, and neither is what depends on it.
for file in $WITHOUT; do $b mount --bind /dev/null "/lib/modules/$file" || die "no module $file"; done

# A copy of the host's root: what is written goes to memory.
$b mount -t tmpfs -o mode=755 upper /upper
$b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/host,upperdir=/upper/files,workdir=/upper/work root /root || die 'no overlay'
cd /root
$b mkdir -p lib/modules
$b mount -t proc proc proc
$b mount -t sysfs sys sys
$b mount -t devtmpfs dev dev
$b mkdir -p dev/pts dev/shm dev/net
[ -e dev/net/tun ] || $b mknod -m 666 dev/net/tun c 10 200
$b mount -t devpts -o ptmxmode=666 pts dev/pts
$b ln -sf /proc/self/fd dev/fd
$b mount -t tmpfs -o mode=1777 shm dev/shm
$b mount -t tmpfs -o mode=755 run run
$b mkdir -m 1777 run/lock
$b mount -t cgroup2 cgroup sys/fs/cgroup
$b mount -t bpf bpf sys/fs/bpf
$b mount -t debugfs debug sys/kernel/debug
$b mount -t tracefs trace sys/kernel/tracing
$b mount --bind /lib/modules lib/modules
# The index that kmod's own wants is not made.
$b mkdir -p usr/local/sbin
$b cp $b usr/local/sbin/modprobe
$b ifconfig lo up
$b hostname vm
ulimit -Hn 524288

for port in /sys/class/virtio-ports/*; do [ "$($b cat "$port/name")" = text ] && text=/dev/${port##*/}; done
[ -n "$text" ] || die 'no port for the output'
# Not a mere chroot: a process in one may make no user namespace. The port can be opened once only, hence the pipe.
$b mount --move /root /
$b setsid $b chroot . "$AGENT" vm-guest "$JOB" </dev/null 2>&1 | $b cat >"$text"
$b reboot -f
