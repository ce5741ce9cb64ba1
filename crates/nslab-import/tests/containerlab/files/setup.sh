#!/bin/sh
# Read as if it stood among the commands.
set -e
ip address add 10.5.0.1/30 dev eth1
ip address add 10.5.9.1/24 dev eth5
tc qdisc replace dev eth1 root pfifo
echo 1 > /proc/sys/net/ipv4/conf/eth1/log_martians
service ssh start
sh /setup.sh
