#!/bin/sh
# Compares the post's five servers (examples/bench/five.yaml) and writes the chart to
# docs/img/bench-http.svg and the table, with the machine's description, into
# docs/bench.md between its two markers. BENCH_ROUNDS (15) and BENCH_SECONDS (1, a
# server's part of a round) change the length.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM

bin/sarn bench compare examples/bench/five.yaml --rounds "${BENCH_ROUNDS:-15}" -t "${BENCH_SECONDS:-1}" \
	--chart docs/img/bench-http.svg >"$out/table"
cat "$out/table"

begin='<!-- bench-http: begin -->' end='<!-- bench-http: end -->'
for mark in "$begin" "$end"; do
	grep -qxF "$mark" docs/bench.md || { echo "http.sh: docs/bench.md has no line '$mark'" >&2; exit 1; }
done
awk -v begin="$begin" -v end="$end" -v table="$out/table" '
	$0 == end { inside = 0 }
	!inside { print }
	$0 == begin { inside = 1; print ""; while ((getline line < table) > 0) print line == "" ? "" : "    " line; print "" }
' docs/bench.md >"$out/doc"
cat "$out/doc" >docs/bench.md
echo "wrote the table into docs/bench.md" >&2
