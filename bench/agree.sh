#!/bin/sh
# Holds `sarn bench net` against iperf3 and sockperf on the same way, vm1 to vm3 of
# examples/two-hosts.yaml. Each round measures with ours, theirs, theirs, ours, so that a
# machine that grows busier is nobody's loss; what is printed is the median of the rounds'
# ratios with quartiles. All run ahead of what else the machine does.
#
#   gigabit       one TCP stream over a cable of 1 Gbit/s: the cable is the limit
#   throughput    one TCP stream without that: the CPUs are the limit, and the tool a part
#   transactions  64 bytes each way over one connection, everything on one CPU
#
# BENCH_ROUNDS (15) and BENCH_SECONDS (1, a measurement) change the length.
set -eu
cd "$(dirname "$0")/.."
rounds=${BENCH_ROUNDS:-15} seconds=${BENCH_SECONDS:-1}
SARN_RUN_DIR=$(mktemp -d)
export SARN_RUN_DIR

background=
finish() {
	[ -z "$background" ] || kill "$background" 2>/dev/null || true
	bin/sarn lab down --all >/dev/null 2>&1 || true
	rm -rf "$SARN_RUN_DIR"
}
trap finish EXIT
trap 'exit 130' INT TERM
bin/sarn lab up examples/two-hosts.yaml --name free >/dev/null
sed '/gateway: 203.0.113.1/! s/address: 192.168.56.101}/address: 192.168.56.101, bandwidth: 1gbit}/' \
	examples/two-hosts.yaml >"$SARN_RUN_DIR/gigabit.yaml"
bin/sarn lab up "$SARN_RUN_DIR/gigabit.yaml" --name gigabit >/dev/null

between() { # LAB
	vm1=$(echo "$SARN_RUN_DIR/labs/$1"/guests/*/vm1) vm3=$(echo "$SARN_RUN_DIR/labs/$1"/guests/*/vm3)
	from="nice -n -20 nsenter --net=$vm1" to="nice -n -20 nsenter --net=$vm3"
}

listening() { # PORT
	for _ in $(seq 100); do
		$to ss -Hltn "sport = :$1" | grep -q . && return
		sleep 0.05
	done
	echo "nothing listens on port $1" >&2
	exit 1
}

settle() {
	kill "$background" 2>/dev/null || true
	wait "$background" 2>/dev/null || true
	background=
}

ours() { # FIELD FLAG...
	field=$1
	shift
	nice -n -20 bin/sarn bench net "$vm1" "$vm3" --time "${seconds}s" -o json "$@" | awk -F'[:,]' -v f="\"$field\"" '$1 ~ f {print $2}'
}

ours_throughput() { ours mbit_per_second --test tcp-stream --omit 1s; }
ours_gigabit() { ours_throughput; }
ours_transactions() { ours transactions_per_second --test tcp-rr --cpu-from 0 --cpu-to 0; }

theirs_throughput() {
	$to iperf3 -s -1 >/dev/null 2>&1 &
	background=$!
	listening 5201
	$from iperf3 -c 10.10.10.12 -t "$seconds" -O 1 -f m | awk '/receiver/ {print $7}'
	settle
}

theirs_gigabit() { theirs_throughput; }

theirs_transactions() {
	$to taskset -c 0 sockperf server --tcp -i 10.10.10.12 -p 5300 >/dev/null 2>&1 &
	background=$!
	listening 5300
	$from taskset -c 0 sockperf ping-pong --tcp -i 10.10.10.12 -p 5300 -t "$seconds" -m 64 2>&1 |
		sed 's/\x1b\[[0-9;]*m//g' | awk '/Summary: Latency is/ {printf "%.0f\n", 1e6 / (2 * $5)}'
	settle
}

for round in $(seq "$rounds"); do
	for measure in gigabit throughput transactions; do
		case $measure in gigabit) between gigabit ;; *) between free ;; esac
		a=$(ours_$measure) b=$(theirs_$measure) c=$(theirs_$measure) d=$(ours_$measure)
		echo "$a $b $c $d" | awk 'NF == 4 {printf "%.4f %.0f %.0f\n", ($1 + $4) / ($2 + $3), ($1 + $4) / 2, ($2 + $3) / 2}' >>"$SARN_RUN_DIR/$measure"
	done
	echo "round $round of $rounds" >&2
done

quantile() { # Q of the numbers on standard input
	sort -n | awk -v q="$1" '{v[NR] = $1} END {k = 1 + (NR - 1) * q; i = int(k); print v[i] + (k - i) * (v[i + (i < NR)] - v[i])}'
}

printf '| median of %s rounds | sarn | peer | ratio | quartiles |\n| --- | --- | --- | --- | --- |\n' "$rounds"
for measure in gigabit throughput transactions; do
	case $measure in
	gigabit) label="Mbit/s, one TCP stream on a cable of 1 Gbit/s; iperf3" ;;
	throughput) label="Mbit/s, one TCP stream; iperf3" ;;
	transactions) label="TCP request/response a second; sockperf" ;;
	esac
	column() { awk -v n="$1" '{print $n}' "$SARN_RUN_DIR/$measure"; }
	printf '| %s | %.0f | %.0f | %.2f | %.2f to %.2f |\n' "$label" "$(column 2 | quantile 0.5)" "$(column 3 | quantile 0.5)" \
		"$(column 1 | quantile 0.5)" "$(column 1 | quantile 0.25)" "$(column 1 | quantile 0.75)"
done
