package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

const vm5 = "10.10.20.3"

// crash kills the controller and all agents, in any order, and starts them again, in
// any order.
func (f fabric) crash(r *rand.Rand) {
	f.Helper()
	who := []string{"server", "host1", "host2", "router"}
	lines := map[string][]string{}
	r.Shuffle(len(who), func(i, j int) { who[i], who[j] = who[j], who[i] })
	for _, w := range who {
		if w == "server" {
			lines[w] = f.kill(f.pid("server"))
		} else {
			lines[w] = f.kill(f.pid("agent", w))
		}
	}
	r.Shuffle(len(who), func(i, j int) { who[i], who[j] = who[j], who[i] })
	for _, w := range who {
		machine := w
		if w == "server" {
			machine = ""
		}
		f.restart(machine, lines[w])
	}
}

// arrived waits until every node is in sync and no port is on its way.
func (f fabric) arrived() {
	f.Helper()
	f.inSync()
	f.eventually("no port is on its way", func() bool { return !strings.Contains(f.sarn("port", "list", "-o", "json"), `"move"`) })
	f.inSync()
}

// isOn complains unless the port is on that host, wholly, and not at all on the other.
func (f fabric) isOn(host, port, address string) {
	f.Helper()
	other := map[string]string{"host1": "host2", "host2": "host1"}[host]
	if left := f.tracesOf(other, port, address); left != "" {
		f.Errorf("%s still holds of %s\n%s", other, port, left)
	}
	if f.tracesOf(host, port, address) == "" {
		f.Errorf("%s holds nothing of %s", host, port)
	}
	f.sh("vm1", "ping -c 1 -W 30 "+address+" && ping -c 1 -W 30 -I "+vm1+" "+address)
}

// TestKilledInTheMiddle kills the controller and all agents while a port moves, at each
// of its steps, and in the middle of other changes.
func TestKilledInTheMiddle(t *testing.T) {
	inEachMode(t, func(f fabric, _ string) {
		r := rand.New(rand.NewPCG(1, 2))
		f.apply("{kind: Port, name: vm7, subnet: net2, node: host1, address: 10.10.20.77}")
		still := []*pulse{f.pulse("vm1", vm2), f.pulse("vm1", vm3), f.pulse("vm4", vm1), f.pulse("vm3", internetAddress)}
		moving := []*pulse{f.pulse("vm2", vm5), f.pulse("vm4", vm5)}

		f.pause("host2") // which does not make the port
		f.sarn("port", "move", "vm5", "--to", "host2")
		// What moves is lost while nobody is there to end what he was at; nothing else is.
		crashed := time.Now()
		pardon := func() {
			for _, p := range moving {
				p.pardon(crashed)
			}
		}
		f.crash(r)
		f.arrived()
		pardon()
		f.isOn("host2", "vm5", vm5)

		f.pause("router") // which does not learn that packets go elsewhere
		f.sarn("port", "move", "vm5", "--to", "host1")
		f.eventually("packets are switched", func() bool { return strings.Contains(f.sarn("port", "get", "vm5", "-o", "json"), `"switched"`) })
		crashed = time.Now()
		f.crash(r)
		f.arrived()
		pardon()
		f.isOn("host1", "vm5", vm5)

		const moves = 4 // with the two above
		for _, host := range []string{"host2", "host1"} {
			crashed = time.Now()
			f.crashDuring(r, host)
			pardon()
			f.isOn(host, "vm5", vm5)
		}
		f.lostAtMost(0, still...)
		f.lostAtMost(2*moves, moving...)
		f.quiet()
	})
}

// crashDuring kills all while vm5 moves to the host, and vm7 and vm8 go or come.
// Who asked for a change and got no answer finds it made or not made, but not half.
func (f fabric) crashDuring(r *rand.Rand, host string) {
	f.Helper()
	var changes sync.WaitGroup
	spare := map[string]string{"vm7": "10.10.20.77", "vm8": "10.10.20.88"}
	there := f.sarn("port", "list", "-o", "json")
	for port, address := range spare {
		change := []string{"port", "create", port, "--subnet", "net2", "--node", "host1", "--address", address}
		if strings.Contains(there, `"`+port+`"`) {
			change = []string{"port", "delete", port}
		}
		changes.Go(func() { f.try(change...) })
	}
	changes.Go(func() { f.try("port", "move", "vm5", "--to", host) })
	pause := time.Duration(20+r.IntN(130)) * time.Millisecond
	f.Logf("all are killed %s after the changes began", pause)
	time.Sleep(pause) // the moment is what is tried
	f.crash(r)
	changes.Wait()
	f.arrived()
	there = f.sarn("port", "list", "-o", "json")
	for port, address := range spare {
		if strings.Contains(there, `"`+port+`"`) {
			f.isOn("host1", port, address)
		} else if left := f.tracesOf("host1", port, address); left != "" {
			f.Errorf("there is no %s, and host1 holds of it\n%s", port, left)
		}
	}
	f.sarn("port", "move", "vm5", "--to", host, "--wait")
}

// quiet complains of agents that write though nothing happens, or that spin. What
// happened before may have been late, so they have some time to become quiet.
func (f fabric) quiet() {
	f.Helper()
	var noise string
	for range 5 {
		if noise = f.noise(); noise == "" {
			return
		}
	}
	f.Errorf("nothing happened, and %s", noise)
}

// noise is what an agent does in two seconds in which nothing happens.
func (f fabric) noise() string {
	f.Helper()
	const long = 2 * time.Second
	type activity struct {
		log   string
		ticks int // of CPU time, a hundred a second
	}
	look := func(node string) activity {
		pid := f.pid("agent", node)
		log, err := os.ReadFile(fmt.Sprintf("/proc/%d/fd/2", pid))
		if err != nil {
			f.Fatal(err)
		}
		stat := f.read(fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(stat[strings.LastIndex(stat, ")"):])
		return activity{string(log), atoi(fields[12]) + atoi(fields[13])} // utime, stime
	}
	before := map[string]activity{}
	for _, node := range []string{"host1", "host2", "router"} {
		before[node] = look(node)
	}
	time.Sleep(long) // there is nothing to await
	for node, b := range before {
		after := look(node)
		if news := after.log[len(b.log):]; strings.Contains(news, "applied") || strings.Contains(news, "repaired") {
			return fmt.Sprintf("%s says\n%s", node, news)
		}
		if ticks := after.ticks - b.ticks; ticks > int(long.Seconds())*100/4 {
			return fmt.Sprintf("the agent of %s took %d0 ms in %s", node, ticks, long)
		}
	}
	return ""
}
