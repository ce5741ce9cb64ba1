"""Builds a network with pyroute2 or Mininet, says "ready", and takes it away when its standard input ends.

usage: peers.py TOOL star HOSTS | peers.py TOOL mesh ROUTERS
"""

import sys
from ipaddress import IPv4Address

BASE = int(IPv4Address("10.0.0.0"))


def cables(routers):
    """Every pair of routers, with the two addresses of its cable."""
    number = 0
    for low in range(routers):
        for high in range(low + 1, routers):
            yield low, high, IPv4Address(BASE + 4 * number + 1), IPv4Address(BASE + 4 * number + 2)
            number += 1


def wait():
    print("ready", flush=True)
    sys.stdin.read()


def pyroute2(shape, size):
    from pyroute2 import NetNS, netns

    def settle(socket, name, address, prefix):
        index = socket.link_lookup(ifname=name)[0]
        socket.addr("add", index=index, address=str(address), prefixlen=prefix)
        socket.link("set", index=index, state="up")

    names = ["sw"] + [f"h{i + 1}" for i in range(size)] if shape == "star" else [f"r{i + 1}" for i in range(size)]
    sockets = {}
    for name in names:
        sockets[name] = NetNS(name)
        sockets[name].link("set", index=1, state="up")
    if shape == "star":
        switch = sockets["sw"]
        switch.link("add", ifname="br0", kind="bridge", state="up")
        bridge = switch.link_lookup(ifname="br0")[0]
        for i in range(1, size + 1):
            switch.link("add", ifname=f"p{i}", kind="veth", peer={"ifname": "eth0", "net_ns_fd": f"h{i}"})
            switch.link("set", index=switch.link_lookup(ifname=f"p{i}")[0], master=bridge, state="up")
            settle(sockets[f"h{i}"], "eth0", IPv4Address(BASE + i), 16)
    else:
        for low, high, near, far in cables(size):
            one, other = f"r{low + 1}", f"r{high + 1}"
            sockets[one].link("add", ifname=f"to{high + 1}", kind="veth",
                              peer={"ifname": f"to{low + 1}", "net_ns_fd": other})
            settle(sockets[one], f"to{high + 1}", near, 30)
            settle(sockets[other], f"to{low + 1}", far, 30)
        for name in names:
            netns.pushns(name)
            with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
                file.write("1")
            netns.popns()
    wait()
    for name in names:
        sockets[name].close()
        netns.remove(name)


def mininet(shape, size):
    from mininet.log import setLogLevel
    from mininet.net import Mininet
    from mininet.nodelib import LinuxBridge

    setLogLevel("error")
    net = Mininet(switch=LinuxBridge, controller=None, autoSetMacs=False)
    if shape == "star":
        switch = net.addSwitch("s1")
        for i in range(1, size + 1):
            net.addLink(net.addHost(f"h{i}", ip=f"{IPv4Address(BASE + i)}/16"), switch)
    else:
        hosts = [net.addHost(f"r{i + 1}", ip=None) for i in range(size)]
        for low, high, near, far in cables(size):
            net.addLink(hosts[low], hosts[high], params1={"ip": f"{near}/30"}, params2={"ip": f"{far}/30"})
        for host in hosts:
            host.cmd("echo 1 > /proc/sys/net/ipv4/ip_forward")
    net.start()
    wait()
    net.stop()


{"pyroute2": pyroute2, "mininet": mininet}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
