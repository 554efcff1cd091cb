#!/bin/sh
# Measures VM to VM across hosts, through the router: one TCP stream (iperf3) and TCP
# request/response (sockperf), on a Sarn lab and on the same network wired by hand,
# in turn, round by round, so that both meet the same machine. Request/response runs on
# one CPU, so that it counts work and not where the scheduler puts it. Prints medians,
# and the median of the rounds' ratios with their quartiles: rounds drift, neighbours do
# not. BENCH_ROUNDS (21) and BENCH_SECONDS (1, a measurement) change the length.
set -eu
cd "$(dirname "$0")/.."
rounds=${BENCH_ROUNDS:-21} seconds=${BENCH_SECONDS:-1}
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
	in_vm "$1" vm3 taskset -c 0 sockperf server --tcp -i 10.10.10.12 -p 5300 >/dev/null 2>&1 &
	listening "$1" 5300
	in_vm "$1" vm1 taskset -c 0 sockperf ping-pong --tcp -i 10.10.10.12 -p 5300 -t "$seconds" -m 14 2>&1 |
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

quantile() { sort -n | awk -v q="$1" '{v[NR] = $1} END {k = 1 + (NR - 1) * q; i = int(k); print v[i] + (k - i) * (v[i + (i < NR)] - v[i])}'; }

echo
echo "| VM to VM across hosts, medians of $rounds rounds | Sarn | by hand | Sarn / by hand | quartiles |"
echo "| --- | --- | --- | --- | --- |"
for what in throughput transactions; do
	unit="Mbit/s, one TCP stream"
	[ $what = throughput ] || unit="TCP request/response a second, on one CPU"
	paste "$out/$what.sarn" "$out/$what.hand" | awk '{print $1 / $2}' >"$out/ratio"
	printf '| %s | %.0f | %.0f | %.2f | %.2f to %.2f |\n' "$unit" \
		"$(quantile 0.5 <"$out/$what.sarn")" "$(quantile 0.5 <"$out/$what.hand")" \
		"$(quantile 0.5 <"$out/ratio")" "$(quantile 0.25 <"$out/ratio")" "$(quantile 0.75 <"$out/ratio")"
done
