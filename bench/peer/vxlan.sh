#!/bin/sh
# What most people put between hosts today, made by hand: on each host a Linux bridge
# with the VM and a kernel VXLAN device to the other host, which learns where MAC
# addresses are. The VMs are in one Ethernet segment, with the MTU that the tunnel
# leaves them. Nobody checks senders. Namespaces are called vx-*.
#
# Usage: bench/peer/vxlan.sh up|down
set -eu
all="vx-lan vx-host1 vx-host2 vx-vm1 vx-vm3"

down() { for n in $all; do ip netns del "$n" 2>/dev/null || true; done; }

host() { # NETNS ADDRESS PEER VM VM-ADDRESS
	ip -n "$1" link add enp0s8 type veth peer name "$1" netns vx-lan
	ip -n vx-lan link set "$1" master lan up
	ip -n "$1" addr add "$2/24" dev enp0s8
	ip -n "$1" link set enp0s8 up
	ip -n "$1" link add br0 type bridge
	ip -n "$1" link add vxlan1 mtu 1450 type vxlan id 1 local "$2" remote "$3" dstport 4789 dev enp0s8
	ip -n "$1" link add vp_vm mtu 1450 type veth peer name eth0 mtu 1450 netns "$4"
	for port in vxlan1 vp_vm; do ip -n "$1" link set "$port" master br0 up; done
	ip -n "$1" link set br0 up
	ip -n "$4" addr add "$5/24" dev eth0
	ip -n "$4" link set eth0 up
}

up() {
	down
	for n in $all; do ip netns add "$n"; ip -n "$n" link set lo up; done
	ip -n vx-lan link add lan type bridge
	ip -n vx-lan link set lan up
	host vx-host1 192.168.56.103 192.168.56.104 vx-vm1 10.10.10.10
	host vx-host2 192.168.56.104 192.168.56.103 vx-vm3 10.10.10.12
	ip netns exec vx-vm1 ping -q -c 1 -W 3 10.10.10.12 >/dev/null
}

case ${1:-} in up) up ;; down) down ;; *) echo "usage: $0 up|down" >&2; exit 2 ;; esac
