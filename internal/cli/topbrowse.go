package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/intent"
	"sarn/internal/monitor/fleet"
	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/term"
)

// fleetFlags are where many hosts come from.
type fleetFlags struct {
	file  string
	nodes bool
	mdns  string
}

// anyInterface is the value of --mdns and --announce without one.
const anyInterface = "auto"

func (f *fleetFlags) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.nodes, "nodes", false, "look at the controller's nodes, with the certificates of its context")
	interfaceFlag(cmd, &f.mdns, "mdns", "look at hosts that announce themselves by multicast DNS on this `interface`, if none is given on that with the default route")
}

// interfaceFlag is one that can do without its value.
func interfaceFlag(cmd *cobra.Command, value *string, name, usage string) {
	cmd.Flags().StringVar(value, name, "", usage)
	cmd.Flags().Lookup(name).NoOptDefVal = anyInterface
}

// mdnsInterface is what package fleet calls such a flag's value.
func mdnsInterface(value string) string {
	if value == anyInterface {
		return ""
	}
	return value
}

// fleetConfig is the hosts of the flags. as is how to identify to those that do not say,
// and ca how a user names whose certificates count.
func (a *app) fleetConfig(f *fleetFlags, as remote.Config, ca string) (fleet.Config, error) {
	var c fleet.Config
	found := as
	if f.file != "" {
		file, err := fleet.OpenFile(f.file, as)
		if err != nil {
			return c, usageError("%w", err)
		}
		c.Hosts, c.Again, found = file.Hosts(), file.Again, file.Defaults()
	}
	if f.nodes {
		finder, err := a.nodeFinder(as)
		if err != nil {
			return c, err
		}
		c.Finders = append(c.Finders, finder)
	}
	if f.mdns != "" {
		if found.CA == "" && found.Token != "" {
			return c, usageError("--mdns: anybody on the network can answer, so a token is shown only to hosts whose certificate an authority of yours has signed: name that with %s", ca)
		}
		c.Finders = append(c.Finders, &fleet.MDNS{Interface: mdnsInterface(f.mdns), Config: found})
	}
	return c, nil
}

// lister lists a controller's objects.
type lister interface {
	List(ctx context.Context, kind intent.Kind) ([]intent.Object, error)
}

// nodes finds the controller's nodes.
type nodes struct {
	client lister
	where  string
	as     remote.Config
}

// nodeFinder asks the controller that the command is to talk to. The TLS flags are for
// the nodes' monitors, and for the controller if it is an https one.
func (a *app) nodeFinder(as remote.Config) (*nodes, error) {
	found, err := a.find()
	if err != nil {
		return nil, err
	}
	switch e := &found.endpoint; {
	case as.CA == "" && as.Cert == "":
		as.CA, as.Cert, as.Key = e.CA, e.Cert, e.Key
	case e.CA == "" && e.Cert == "" && strings.HasPrefix(e.Address, "https://"):
		e.CA, e.Cert, e.Key = as.CA, as.Cert, as.Key
	}
	client, err := a.connectTo(found)
	if err != nil {
		return nil, err
	}
	return &nodes{client: client, where: found.endpoint.Address, as: as}, nil
}

// String implements fleet.Finder.
func (n *nodes) String() string { return "nodes of " + n.where }

// listEvery is how often the controller is asked for its nodes.
const listEvery = 15 * time.Second

// Find implements fleet.Finder.
func (n *nodes) Find(ctx context.Context, tell func([]fleet.Host, error)) {
	for {
		hosts, err := n.list(ctx)
		if ctx.Err() != nil {
			return
		}
		tell(hosts, err)
		again := time.NewTimer(listEvery)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

func (n *nodes) list(ctx context.Context) ([]fleet.Host, error) {
	objects, err := n.client.List(ctx, intent.KindNode)
	if err != nil {
		return nil, err
	}
	hosts := make([]fleet.Host, 0, len(objects))
	for _, o := range objects {
		if node, ok := o.(*intent.Node); ok {
			h := fleet.Host{Name: node.Name, Config: n.as}
			h.Address, h.Names = "https://"+node.Address.String(), []string{node.Name}
			hosts = append(hosts, h)
		}
	}
	return hosts, nil
}

// hostsFile is the file of hosts that is read if nothing else is said.
func (a *app) hostsFile() string {
	if config := a.configFile(); config != "" {
		return filepath.Join(filepath.Dir(config), "hosts.yaml")
	}
	return ""
}

// browseConfig is the hosts that `sarn top --browse` is to look at.
func (a *app) browseConfig(t *topFlags) (fleet.Config, error) {
	f := t.fleetFlags
	if f.file == "" && !f.nodes && f.mdns == "" && len(t.hosts) == 0 {
		f.file = a.hostsFile()
		if _, err := os.Stat(f.file); errors.Is(err, fs.ErrNotExist) {
			return fleet.Config{}, usageError("which hosts? Give a file of hosts, --host, --nodes or --mdns, or make %s", orElse(f.file, "hosts.yaml beside the contexts"))
		}
	}
	as, err := a.remoteConfig(&t.hostFlags, "")
	if err != nil {
		return fleet.Config{}, err
	}
	c, err := a.fleetConfig(&f, as, "--tls-ca")
	if err != nil {
		return c, err
	}
	if again := c.Again; again != nil {
		c.Again = func() ([]fleet.Host, error) {
			hosts, err := again()
			if hosts == nil || err != nil {
				return nil, err
			}
			return withHosts(hosts, t.hosts, as)
		}
	}
	c.Hosts, err = withHosts(c.Hosts, t.hosts, as)
	return c, err
}

// withHosts adds those of --host.
func withHosts(hosts []fleet.Host, addresses []string, as remote.Config) ([]fleet.Host, error) {
	hosts = slices.Clone(hosts)
	for _, address := range addresses {
		h := fleet.Host{Name: fleet.NameOf(address), Config: as}
		h.Address = address
		client, err := remote.New(h.Config)
		if err != nil {
			return nil, usageError("%w", err)
		}
		if slices.ContainsFunc(hosts, func(o fleet.Host) bool { return o.Name == h.Name }) { // another port of it
			h.Name = strings.ReplaceAll(h.Name+client.Where()[strings.LastIndex(client.Where(), ":"):], ":", "-")
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// topBrowse shows many hosts.
func (a *app) topBrowse(ctx context.Context, t *topFlags) error {
	if !t.once {
		if err := a.needsTerminal(); err != nil {
			return err
		}
	}
	conf, err := a.browseConfig(t)
	if err != nil {
		return err
	}
	all, err := fleet.New(conf)
	if err != nil {
		return usageError("%w", err)
	}
	defer running(ctx, func(ctx context.Context) { _ = all.Run(ctx) })()
	if t.once {
		return a.browseOnce(ctx, t, all)
	}
	screen := a.screen()
	return term.Browse(ctx, term.BrowseConfig{
		Hosts: func() []term.HostStatus { return hostRows(all.Hosts()) }, Notes: all.Notes,
		Open: func(name string) (term.Config, func(), error) {
			client, err := all.Client(name)
			if err != nil {
				return term.Config{}, nil, err
			}
			stop := running(ctx, client.Run)
			return a.remoteView(client, name, t.interval), func() { stop(); client.Close() }, nil
		},
		In: screen.In, Out: screen.Out, Term: screen.Term, NoColor: screen.NoColor, Version: screen.Version,
	})
}

// running runs something until the returned function is called, which waits for its end.
func running(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

func hostRows(all []fleet.Status) []term.HostStatus {
	rows := make([]term.HostStatus, len(all))
	for i, s := range all {
		rows[i] = term.HostStatus{Name: s.Name, Address: s.Address, State: string(s.State), Since: s.Since, Error: s.Error, Summary: s.Summary}
	}
	return rows
}
