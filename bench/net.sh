#!/bin/sh
# Measures VM to VM across hosts, on Sarn's fabric in both modes (router, direct), on
# the same two networks wired by hand, and on bridges joined by VXLAN. All five stand at
# once and take turns in an order that is drawn for each round, so that all meet the same
# machine. Three measures:
#
#   throughput    one TCP stream (sarn bench net)
#   transactions  TCP request/response of 64 bytes (sarn bench net), everything on one CPU,
#                 so that it counts work and not where the scheduler puts it
#   packets       UDP in frames of 64 bytes (60 and the checksum), which trafgen sends
#                 through a packet ring from one CPU without building them one by one;
#                 what counts is what the other VM's interface has received. The
#                 udp-stream of sarn bench net goes through sockets, which cost more
#                 than some of the ways that are compared
#
# Prints medians, and the medians of the rounds' ratios with their quartiles: rounds drift,
# neighbours do not. Draws docs/img/bench-*.svg. BENCH_ROUNDS (21) and BENCH_SECONDS (1,
# a measurement) change the length, BENCH_NETWORKS and BENCH_MEASURES leave some out.
set -eu
cd "$(dirname "$0")/.."
rounds=${BENCH_ROUNDS:-21} seconds=${BENCH_SECONDS:-1}
networks=${BENCH_NETWORKS:-router hand direct hand-direct vxlan}
measures=${BENCH_MEASURES:-throughput transactions packets}
SARN_RUN_DIR=$(mktemp -d)
export SARN_RUN_DIR
out=$SARN_RUN_DIR/out
mkdir "$out"

background= # the process that a measurement has started and not yet waited for
finish() {
	[ -z "$background" ] || kill "$background" 2>/dev/null || true
	bin/sarn lab down --all >/dev/null 2>&1 || true
	for mode in router direct; do sh bench/peer/handwired.sh down "$mode"; done
	sh bench/peer/vxlan.sh down
	rm -rf "$SARN_RUN_DIR"
}
trap finish EXIT
trap 'exit 130' INT TERM

bring_up() { # NETWORK
	case $1 in
	router) bin/sarn lab up examples/two-hosts.yaml --name router ;;
	direct)
		bin/sarn lab up examples/two-hosts.yaml --name direct
		bin/sarn --lab direct vpc mode main direct --wait
		;;
	hand) sh bench/peer/handwired.sh up router ;;
	hand-direct) sh bench/peer/handwired.sh up direct ;;
	vxlan) sh bench/peer/vxlan.sh up ;;
	esac >/dev/null
}

namespace() { # NETWORK VM: the file that enters it
	case $1 in
	hand) echo "/run/netns/hw-$2" ;;
	hand-direct) echo "/run/netns/hd-$2" ;;
	vxlan) echo "/run/netns/vx-$2" ;;
	*) echo "$SARN_RUN_DIR"/labs/"$1"/guests/*/"$2" ;;
	esac
}

enter() { # NETWORK: the measurement's two VMs, ahead of what else the machine does
	vm1=$(namespace "$1" vm1) vm3=$(namespace "$1" vm3)
	from="nice -n -20 nsenter --net=$vm1" to="nice -n -20 nsenter --net=$vm3"
}

settle() { # end the process in the background
	kill "$background" 2>/dev/null || true
	wait "$background" 2>/dev/null || true
	background=
}

measured() { # FIELD FLAG...: what sarn bench net measures between the two VMs
	field=$1
	shift
	nice -n -20 bin/sarn bench net "$vm1" "$vm3" --time "${seconds}s" -o json "$@" |
		awk -F'[:,]' -v f="\"$field\"" '$1 ~ f {printf "%.0f\n", $2}'
}

throughput() { measured mbit_per_second --test tcp-stream; } # Mbit/s

transactions() { measured transactions_per_second --test tcp-rr --cpu-from 0 --cpu-to 0; } # a second

received() { echo 'awk -v t="$(date +%s.%N)" "/eth0:/ {print \$3, t}" /proc/net/dev'; }

packets() { # a second
	$from ping -q -c 1 -W 3 10.10.10.12 >/dev/null # the neighbour is known
	next=$($from ip neigh show 10.10.10.12 | awk '{print $5}')
	own=$($from ip -br link show eth0 | awk '{print $3}')
	echo "{ eth(da=$next, sa=$own, type=0x0800), ipv4(sa=10.10.10.10, da=10.10.10.12, ttl=64)," \
		"udp(sp=5400, dp=5400), fill(0, 18) }" >"$out/packet"
	$from timeout $((seconds + 5)) taskset -c 0 trafgen --no-sock-mem --notouch-irq --dev eth0 --conf "$out/packet" --cpus 1 >/dev/null 2>&1 &
	background=$!
	sleep 0.2
	$to sh -c "$(received); sleep $seconds; $(received)" |
		awk 'NR == 1 {n = $1; t = $2} NR == 2 {printf "%.0f\n", ($1 - n) / ($2 - t)}'
	settle
}

for network in $networks; do bring_up "$network"; done
for round in $(seq "$rounds"); do
	for network in $(shuf -e $networks); do
		enter "$network"
		for measure in $measures; do
			figure=$($measure)
			[ "${figure:-0}" != 0 ] || { echo "no figure of $measure on $network" >&2; exit 1; }
			echo "$figure" >>"$out/$measure.$network"
		done
	done
	echo "round $round of $rounds" >&2
done

quantile() { # Q of the numbers on standard input
	sort -n | awk -v q="$1" '{v[NR] = $1} END {k = 1 + (NR - 1) * q; i = int(k); print v[i] + (k - i) * (v[i + (i < NR)] - v[i])}'
}

has() { case " $networks " in *" $1 "*) ;; *) return 1 ;; esac; }

describe() { # MEASURE
	case $1 in
	throughput) echo "Mbit/s, one TCP stream" ;;
	transactions) echo "TCP request/response a second, one CPU" ;;
	packets) echo "64-byte UDP packets a second, one sender" ;;
	esac
}

label() { # NETWORK
	case $1 in
	router) echo "Sarn, router" ;;
	hand) echo "router, by hand" ;;
	direct) echo "Sarn, direct" ;;
	hand-direct) echo "direct, by hand" ;;
	vxlan) echo "bridge and VXLAN" ;;
	esac
}

medians() {
	printf '\n| medians of %s rounds |' "$rounds"
	for network in $networks; do printf ' %s |' "$(label "$network")"; done
	printf '\n| --- |'
	for network in $networks; do printf ' --- |'; done
	for measure in $measures; do
		printf '\n| %s |' "$(describe "$measure")"
		for network in $networks; do printf ' %.0f |' "$(quantile 0.5 <"$out/$measure.$network")"; done
	done
	printf '\n'
}

ratio() { # NETWORK OTHER GOAL
	has "$1" && has "$2" || return 0
	for measure in $measures; do
		paste "$out/$measure.$1" "$out/$measure.$2" | awk '{print $1 / $2}' >"$out/ratio"
		printf '| %s / %s | %s | %.2f | %.2f to %.2f | %s |\n' "$(label "$1")" "$(label "$2")" "$(describe "$measure")" \
			"$(quantile 0.5 <"$out/ratio")" "$(quantile 0.25 <"$out/ratio")" "$(quantile 0.75 <"$out/ratio")" "$3"
	done
}

medians
printf '\n| ratio | of | median | quartiles | goal |\n| --- | --- | --- | --- | --- |\n'
ratio router hand 0.97
ratio direct hand-direct 0.97
ratio direct vxlan 1.15
ratio router vxlan ""

[ -z "${BENCH_NETWORKS:-}${BENCH_MEASURES:-}" ] || exit 0 # half a picture would take the place of a whole one
for measure in $measures; do
	for network in $networks; do
		f=$out/$measure.$network
		printf '%s\t%s\t%s\t%s\n' "$(label "$network")" "$(quantile 0.5 <"$f")" "$(quantile 0.25 <"$f")" "$(quantile 0.75 <"$f")"
	done | go run ./bench/chart -title "VM to VM across hosts" -unit "$(describe "$measure")" >"$out/chart"
	cp "$out/chart" "docs/img/bench-$measure.svg"
done
