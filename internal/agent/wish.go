package agent

import (
	"errors"
	"maps"
	"net/netip"
	"slices"

	"sarn/internal/api"
	"sarn/internal/netstate"
)

// wish is what the controller wants of the node, and what of it the kernel may not hold
// yet. The agent's mu guards it.
type wish struct {
	revision int64
	version  int                         // counts the changes
	parts    map[string]netstate.Machine // nil until the first whole state
	local    map[string]bool             // parts with more than routes of the machine's own namespace
	routes   map[target]netstate.Route   // of all parts
	links    map[string]int              // how many of these hang on each link; "" is any link
	hash     string                      // of the parts; empty if it is to be made

	coming *coming // lines of a change that is not complete

	// What the next pass has to look at.
	before map[string]netstate.Machine // parts that changed, as they were
	doubt  doubt
}

// target is what there is one route of.
type target struct {
	table uint32
	dst   netip.Prefix
}

// doubt says what the kernel may hold otherwise than was seen last.
type doubt int

const (
	none       doubt = iota
	local            // anything but routes of the own namespace
	everything       // those too
)

// coming gathers a change that comes in several lines.
type coming struct {
	whole bool
	parts map[string]netstate.Machine
}

// take adds a line of the stream. It reports whether the wish is complete and new.
func (w *wish) take(e api.NodeEvent) (bool, error) {
	if w.coming == nil {
		if !e.Whole && w.parts == nil {
			return false, errors.New("a change came before there was a state to change")
		}
		w.coming = &coming{parts: map[string]netstate.Machine{}}
	}
	if e.Whole {
		w.coming = &coming{whole: true, parts: map[string]netstate.Machine{}}
	}
	maps.Copy(w.coming.parts, e.Parts)
	if e.More {
		return false, nil
	}
	c := w.coming
	w.coming = nil
	if c.whole {
		w.parts, w.local = map[string]netstate.Machine{}, map[string]bool{}
		w.routes, w.links = map[target]netstate.Route{}, map[string]int{}
		w.before, w.doubt = nil, everything
	}
	// Everything old goes before anything new comes: ports may have exchanged addresses.
	for key := range c.parts {
		w.remove(key)
	}
	for key, part := range c.parts {
		w.put(key, part)
	}
	if len(c.parts) > 0 || c.whole {
		w.hash = ""
	}
	w.revision = e.Revision
	w.version++
	return true, nil
}

// remove takes a part away, and notes how it was.
func (w *wish) remove(key string) {
	old := w.parts[key]
	if w.doubt < everything {
		if w.before == nil {
			w.before = map[string]netstate.Machine{}
		}
		if _, noted := w.before[key]; !noted {
			w.before[key] = old
		}
	}
	for _, r := range ownRoutes(old) {
		delete(w.routes, targetOf(r))
		if r.Type == netstate.Unicast {
			w.links[r.Link]--
		}
	}
	delete(w.local, key)
	delete(w.parts, key)
}

// put adds a part that is not there; nil is none.
func (w *wish) put(key string, part netstate.Machine) {
	if part == nil {
		return
	}
	w.parts[key] = part
	if !routesOnly(part) {
		w.local[key] = true
	}
	for _, r := range ownRoutes(part) {
		w.routes[targetOf(r)] = r
		if r.Type == netstate.Unicast {
			w.links[r.Link]++
		}
	}
}

func targetOf(r netstate.Route) target { return target{r.Table, r.Dst} }

func ownRoutes(m netstate.Machine) []netstate.Route {
	if s := m[""]; s != nil {
		return s.Routes
	}
	return nil
}

// routesOnly reports whether a part is nothing but routes of the own namespace.
func routesOnly(m netstate.Machine) bool {
	s := m[""]
	return len(m) == 0 || len(m) == 1 && s != nil &&
		len(s.Links)+len(s.Qdiscs)+len(s.Addresses)+len(s.Neighbors)+len(s.Forwards)+len(s.Rules)+len(s.Sysctls)+len(s.Tables) == 0
}

// see notes what an event of the kernel makes doubtful, and reports whether that is
// anything: what the agent itself does comes as events too.
func (w *wish) see(e netstate.Event) bool {
	before := w.doubt
	switch {
	case e.Route != nil:
		wanted, ok := w.routes[targetOf(*e.Route)]
		came := *e.Route
		if wanted.Link == "" {
			came.Link = ""
		}
		// One that went may be the wanted one whatever is said of it: its link may have
		// another name by now, or none.
		if e.Gone && ok || !e.Gone && (!ok || wanted != came) {
			w.doubt = everything
		}
	case e.Routes && (e.Link == "" || w.links[e.Link]+w.links[""] > 0):
		w.doubt = everything
	default:
		w.doubt = max(w.doubt, local)
	}
	return w.doubt != before || w.doubt == local
}

// fingerprint identifies the parts to the controller; it is empty if there are none.
func (w *wish) fingerprint() string {
	if w.parts == nil || w.hash != "" {
		return w.hash
	}
	var f netstate.Fingerprint
	for key, part := range w.parts {
		f.Add(key, part)
	}
	w.hash = f.String()
	return w.hash
}

// task is what one pass is to do: it is the wish at one time.
type task struct {
	revision int64
	version  int
	doubt    doubt
	want     netstate.Machine // all, or without doubt about routes all but these
	// The routes that changed, as they should be and as they were, if want is not all.
	routes, former []netstate.Route
	// still says that nothing but routes changed.
	still bool
}

// begin takes what there is to do from the wish; none if there is no wish yet.
func (w *wish) begin() (task, bool) {
	if w.parts == nil {
		return task{}, false
	}
	t := task{revision: w.revision, version: w.version, doubt: w.doubt, still: w.doubt == none}
	before := w.before
	w.before, w.doubt = nil, none
	if t.doubt == everything {
		t.want = merge(w.parts, slices.Collect(maps.Keys(w.parts)))
		return t, true
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		now := w.parts[key]
		t.former = append(t.former, ownRoutes(before[key])...)
		t.routes = append(t.routes, ownRoutes(now)...)
		t.still = t.still && routesOnly(before[key]) && routesOnly(now)
	}
	if !t.still {
		t.want = merge(w.parts, slices.Collect(maps.Keys(w.local)))
		t.want[""].Routes = nil
	}
	return t, true
}

func merge(parts map[string]netstate.Machine, keys []string) netstate.Machine {
	slices.Sort(keys) // the order of ops should be the same each time
	all := make([]netstate.Machine, 0, 1+len(keys))
	all = append(all, netstate.Machine{"": {}})
	for _, key := range keys {
		all = append(all, parts[key])
	}
	return netstate.Merge(all...)
}
