package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/sample"
)

// Config is which hosts to look at.
type Config struct {
	// Hosts are there always; what finders find comes and goes.
	Hosts   []Host
	Finders []Finder
	// Interval is the time between questions to one host; 0 is 3 s.
	Interval time.Duration
	// Again, if it is not nil, is asked each second for the hosts that are there in place of
	// Hosts: nil, nil as long as they are the same. An error leaves those from before.
	Again func() ([]Host, error)
	// Log is told when hosts cannot be found, and files not be read again; nil for nobody.
	Log *slog.Logger
}

// Finder finds hosts.
type Finder interface {
	// String is what it finds, for people.
	String() string
	// Find tells all hosts that there are, again whenever they change, or why it cannot
	// know: then those from before stay. It returns when ctx ends.
	Find(ctx context.Context, tell func([]Host, error))
}

const (
	defaultInterval = 3 * time.Second
	leastInterval   = 100 * time.Millisecond
	mostHosts       = 5000
)

// A name is a part of a path.
var nameRE = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// Validate says what is wrong, and sets what was left out.
func (c *Config) Validate() error {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Interval < leastInterval || c.Interval > time.Hour {
		return fmt.Errorf("the interval is from %s to 1h", leastInterval)
	}
	if len(c.Hosts) == 0 && len(c.Finders) == 0 {
		return errors.New("there is no host to look at: name one in the file of hosts, or take --nodes or --mdns")
	}
	if len(c.Hosts) > mostHosts {
		return fmt.Errorf("%d hosts are more than %d", len(c.Hosts), mostHosts)
	}
	seen := map[string]bool{}
	for _, h := range c.Hosts {
		switch {
		case !nameRE.MatchString(h.Name):
			return fmt.Errorf("%q is not a host's name; use letters, digits, '-', '.' and '_'", h.Name)
		case seen[h.Name]:
			return fmt.Errorf("two hosts have the name %s", h.Name)
		}
		seen[h.Name] = true
	}
	return nil
}

// Fleet looks at many hosts.
type Fleet struct {
	config  Config
	streams chan struct{} // who follows something at a time

	mu     sync.Mutex
	hosts  map[string]*running // by name
	notes  map[string]string   // by finder: why it cannot know
	told   map[int]bool        // which finders have told something, -1 for the config
	said   string              // of files that cannot be read again
	sorted []*watcher
}

// running is a host that is looked at, and who has named it.
type running struct {
	*watcher
	finder int // -1 for the config
	stop   context.CancelFunc
}

// New makes a fleet, or says what is wrong with its config.
func New(c Config) (*Fleet, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Fleet{config: c, hosts: map[string]*running{}, notes: map[string]string{}, told: map[int]bool{}, streams: make(chan struct{}, mostStreams)}, nil
}

// String names the task.
func (f *Fleet) String() string { return "fleet" }

// Ready is closed from the start: a fleet whose hosts are all down is what it is.
func (f *Fleet) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

// Run looks at the hosts until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	f.set(ctx, &all, -1, f.config.Hosts)
	f.note(-1, "", nil)
	var finders sync.WaitGroup
	for i, finder := range f.config.Finders {
		finders.Go(func() {
			finder.Find(ctx, func(hosts []Host, err error) {
				if err == nil {
					f.set(ctx, &all, i, hosts)
				}
				f.note(i, finder.String(), err)
			})
		})
	}
	if f.config.Again != nil {
		finders.Go(func() { f.again(ctx, &all) })
	}
	finders.Wait()
	<-ctx.Done()
	return nil
}

// again asks each second for the hosts of the config.
func (f *Fleet) again(ctx context.Context, all *sync.WaitGroup) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		hosts, err := f.config.Again()
		if err == nil && hosts == nil {
			continue
		}
		if err == nil {
			f.set(ctx, all, -1, hosts)
		}
		f.note(-1, "the file of hosts", err)
	}
}

// wrong is told of a host's files that cannot be read again. Many hosts may name the same.
func (f *Fleet) wrong(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said != err.Error() && f.config.Log != nil {
		f.config.Log.Warn("a file has changed and cannot be read; what it held before is used", "error", err)
	}
	f.said = err.Error()
}

func (f *Fleet) note(number int, finder string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told[number] = true
	if err == nil {
		delete(f.notes, finder)
		return
	}
	if f.notes[finder] != err.Error() && f.config.Log != nil {
		f.config.Log.Warn("hosts cannot be found", "of", finder, "error", err)
	}
	f.notes[finder] = err.Error()
}

// Notes says which finders cannot know what is there, and why.
func (f *Fleet) Notes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	notes := make([]string, 0, len(f.notes))
	for finder, why := range f.notes {
		notes = append(notes, finder+": "+why)
	}
	slices.Sort(notes)
	return notes
}

// Settled says whether all finders have told what they find, and each host is up or
// down.
func (f *Fleet) Settled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.told) <= len(f.config.Finders) {
		return false
	}
	return !slices.ContainsFunc(f.sorted, func(w *watcher) bool { return w.now().State == remote.Connecting })
}

// set makes hosts those that a finder has named. A name that several have named is the
// first one's, in the order of the config; a host with another address is another host. One
// whose files could not be read is tried again.
func (f *Fleet) set(ctx context.Context, all *sync.WaitGroup, finder int, hosts []Host) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted := map[string]Host{}
	for _, h := range hosts {
		if _, twice := wanted[h.Name]; !twice && nameRE.MatchString(h.Name) {
			wanted[h.Name] = h
		}
	}
	for name, r := range f.hosts {
		if h, ok := wanted[name]; r.finder == finder && (!ok || !same(h, r.host) || r.client == nil) {
			r.stop()
			delete(f.hosts, name)
		}
	}
	for name, h := range wanted {
		old, there := f.hosts[name]
		if there && old.finder <= finder || !there && len(f.hosts) >= mostHosts || ctx.Err() != nil {
			continue
		}
		if there {
			old.stop()
		}
		one, stop := context.WithCancel(ctx)
		h.Wrong = f.wrong
		r := &running{watcher: newWatcher(h), finder: finder, stop: stop}
		f.hosts[name] = r
		all.Go(func() { r.run(one, f.config.Interval) })
	}
	f.sorted = f.sorted[:0:0]
	for _, r := range f.hosts {
		f.sorted = append(f.sorted, r.watcher)
	}
	slices.SortFunc(f.sorted, func(a, b *watcher) int { return strings.Compare(a.host.Name, b.host.Name) })
}

func same(a, b Host) bool {
	return a.Address == b.Address && a.Token == b.Token && a.TokenFile == b.TokenFile && a.CA == b.CA && a.Cert == b.Cert && a.Key == b.Key && slices.Equal(a.Names, b.Names)
}

func (f *Fleet) watchers() []*watcher {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sorted
}

// Hosts are all, by name.
func (f *Fleet) Hosts() []Status {
	all := f.watchers()
	hosts := make([]Status, len(all))
	for i, w := range all {
		hosts[i] = w.now()
	}
	return hosts
}

// Client is a new client of a host's, for who wants more than the summary; nil if there
// is no such host.
func (f *Fleet) Client(name string) (*remote.Client, error) {
	w := f.watcher(name)
	if w == nil {
		return nil, fmt.Errorf("there is no host %s any more", name)
	}
	return remote.New(w.host.Config)
}

func (f *Fleet) watcher(name string) *watcher {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.hosts[name]; r != nil {
		return r.watcher
	}
	return nil
}

// Process is one of a host's.
type Process struct {
	Host    string         `json:"host"`
	Process sample.Process `json:"process"`
}

// Machine is a VM or a container of a host's.
type Machine struct {
	Host    string         `json:"host"`
	Machine sample.Machine `json:"machine"`
}

// Top are the first n processes of all hosts that are up, by one of sample.By. Of one
// host it knows the first ten.
func (f *Fleet) Top(by string, n int) []Process {
	top := []Process{}
	for _, w := range f.watchers() {
		if s := w.now(); s.Summary != nil {
			for i := range s.Summary.Processes {
				if p := &s.Summary.Processes[i]; p.Figure(by) > 0 {
					top = append(top, Process{s.Name, *p})
				}
			}
		}
	}
	slices.SortFunc(top, func(a, b Process) int {
		return cmp.Or(cmp.Compare(b.Process.Figure(by), a.Process.Figure(by)), strings.Compare(a.Host, b.Host), cmp.Compare(a.Process.PID, b.Process.PID))
	})
	return top[:min(len(top), n)]
}

// Machines are the first n VMs and containers of the hosts that are up, by one of
// sample.By.
func (f *Fleet) Machines(by string, n int) []Machine {
	all := []Machine{}
	for _, w := range f.watchers() {
		if s := w.now(); s.Summary != nil {
			for _, m := range s.Summary.Machines {
				all = append(all, Machine{s.Name, m})
			}
		}
	}
	slices.SortFunc(all, func(a, b Machine) int {
		return cmp.Or(cmp.Compare(b.Machine.Figure(by), a.Machine.Figure(by)), strings.Compare(a.Host, b.Host), strings.Compare(a.Machine.ID, b.Machine.ID))
	})
	return all[:min(len(all), n)]
}
