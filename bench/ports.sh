#!/bin/sh
# Measures how long it takes from `sarn port create --wait` until the new port has
# answered its first ping from another host, on an idle lab of BENCH_NODES (20) hosts,
# BENCH_PORTS (200) times, and which part of it the command itself took.
set -eu
cd "$(dirname "$0")/.."
nodes=${BENCH_NODES:-20} ports=${BENCH_PORTS:-200}
SARN_RUN_DIR=$(mktemp -d)
export SARN_RUN_DIR

finish() {
	bin/sarn lab down --all >/dev/null 2>&1 || true
	rm -rf "$SARN_RUN_DIR"
}
trap finish EXIT
trap 'exit 130' INT TERM

awk -v n="$nodes" 'BEGIN {
	print "kind: Lab\nname: bench\nnetworks:\n  - {name: lan, cidr: 192.168.56.0/24}"
	print "---\n{kind: Node, name: router, role: router, address: 192.168.56.1, interface: eth0}"
	for (i = 1; i <= n; i++) printf "---\n{kind: Node, name: host%d, role: host, address: 192.168.56.%d, interface: eth0}\n", i, 10 + i
	print "---\n{kind: VPC, name: main, cidrs: [10.10.0.0/16]}"
	print "---\n{kind: Subnet, name: net, vpc: main, cidr: 10.10.0.0/20}"
	for (i = 1; i <= n; i++) printf "---\n{kind: Port, name: first%d, subnet: net, node: host%d}\n", i, i
}' >"$SARN_RUN_DIR/lab.yaml"
bin/sarn lab up "$SARN_RUN_DIR/lab.yaml" >/dev/null

now() { date +%s%N; }
for i in $(seq "$ports"); do
	host=$((i % nodes + 1)) other=$(((i + 1) % nodes + 1))
	began=$(now)
	address=$(bin/sarn --lab bench port create "more$i" --subnet net --node "host$host" --wait -o json | awk -F'"' '/"address"/ {print $4; exit}')
	made=$(now)
	nsenter --net="$SARN_RUN_DIR/labs/bench/guests/host$other/first$other" ping -q -c 1 -W 2 "$address" >/dev/null
	echo "$((($(now) - began) / 1000)) $(((made - began) / 1000))" >>"$SARN_RUN_DIR/times"
	[ $((i % 50)) -ne 0 ] || echo "$i of $ports ports" >&2
done

quantile() { sort -n | awk -v q="$1" '{v[NR] = $1} END {k = 1 + (NR - 1) * q; i = int(k); print (v[i] + (k - i) * (v[i + (i < NR)] - v[i])) / 1000}'; }
column() { awk -v c="$1" '{print $c}' "$SARN_RUN_DIR/times"; }
echo
echo "| $ports ports, one after the other, on $nodes hosts | p50, ms | p99, ms |"
echo "| --- | --- | --- |"
printf '| from port create --wait to the first reply from another host | %.0f | %.0f |\n' "$(column 1 | quantile 0.5)" "$(column 1 | quantile 0.99)"
printf '| of that, the command | %.0f | %.0f |\n' "$(column 2 | quantile 0.5)" "$(column 2 | quantile 0.99)"
