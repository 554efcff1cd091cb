#!/bin/sh
# The reference that Sarn is measured against: the post's network made by hand with
# ip, sysctl and nft, as short as it can be. Two hosts, a router, a LAN, an internet
# node and one VM on each host. In mode "router" all goes through the router, in
# namespaces called hw-*; in mode "direct" each host has a route to the other's VM, in
# namespaces called hd-*.
#
# Usage: bench/peer/handwired.sh up|down router|direct
set -eu

case ${2:-} in
router) p=hw ;;
direct) p=hd ;;
*) echo "usage: $0 up|down router|direct" >&2; exit 2 ;;
esac
mode=$2
all="$p-lan $p-internet $p-router $p-host1 $p-host2 $p-vm1 $p-vm3"

down() { for n in $all; do ip netns del "$n" 2>/dev/null || true; done; }

set_all() { # NETNS NAME=VALUE...
	n=$1; shift
	ip netns exec "$n" sysctl -qw "$@"
}

nic() { # NETNS ADDRESS
	ip -n "$1" link add enp0s8 type veth peer name "$1" netns $p-lan
	ip -n $p-lan link set "$1" master lan up
	ip -n "$1" addr add "$2/24" dev enp0s8
	ip -n "$1" link set enp0s8 up
}

host() { # NETNS ADDRESS VM VM-ADDRESS PEER PEER-VM-ADDRESS
	nic "$1" "$2"
	ip -n "$1" link add br_net1 address 0e:5a:0a:0a:0a:02 type bridge
	ip -n "$1" addr add 10.10.10.2/24 dev br_net1
	ip -n "$1" link set br_net1 up
	set_all "$1" net.ipv4.ip_forward=1 net.ipv4.conf.br_net1.proxy_arp=1 net.ipv4.neigh.br_net1.proxy_delay=0 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.enp0s8.rp_filter=0
	ip -n "$1" route add 10.10.10.0/24 via 192.168.56.101 table 101
	ip -n "$1" route add default via 192.168.56.101 table 101
	[ $mode = router ] || ip -n "$1" route add "$6" via "$5" table 101
	ip -n "$1" rule add iif br_net1 lookup 101
	ip -n "$1" link add "vp_vm" type veth peer name eth0 netns "$3"
	ip -n "$1" link set "vp_vm" master br_net1 up
	ip -n "$3" addr add "$4/24" dev eth0
	ip -n "$3" link set eth0 up
	ip -n "$3" route add default via 10.10.10.1
	ip -n $p-router route add "$4" via "$2"
}

up() {
	down
	for n in $all; do ip netns add "$n"; ip -n "$n" link set lo up; done
	ip -n $p-lan link add lan type bridge
	ip -n $p-lan link set lan up
	nic $p-router 192.168.56.101
	ip -n $p-router link add enp0s3 type veth peer name eth0 netns $p-internet
	ip -n $p-router addr add 203.0.113.2/24 dev enp0s3
	ip -n $p-router link set enp0s3 up
	ip -n $p-internet addr add 203.0.113.1/24 dev eth0
	ip -n $p-internet link set eth0 up
	ip -n $p-router route add default via 203.0.113.1
	ip -n $p-router addr add 10.10.10.1/32 dev lo
	set_all $p-router net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.enp0s8.send_redirects=0
	ip netns exec $p-router nft -f - <<'EOF'
table ip nat {
	set sdn_net {
		type ipv4_addr
		flags interval
		elements = { 10.10.10.0/24 }
	}
	chain postrouting {
		type nat hook postrouting priority srcnat
		oifname "enp0s3" ip saddr @sdn_net masquerade
	}
}
EOF
	host $p-host1 192.168.56.103 $p-vm1 10.10.10.10 192.168.56.104 10.10.10.12
	host $p-host2 192.168.56.104 $p-vm3 10.10.10.12 192.168.56.103 10.10.10.10
	ip netns exec $p-vm1 ping -q -c 1 -W 3 10.10.10.12 >/dev/null
}

case $1 in up) up ;; down) down ;; *) echo "usage: $0 up|down router|direct" >&2; exit 2 ;; esac
