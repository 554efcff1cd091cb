package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/intent"
	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

const (
	// listening is how long a probe of the wire waits for answers.
	listening = time.Second
	// mending is how long an agent may take to mend what is not as it should be.
	mending = 2 * time.Second
	glance  = 250 * time.Millisecond
)

// Gather collects the facts about this machine, in the network namespace of the
// process. What it cannot find out it says in the facts; its own error is that the
// machine cannot be looked at at all, or that ctx has ended.
func Gather(ctx context.Context, i Intent, storeDir string) (Facts, error) {
	f := Facts{Intent: i, Disk: diskOf(storeDir), Programs: map[string]bool{}}
	var err error
	if f.NetAdmin, f.SysAdmin, err = capabilities(); err != nil {
		return f, err
	}
	if f.Release, err = release(); err != nil {
		return f, err
	}
	if f.Agents, err = Agents(); err != nil {
		return f, err
	}
	if f.Survey, err = kernel.TakeSurvey(); err != nil {
		return f, fmt.Errorf("look at the network: %w", err)
	}
	f.Settings = kernel.Settings(f.settings()...)
	for _, program := range []string{"iptables", "iptables-legacy"} {
		_, err := exec.LookPath(program)
		f.Programs[program] = err == nil
	}
	f.NFT, f.NFTErr = kernel.NFTVersion(ctx)
	if !f.privileged() {
		f.FeaturesErr, f.FiltersErr, f.OpsErr, f.WireErr = errRights, errRights, errRights, errRights
		return f, ctx.Err()
	}
	var wg sync.WaitGroup // each writes to fields of its own
	wg.Go(func() { f.Features, f.FeaturesErr = kernel.Features(ctx) })
	wg.Go(func() { f.Filters, f.FiltersErr, f.LegacyErr = filters(ctx) })
	wg.Go(func() { f.Ops, f.OpsErr = differences(ctx, i.wanted(), len(f.Agents) > 0) })
	wg.Go(func() { f.Holders, f.Paths, f.WireErr = askWire(ctx, f.Survey, i) })
	wg.Wait()
	return f, ctx.Err()
}

// settings names all that the checks look at.
func (f Facts) settings() []string {
	names := []string{
		"net/bridge/bridge-nf-call-iptables", "net/ipv4/neigh/default/gc_thresh3",
		"net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_count",
	}
	for _, d := range append([]string{"all"}, f.transit()...) {
		for _, s := range []string{"forwarding", "rp_filter", "send_redirects", "accept_redirects"} {
			names = append(names, "net/ipv4/conf/"+d+"/"+s)
		}
	}
	for _, b := range f.bridges() {
		for _, s := range bridgeSettings(b) {
			names = append(names, s.Name)
		}
	}
	return names
}

// capabilities reads the effective set: proc_pid_status(5).
func capabilities() (netAdmin, sysAdmin bool, err error) {
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return false, false, fmt.Errorf("read this process's capabilities: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return false, false, fmt.Errorf("read this process's capabilities: %w", err)
			}
			return set&(1<<unix.CAP_NET_ADMIN) != 0, set&(1<<unix.CAP_SYS_ADMIN) != 0, nil
		}
	}
	return false, false, errors.New("read this process's capabilities: there is no line CapEff")
}

func release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask for the kernel's version: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// Agents lists the agents that run in the network namespace of the process.
func Agents() ([]Agent, error) {
	here, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("find this network namespace: %w", err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var agents []Agent
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process that has ended meanwhile, or that is somebody else's, has neither.
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		ns, _ := os.Readlink("/proc/" + e.Name() + "/ns/net")
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if ns == here && len(args) > 1 && slices.Contains(args[1:], "agent") && strings.HasSuffix("/"+args[0], "/sarn") {
			agents = append(agents, Agent{pid, args})
		}
	}
	return agents, nil
}

// Flag returns the value of a flag of the agent's, or nothing.
func (a Agent) Flag(name string) string {
	for i, word := range a.Args {
		if value, ok := strings.CutPrefix(word, "--"+name+"="); ok {
			return value
		}
		if word == "--"+name && i+1 < len(a.Args) {
			return a.Args[i+1]
		}
	}
	return ""
}

func diskOf(dir string) *Disk {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return nil // no store here
	}
	return &Disk{Dir: dir, Free: st.Bavail * uint64(st.Bsize), Total: st.Blocks * uint64(st.Bsize)}
}

// filters returns those of nftables and of the older iptables.
func filters(ctx context.Context) (all []kernel.Filter, err, legacyErr error) {
	all, err = kernel.Filters(ctx)
	legacy, legacyErr := kernel.LegacyFilters(ctx)
	return append(all, legacy...), err, legacyErr
}

// differences returns the ops from what this machine holds of Sarn's to what it should
// hold. An agent that runs is given time to make them itself.
func differences(ctx context.Context, want *netstate.State, agent bool) ([]netstate.Op, error) {
	if want == nil {
		want, agent = &netstate.State{}, false
	}
	k, err := kernel.New(kernel.Config{})
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(mending); ; {
		have, err := k.ReadOwn(ctx, want)
		if err != nil {
			return nil, err
		}
		ops, err := distance(want, have)
		if err != nil || len(ops) == 0 || !agent || time.Now().After(end) {
			return ops, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(glance):
		}
	}
}

// distance is Diff for this machine's own namespace: of a veth pair only the end that
// is here is looked at, since who else lives on the machine is not known.
func distance(want, have *netstate.State) ([]netstate.Op, error) {
	there := map[string]bool{}
	for _, l := range have.Links {
		there[l.Name] = true
	}
	here := *want
	here.Links = nil
	var missing []netstate.Op
	for _, l := range want.Links {
		whole := l
		l.Peer, l.PeerNetns = "", ""
		if l.Kind == netstate.Veth && !there[l.Name] {
			missing = append(missing, netstate.Op{Verb: netstate.Add, Object: whole})
			continue
		}
		here.Links = append(here.Links, l)
	}
	ops, err := netstate.Diff(netstate.Machine{"": &here}, netstate.Machine{"": have})
	return append(missing, ops...), err
}

// askWire asks the underlay who has the nodes' addresses and how large packets may be.
func askWire(ctx context.Context, s kernel.Survey, i Intent) (holders map[netip.Addr][]string, paths map[netip.Addr]Path, err error) {
	n := i.node()
	if n == nil {
		return nil, nil, nil
	}
	at := slices.IndexFunc(s.Devices, func(d kernel.Device) bool { return d.Name == n.Interface })
	if at < 0 || !s.Devices[at].Up || !s.Devices[at].Carrier {
		return nil, nil, fmt.Errorf("%s is not there or not on; see the check underlay", n.Interface)
	}
	var wg sync.WaitGroup
	var arpErr, echoErr error
	wg.Go(func() {
		holders, arpErr = kernel.Holders(ctx, n.Interface, addresses(append(i.peers(), n)), listening)
	})
	wg.Go(func() { paths, echoErr = measure(ctx, s.Devices[at], i.peers()) })
	wg.Wait()
	return holders, paths, errors.Join(arpErr, echoErr)
}

// measure finds the largest packets to and from the nodes. What is not answered in
// full is tried again in steps that networks are known for.
func measure(ctx context.Context, d kernel.Device, peers []*intent.Node) (map[netip.Addr]Path, error) {
	const small = 64
	paths := map[netip.Addr]Path{}
	out, err := kernel.Echo(ctx, d.Name, addresses(peers), []int{small, d.MTU}, kernel.Whole, listening)
	if err != nil {
		return nil, err
	}
	for a, size := range out {
		paths[a] = Path{Out: size, In: true}
	}
	narrow := slices.DeleteFunc(slices.Collect(maps.Keys(out)), func(a netip.Addr) bool { return out[a] >= d.MTU })
	if len(narrow) > 0 {
		steps := slices.DeleteFunc([]int{576, 1000, 1280, 1380, 1400, 1420, 1440, 1450, 1460, 1472, 1480, 1492, full, 4000, 8000, 8900, 9000}, func(n int) bool { return n >= d.MTU })
		again, err := kernel.Echo(ctx, d.Name, narrow, steps, kernel.Whole, listening)
		if err != nil {
			return nil, err
		}
		for a, size := range again {
			paths[a] = Path{Out: max(size, out[a]), In: true}
		}
	}
	if d.MTU >= full || len(out) == 0 {
		return paths, nil
	}
	// Asked in pieces, a node with the usual MTU answers in one that is too large.
	in, err := kernel.Echo(ctx, d.Name, slices.Collect(maps.Keys(out)), []int{full}, kernel.Pieces, listening)
	for a := range out {
		paths[a] = Path{Out: paths[a].Out, In: in[a] == full}
	}
	return paths, err
}
