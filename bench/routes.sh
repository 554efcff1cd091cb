#!/bin/sh
# Measures how an agent takes up 100,000 host routes, against ip -batch with the same
# routes in the same namespace, in turn, and then what one more port costs it. Prints
# medians of the rounds. BENCH_ROUTES (100000) and BENCH_ROUNDS (5) change the length.
set -eu
cd "$(dirname "$0")/.."
routes=${BENCH_ROUTES:-100000} rounds=${BENCH_ROUNDS:-5}
dir=$(mktemp -d)
agent=
server=

finish() {
	kill $agent $server 2>/dev/null || true
	wait 2>/dev/null || true
	ip netns delete bench-routes 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

export SARN_SERVER="unix://$dir/api.sock"
ip netns add bench-routes
ip -n bench-routes link add eth0 type veth peer name far
ip -n bench-routes link set lo up
ip -n bench-routes link set far up
ip -n bench-routes link set eth0 up
ip -n bench-routes address add 192.168.56.1/24 dev eth0

bin/sarn server --listen "$SARN_SERVER" --data-dir "$dir/data" 2>"$dir/server.log" &
server=$!
until bin/sarn status >/dev/null 2>&1; do sleep 0.05; done

# host1 carries one port and, in direct mode, holds a route to each of host2's.
awk -v n="$routes" 'BEGIN {
	print "{kind: Node, name: host1, role: host, address: 192.168.56.1, interface: eth0}"
	print "---\n{kind: Node, name: host2, role: host, address: 192.168.56.2, interface: eth0}"
	print "---\n{kind: Node, name: router, role: router, address: 192.168.56.3, interface: eth0}"
	print "---\n{kind: VPC, name: main, cidrs: [10.0.0.0/8], mode: direct}"
	print "---\n{kind: Subnet, name: net, vpc: main, cidr: 10.0.0.0/12}"
	print "---\n{kind: Port, name: here, subnet: net, node: host1, attach: {type: tap}}"
}' >"$dir/fabric.yaml"
bin/sarn apply -f "$dir/fabric.yaml" >/dev/null
left=$routes
while [ "$left" -gt 0 ]; do
	n=$((left < 20000 ? left : 20000))
	awk -v from="$left" -v n="$n" 'BEGIN {
		for (i = 0; i < n; i++) printf "%s{\"name\":\"p%d\",\"subnet\":\"net\",\"node\":\"host2\",\"attach\":{\"type\":\"tap\"}}", i ? "," : "{\"ports\":[", from - i
		print "]}"
	}' >"$dir/change.json"
	curl -sS --fail --unix-socket "$dir/api.sock" -H 'Content-Type: application/json' \
		--data-binary @"$dir/change.json" http://sarn/v1/changes -o /dev/null
	left=$((left - n))
done

count() { ip -n bench-routes route show table "$1" | wc -l; }
now() { date +%s%N; }

start_agent() {
	ip netns exec bench-routes bin/sarn agent --node host1 --netns-dir "$dir/netns" 2>"$dir/agent.log" &
	agent=$!
	until grep -q 'msg=ready' "$dir/agent.log"; do
		kill -0 $agent
		sleep 0.01
	done
}

stop_agent() {
	kill $agent
	wait $agent 2>/dev/null || true
	agent=
}

awk -v n="$routes" 'BEGIN {
	for (i = 1; i <= n; i++) printf "route add 10.%d.%d.%d/32 via 192.168.56.2 dev eth0 table 77\n", 16 + int(i / 65536), int(i / 256) % 256, i % 256
}' >"$dir/batch"

by_batch() { # milliseconds
	began=$(now)
	ip -n bench-routes -batch "$dir/batch"
	echo $((($(now) - began) / 1000000))
	[ "$(count 77)" -eq "$routes" ]
	ip -n bench-routes route flush table 77
}

by_agent() { # milliseconds from the agent's start until all is applied and verified
	began=$(now)
	start_agent
	echo $((($(now) - began) / 1000000))
	[ "$(count 5001)" -eq $((routes + 1)) ]
}

clear_agent() {
	stop_agent
	for t in 5001 10000 10001 main; do ip -n bench-routes route flush table $t proto 83 2>/dev/null || true; done
	ip -n bench-routes link delete br_net
}

for round in $(seq "$rounds"); do
	by_batch >>"$dir/batch.ms"
	by_agent >>"$dir/agent.ms"
	sed -n 's/.*msg=applied.*took=\([^ ]*\).*/\1/p' "$dir/agent.log" | head -1 >>"$dir/pass"
	[ "$round" -eq "$rounds" ] || clear_agent
	echo "round $round of $rounds: $(tail -1 "$dir/agent.ms") ms ($(tail -1 "$dir/pass") of it in the pass), ip -batch $(tail -1 "$dir/batch.ms") ms" >&2
done

# What one more port costs the agent that holds them all.
cpu() { cat /proc/$agent/task/*/schedstat | awk '{t += $1} END {printf "%.3f\n", t / 1e6}'; }
calm() { # until the agent has rested for a second
	while :; do
		a=$(cpu)
		sleep 1
		awk -v a="$a" -v b="$(cpu)" 'BEGIN {exit !(b - a < 15)}' && return
	done
}
calm
idle=$(cpu); sleep 5; idle=$(awk -v a="$idle" -v b="$(cpu)" 'BEGIN {print (b - a) / 5}')
for i in $(seq 20); do
	before=$(cpu) began=$(now)
	bin/sarn port create "more$i" --subnet net --node host2 --attach tap >/dev/null
	sleep 1
	awk -v a="$before" -v b="$(cpu)" -v idle="$idle" -v t="$(($(now) - began))" 'BEGIN {printf "%.2f\n", b - a - idle * t / 1e9}' >>"$dir/more.ms"
done

quantile() { sort -n | awk -v q="$1" '{v[NR] = $1} END {k = 1 + (NR - 1) * q; i = int(k); print v[i] + (k - i) * (v[i + (i < NR)] - v[i])}'; }
paste "$dir/agent.ms" "$dir/batch.ms" | awk '{print $1 / $2}' >"$dir/ratio"
rss=$(awk '/VmRSS/ {print int($2 / 1024)}' /proc/$agent/status)

echo
echo "| $routes host routes, medians of $rounds rounds | agent | ip -batch | agent / ip -batch |"
echo "| --- | --- | --- | --- |"
printf '| from nothing to applied and verified, ms | %.0f | %.0f | %.2f |\n' \
	"$(quantile 0.5 <"$dir/agent.ms")" "$(quantile 0.5 <"$dir/batch.ms")" "$(quantile 0.5 <"$dir/ratio")"
echo
echo "| one port more on another host, with $routes there | |"
echo "| --- | --- |"
printf '| CPU of the agent, median and largest of 20, ms | %.2f, %.2f |\n' "$(quantile 0.5 <"$dir/more.ms")" "$(quantile 1 <"$dir/more.ms")"
printf '| its memory, MB | %d |\n' "$rss"
