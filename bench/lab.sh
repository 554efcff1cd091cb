#!/bin/sh
# Measures how long a lab of many VMs takes beside Mininet: `sarn lab up --topo single,N`
# and `sarn lab down` against `mn --topo single,N --switch lxbr --test none`, which
# builds and takes down too. In turn, round by round, so that both meet the same machine.
# Prints medians, and the median of the rounds' ratios. It needs root, and Debian's
# packages mininet and bridge-utils. BENCH_ROUNDS (5) and BENCH_VMS (100) change it.
set -eu
cd "$(dirname "$0")/.."
rounds=${BENCH_ROUNDS:-5} vms=${BENCH_VMS:-100}
for program in mn brctl; do
	command -v $program >/dev/null || { echo "lab.sh: there is no $program; install mininet and bridge-utils" >&2; exit 1; }
done
SARN_RUN_DIR=$(mktemp -d)
export SARN_RUN_DIR
out=$SARN_RUN_DIR/out
mkdir "$out"

finish() {
	bin/sarn lab down --all >/dev/null 2>&1 || true
	rm -rf "$SARN_RUN_DIR"
}
trap finish EXIT
trap 'exit 130' INT TERM

seconds() { # COMMAND...: run it quietly and print how long it took
	began=$(date +%s.%N)
	"$@" >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
	date +%s.%N | awk -v began="$began" '{printf "%.3f\n", $1 - began}'
}

sarn() {
	up=$(seconds bin/sarn lab up --topo "single,$vms" --name bench)
	down=$(seconds bin/sarn lab down bench)
	echo "$up" >>"$out/up"
	echo "$down" >>"$out/down"
	echo "$up $down" | awk '{print $1 + $2}' >>"$out/sarn"
}

mininet() { seconds mn --topo "single,$vms" --switch lxbr --test none >>"$out/mininet"; }

for round in $(seq "$rounds"); do
	if [ $((round % 2)) -eq 1 ]; then sarn && mininet; else mininet && sarn; fi
	echo "round $round of $rounds" >&2
done

median() { sort -n | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

echo
echo "| $vms VMs, medians of $rounds rounds | Sarn | Mininet | Sarn / Mininet |"
echo "| --- | --- | --- | --- |"
printf '| seconds, up and down | %.2f (up %.2f, down %.2f) | %.2f | %.2f |\n' \
	"$(median <"$out/sarn")" "$(median <"$out/up")" "$(median <"$out/down")" "$(median <"$out/mininet")" \
	"$(paste "$out/sarn" "$out/mininet" | awk '{print $1 / $2}' | median)"
