#!/bin/busybox sh
# What the kernel calls when it lacks a module. busybox takes a module that somebody else is still loading for loaded, and
# then the kernel says that it has no such thing: so wait for it. Not forever: a module may itself ask for another one.
/bin/busybox modprobe "$@" || exit
tries=0
while /bin/busybox grep -q ' Loading ' /proc/modules && [ $tries -lt 200 ]; do
    /bin/busybox usleep 10000
    tries=$((tries + 1))
done
