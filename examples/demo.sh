#!/bin/sh
# make demo: two hosts, a router, two networks and six VMs in namespaces, every pair
# pinged, the routing tables shown, and a word on what to try next.
set -eu
cd "$(dirname "$0")/.."
sarn=${SARN:-bin/sarn}

title() { printf '\n== %s\n' "$*"; }
show() { # NODE COMMAND...: print it as it would be typed, then run it
	node=$1
	shift
	printf '%s# %s\n' "$node" "$*"
	$sarn --lab demo lab exec "$node" -- "$@"
}

[ "$(id -u)" = 0 ] || { echo "make demo builds network namespaces, so it needs root" >&2; exit 1; }
$sarn lab down demo >/dev/null 2>&1 || true
title "Two hosts, a router, two networks, six VMs, an internet node"
$sarn lab up examples/two-hosts.yaml --name demo
$sarn --lab demo port list

title "Every pair of VMs, and the internet node"
$sarn --lab demo lab ping-all

title "Routing tables: the router has a host route for each VM"
show router ip route show proto 83
title "host1: a table for what comes from net1's bridge, another for what comes from the LAN"
show host1 ip rule
show host1 ip route show table 10001
show host1 ip route show table 10000
title "vm1 sees vm3, which is on the other host, at the bridge's MAC address"
show vm1 ping -c 1 -q vm3
show vm1 ip neigh

cat <<EOF

== The lab is up. Try:
$sarn lab shell                              # then: vm1 ping vm3
$sarn lab exec vm1 -- traceroute -n vm3
$sarn lab exec vm1 -- ping -q -c 10 -i 0.5 vm3 & $sarn lab capture lan bridge -c 4; wait   # plain packets on the LAN, no VM's ARP
$sarn port create vm7 --subnet net2 --node host2 --wait && $sarn lab exec vm7 -- ping -c 1 vm1
$sarn status
$sarn lab test examples/two-hosts.test.yaml
$sarn lab down
EOF
