#!/bin/sh
# Measures `sarn top` beside top, htop, btop and glances with 1,000 extra processes, and
# `sarn monitor serve` with 0 to 1,000 who look on and with 30 days of history: see
# bench/monitor. Prints tables and draws docs/img/bench-monitor.svg.
#
# BENCH_ROUNDS (3) and BENCH_SECONDS (20, a turn) change the length; further arguments go
# to the program, such as -only screens or -json FILE.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
go build -o .cache/bench-monitor ./bench/monitor
exec .cache/bench-monitor -rounds "${BENCH_ROUNDS:-3}" -seconds "${BENCH_SECONDS:-20}" -o docs/img \
	-history .cache/bench-month "$@"
