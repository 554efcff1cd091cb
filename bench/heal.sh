#!/bin/sh
# Measures how long it takes until what somebody changed behind an agent's back is true
# again: from the end of the command that did it until the check succeeds, the median and
# the largest of BENCH_ROUNDS (7) rounds.
set -eu
cd "$(dirname "$0")/.."
rounds=${BENCH_ROUNDS:-7}
SARN_RUN_DIR=$(mktemp -d)
export SARN_RUN_DIR

finish() {
	bin/sarn lab down --all >/dev/null 2>&1 || true
	rm -rf "$SARN_RUN_DIR"
}
trap finish EXIT
trap 'exit 130' INT TERM

bin/sarn lab up examples/two-hosts.yaml --name bench >/dev/null
cat >"$SARN_RUN_DIR/faults" <<'FAULTS'
a route deleted|ip route del 10.10.10.10 table 5001|ip route show table 5001 | grep -q "^10.10.10.10 "
rules flushed|ip rule del pref 5001; ip rule del pref 10001|ip rule | grep -q ^10001: && ip rule | grep -q "^5001:.*br_net1"
the bridge down|ip link set br_net1 down|ip link show br_net1 | grep -q "[<,]UP[,>]" && ip route show table 5001 | grep -q "^10.10.10.10 "
a setting that the kernel tells of|sysctl -qw net.ipv4.conf.br_net1.proxy_arp=0|grep -q 1 /proc/sys/net/ipv4/conf/br_net1/proxy_arp
a setting that it does not tell of|sysctl -qw net.ipv4.neigh.br_net1.proxy_delay=80|grep -qx 0 /proc/sys/net/ipv4/neigh/br_net1/proxy_delay
our nft table dropped|nft delete table bridge sarn|nft list chain bridge sarn port_vm1 | grep -q accept
a link renamed|ip link set vp_vm1 down; ip link set vp_vm1 name gone|ip link show vp_vm1 | grep -q "[<,]UP[,>]"
a port's veth removed|ip link del vp_vm1|ip link show vp_vm1 | grep -q "[<,]UP[,>]"
FAULTS

lan="nsenter --net=$SARN_RUN_DIR/labs/bench/netns/host1"
for round in $(seq "$rounds"); do
	n=0
	while IFS='|' read -r name fault check; do
		n=$((n + 1))
		$lan sh -c "$fault"
		# Reading /proc/sys inside the namespace needs no mount: it is the reader's own.
		$lan sh -c "began=\$(date +%s%N); until { $check; } 2>/dev/null; do sleep 0.005; done; echo \$(((\$(date +%s%N) - began) / 1000000))" >>"$SARN_RUN_DIR/ms.$n"
		sleep 0.5
	done <"$SARN_RUN_DIR/faults"
	echo "round $round of $rounds" >&2
	sleep 6 # repairs in a row slow down
done

quantile() { sort -n | awk -v q="$1" '{v[NR] = $1} END {k = 1 + (NR - 1) * q; i = int(k); print v[i] + (k - i) * (v[i + (i < NR)] - v[i])}'; }
echo
echo "| true again after ($rounds rounds) | median, ms | largest, ms |"
echo "| --- | --- | --- |"
n=0
while IFS='|' read -r name _; do
	n=$((n + 1))
	printf '| %s | %.0f | %.0f |\n' "$name" "$(quantile 0.5 <"$SARN_RUN_DIR/ms.$n")" "$(quantile 1 <"$SARN_RUN_DIR/ms.$n")"
done <"$SARN_RUN_DIR/faults"
