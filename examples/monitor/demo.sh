#!/bin/sh
# The monitor in a minute: one process that serves this machine's figures, keeps history
# and watches; a process that goes high, of which it tells; and what to try while it runs.
# Needs no root. Ctrl-C ends it and leaves nothing.
set -eu
cd "$(dirname "$0")/../.."
sarn=${SARN:-bin/sarn} port=${PORT:-61208}
dir=$(mktemp -d)
server= busy=
finish() {
	for pid in $busy $server; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 0' INT TERM

title() { printf '\n== %s\n' "$*"; }
said() { # TEXT...: until the server has said it
	until grep -q "$*" "$dir/log"; do
		kill -0 "$server" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
		sleep 0.1
	done
}

cat >"$dir/alerts.yaml" <<-END
	actions: [{name: log, log: {}}]
	rules:
	  - {name: busy, of: process, value: cpu, match: {name: yes}, warning: 10%, for: 2s, clear_for: 1s, actions: [log]}
END
title "A file of alerts, and what it means"
cat "$dir/alerts.yaml"
$sarn monitor check "$dir/alerts.yaml"

title "One process serves, keeps history and watches"
$sarn monitor serve --listen "127.0.0.1:$port" --state "$dir/state" --alerts "$dir/alerts.yaml" 2>"$dir/log" &
server=$!
said msg=ready
echo "sarn monitor serve: http://127.0.0.1:$port/"

title "A process goes high: two seconds later it tells"
yes >/dev/null &
busy=$!
said event=fire
grep event=fire "$dir/log"
$sarn top --host "127.0.0.1:$port" --once --filter yes

title "It ends: the alert clears"
kill $busy
wait $busy 2>/dev/null || true
busy=
said event=clear
grep event=clear "$dir/log"

cat <<END

== It goes on until Ctrl-C. Try, in another terminal:
$sarn top                                # this machine; ? shows the keys
$sarn top --host 127.0.0.1:$port         # what the server sees: <- goes back to the peak, a shows alerts
$sarn top --browse examples/monitor/hosts.yaml   # many; two of these do not exist
$sarn top --host 127.0.0.1:$port --once -o json
$sarn top --browse --host 127.0.0.1:$port --once
http://127.0.0.1:$port/                  # the same in a browser
END
wait $server
