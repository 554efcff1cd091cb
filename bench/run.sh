#!/bin/sh
# Measures VM to VM across hosts, through the router: one TCP stream (iperf3) and TCP
# request/response (sockperf), on a Sarn lab and on the same network wired by hand,
# in turn, round by round, so that both meet the same machine. Prints the medians and
# their ratio. BENCH_ROUNDS (7) and BENCH_SECONDS (3) change the length.
set -eu
cd "$(dirname "$0")/.."
rounds=${BENCH_ROUNDS:-7} seconds=${BENCH_SECONDS:-3}
SARN_RUN_DIR=$(mktemp -d)
export SARN_RUN_DIR
out=$SARN_RUN_DIR/out
mkdir "$out"

finish() {
	bin/sarn lab down --all >/dev/null 2>&1 || true
	sh bench/handwired.sh down
	rm -rf "$SARN_RUN_DIR"
}
trap finish EXIT
trap 'exit 130' INT TERM

bin/sarn lab up examples/two-hosts.yaml --name bench >/dev/null
sh bench/handwired.sh up

# in NETWORK VM COMMAND...: run a command in a VM of one of the two networks.
in_vm() {
	network=$1 vm=$2
	shift 2
	case $network in
	sarn) bin/sarn --lab bench lab exec "$vm" -- "$@" ;;
	hand) ip netns exec "hw-$vm" "$@" ;;
	esac
}

listening() { # NETWORK PORT: wait until somebody listens there
	for _ in $(seq 100); do
		in_vm "$1" vm3 ss -Hltn "sport = :$2" | grep -q . && return
		sleep 0.05
	done
	echo "nothing listens on $1's port $2" >&2
	exit 1
}

throughput() { # Mbit/s
	in_vm "$1" vm3 iperf3 -s -1 >/dev/null 2>&1 &
	listening "$1" 5201
	in_vm "$1" vm1 iperf3 -c 10.10.10.12 -t "$seconds" -f m | awk '/receiver/ {print $7}'
	wait
}

transactions() { # a second
	in_vm "$1" vm3 sockperf server --tcp -i 10.10.10.12 -p 5300 >/dev/null 2>&1 &
	listening "$1" 5300
	in_vm "$1" vm1 sockperf ping-pong --tcp -i 10.10.10.12 -p 5300 -t "$seconds" -m 14 2>&1 |
		sed 's/\x1b\[[0-9;]*m//g' | awk '/Summary: Latency is/ {printf "%.0f\n", 1e6 / (2 * $5)}'
	in_vm "$1" vm3 pkill -f 'sockperf server --tcp' || true
	wait
}

for round in $(seq "$rounds"); do
	order="sarn hand"
	[ $((round % 2)) -eq 1 ] || order="hand sarn"
	for network in $order; do
		throughput "$network" >>"$out/throughput.$network"
		transactions "$network" >>"$out/transactions.$network"
	done
	echo "round $round of $rounds" >&2
done

median() { sort -n "$1" | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
spread() { sort -n "$1" | awk 'NR == 1 {a = $1} {b = $1} END {print a "–" b}'; }

echo
echo "| VM to VM across hosts | Sarn | by hand | Sarn / by hand | Sarn's range | by hand's range |"
echo "| --- | --- | --- | --- | --- | --- |"
for what in throughput transactions; do
	unit="Mbit/s, one TCP stream"
	[ $what = throughput ] || unit="TCP request/response a second"
	a=$(median "$out/$what.sarn") b=$(median "$out/$what.hand")
	echo "| $unit | $a | $b | $(awk "BEGIN {printf \"%.2f\", $a / $b}") | $(spread "$out/$what.sarn") | $(spread "$out/$what.hand") |"
done
