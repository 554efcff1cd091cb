#!/bin/sh
# Measures the load test itself: `sarn bench http` beside ab, wrk and hey, each on one CPU,
# against the same nginx on another, which answers from memory, so that the tools are more
# of the limit than the server. They take turns in an order that is drawn for each
# round. Two measures: answers a second, and answers for each second of the tool's own CPU
# time, which tells the tool's work from the server's. With keep-alive, and ("-new", which
# wrk cannot) with a connection for each request.
#
# Prints medians, and the medians of the rounds' ratios with their quartiles, and draws
# docs/img/bench-load.svg. BENCH_ROUNDS (15) and BENCH_SECONDS (2) change the length.
set -eu
cd "$(dirname "$0")/.."
rounds=${BENCH_ROUNDS:-15} seconds=${BENCH_SECONDS:-2}
port=8189 clients=100
out=$(mktemp -d)
chmod 755 "$out"
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	wait
	rm -rf "$out"
}
trap finish EXIT
trap 'exit 130' INT TERM

cat >"$out/nginx.conf" <<-EOF
	daemon off; user root; worker_processes 1; pid nginx.pid; error_log stderr;
	events { worker_connections 1024; }
	http {
	    access_log off; keepalive_requests 1000000000;
	    server { listen 127.0.0.1:$port; location / { return 200 "Hello, World!"; } }
	}
EOF
taskset -c 1 nginx -p "$out" -c nginx.conf 2>"$out/nginx.log" &
server=$!
for _ in $(seq 100); do
	curl -sf "http://127.0.0.1:$port/" >/dev/null && break
	sleep 0.05
done

# one runs a tool on CPU 0 and notes its rate, and what it did in a second of its CPU.
one() { # TOOL
	url=http://127.0.0.1:$port/
	case $1 in
	sarn) set -- sarn bin/sarn bench http "$url" -k -c "$clients" -t "$seconds" -o csv --no-headers ;;
	wrk) set -- wrk wrk -t 1 -c "$clients" -d "$seconds" "$url" ;;
	ab) set -- ab ab -q -k -c "$clients" -t "$seconds" -n 100000000 "$url" ;;
	hey) set -- hey hey -cpus 1 -c "$clients" -z "${seconds}s" "$url" ;;
	sarn-new) set -- sarn-new bin/sarn bench http "$url" -c "$clients" -t "$seconds" -o csv --no-headers ;;
	ab-new) set -- ab-new ab -q -c "$clients" -t "$seconds" -n 100000000 "$url" ;;
	hey-new) set -- hey-new hey -disable-keepalive -cpus 1 -c "$clients" -z "${seconds}s" "$url" ;;
	esac
	tool=$1
	shift
	taskset -c 0 sh -c '"$@" >"$0/said" 2>/dev/null; times >"$0/times"' "$out" "$@"
	rate=$(awk -F , '/^Requests/ && match($0, /[0-9]+[.][0-9]+/) || /Requests\/sec/ && match($0, /[0-9]+[.][0-9]+/) { print substr($0, RSTART, RLENGTH); exit }
		/^http/ { print $10; exit }' "$out/said")
	[ -n "$rate" ] || { echo "$tool gave no figure" >&2; exit 1; }
	echo "$rate" >>"$out/rate.$tool"
	sed -n 2p "$out/times" | tr 'ms' '  ' |
		awk -v rate="$rate" -v s="$seconds" '{print rate * s / ($1 * 60 + $2 + $3 * 60 + $4)}' >>"$out/work.$tool"
}

tools="sarn wrk ab hey" new="sarn-new ab-new hey-new"
for round in $(seq "$rounds"); do
	for tool in $(shuf -e $tools $new); do one "$tool"; done
	echo "round $round of $rounds" >&2
done

quantile() { # Q of the numbers on standard input
	sort -n | awk -v q="$1" '{v[NR] = $1} END {k = 1 + (NR - 1) * q; i = int(k); print v[i] + (k - i) * (v[i + (i < NR)] - v[i])}'
}

printf '| medians of %s rounds | answers a second | answers a CPU second of the tool |\n| --- | --- | --- |\n' "$rounds"
for tool in $tools $new; do
	printf '| %s | %.0f | %.0f |\n' "$tool" "$(quantile 0.5 <"$out/rate.$tool")" "$(quantile 0.5 <"$out/work.$tool")"
done
printf '\n| sarn / | answers a second (quartiles) | answers a CPU second (quartiles) | goal |\n| --- | --- | --- | --- |\n'
for tool in wrk ab hey ab-new hey-new; do
	printf '| %s |' "$tool"
	case $tool in *-new) ours=sarn-new ;; *) ours=sarn ;; esac
	for measure in rate work; do
		paste "$out/$measure.$ours" "$out/$measure.$tool" | awk '{print $1 / $2}' >"$out/ratio"
		printf ' %.2f (%.2f to %.2f) |' "$(quantile 0.5 <"$out/ratio")" "$(quantile 0.25 <"$out/ratio")" "$(quantile 0.75 <"$out/ratio")"
	done
	case $tool in wrk) echo ' 0.9 |' ;; hey) echo ' 2 |' ;; *) echo ' |' ;; esac
done
for tool in $tools; do
	printf '%s\t%s\t%s\t%s\n' "$tool" "$(quantile 0.5 <"$out/rate.$tool")" "$(quantile 0.25 <"$out/rate.$tool")" "$(quantile 0.75 <"$out/rate.$tool")"
done | go run ./bench/chart -title "One CPU, 100 connections, one nginx" -unit "answers a second" >"$out/chart"
cp "$out/chart" docs/img/bench-load.svg
