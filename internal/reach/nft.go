package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sarn/internal/netstate"
)

// priorityDNAT is where destinations are translated, in prerouting: NF_IP_PRI_NAT_DST of
// linux/netfilter_ipv4.h.
const priorityDNAT = -100

// match is what nft's expressions see of a packet.
type match struct {
	family  netstate.Family // of the hook: ip or bridge
	in, out string          // devices
	frame   *frame          // in the bridge family
	packet  *packet         // nil for an ARP request
	ct      string
	// masquerade says that a rule wants the source translated.
	masquerade bool
}

// ending is what the chains of a hook, or one chain, come to.
type ending struct {
	word string // accept, drop, reject or "" if no rule said anything
	by   string // the rule
	icmp string // of a reject
	err  error  // nobody can tell
}

// ends reports whether the packet goes no further.
func (e ending) ends() bool { return e.err != nil || e.word == "drop" || e.word == "reject" }

// conclude ends the walk in its present hop.
func (w *walk) conclude(at *namespace, p packet, e ending, what string) *Verdict {
	switch {
	case e.err != nil:
		return w.stop("%v", e.err)
	case e.word == "reject":
		return w.reject(at, p, e.icmp, what+e.by)
	}
	return w.finish(Dropped, Drops, what+e.by)
}

// hook passes a packet through the base chains of a hook. It returns a verdict if it
// goes no further.
func (w *walk) hook(at *namespace, name string, m *match) *Verdict {
	e := w.evaluate(at, name, m)
	w.decided(w.pending...)
	w.pending = nil
	if e.ends() {
		return w.conclude(at, *m.packet, e, "")
	}
	return nil
}

// base is a base chain and its table.
type base struct {
	table *netstate.Table
	chain *netstate.Chain
}

// chains returns the base chains of a hook in order. The inet family's are among ip's.
func (n *namespace) chains(f netstate.Family, hook string) []base {
	var all []base
	for i := range n.state.Tables {
		t := &n.state.Tables[i]
		if t.Family != f && (f != netstate.FamilyIP || t.Family != netstate.FamilyInet) {
			continue
		}
		for j := range t.Chains {
			if t.Chains[j].Hook == hook {
				all = append(all, base{t, &t.Chains[j]})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b base) int { return cmp.Compare(a.chain.Priority, b.chain.Priority) })
	return all
}

// evaluate is hook without its words: they are pending. In ip's prerouting, answers get
// back the address that was translated.
func (w *walk) evaluate(at *namespace, name string, m *match) ending {
	restore := func() {
		if name == "prerouting" && m.family == netstate.FamilyIP {
			w.restore(at, m.packet)
		}
	}
	restored := false
	for _, b := range at.chains(m.family, name) {
		if !restored && b.chain.Priority >= priorityDNAT {
			restore()
			restored = true
		}
		if b.chain.Type == "nat" && m.ct != ctNew {
			continue // only the first packet of a connection is asked about
		}
		e := w.chain(b.table, b.chain, m, 0)
		if e.by != "" {
			w.pending = append(w.pending, e.by)
		}
		if e.ends() {
			return e
		}
	}
	if !restored {
		restore()
	}
	return ending{word: "accept"}
}

// deepest is how many chains may jump to each other: NFT_JUMP_STACK_SIZE of
// net/netfilter/nf_tables.h.
const deepest = 16

// chain runs a packet through a chain's rules.
func (w *walk) chain(t *netstate.Table, c *netstate.Chain, m *match, depth int) ending {
	if depth > deepest {
		return ending{err: fmt.Errorf("chain %s: more than %d chains jump to each other", c.Name, deepest)}
	}
	for _, text := range c.Rules {
		where := fmt.Sprintf("nft %s %s %s: %s", t.Family, netstate.TableName, c.Name, text)
		r := reader{table: t, match: m, words: tokens(text)}
		v, err := r.rule()
		if err != nil {
			return ending{err: fmt.Errorf("rule %q of chain %s %s %s: %w", text, t.Family, netstate.TableName, c.Name, err)}
		}
		word, target, _ := strings.Cut(v, " ")
		switch word {
		case "":
			continue
		case "return":
			return ending{}
		case "jump", "goto":
			next := chainNamed(t, target)
			if next == nil {
				return ending{err: fmt.Errorf("%s: there is no chain %s", where, target)}
			}
			w.pending = append(w.pending, where)
			e := w.chain(t, next, m, depth+1)
			if e.word != "" || e.err != nil || word == "goto" {
				return e
			}
		case "masquerade":
			m.masquerade = true
			return ending{word: "accept", by: where}
		default:
			return ending{word: word, by: where, icmp: target}
		}
	}
	return ending{}
}

func chainNamed(t *netstate.Table, name string) *netstate.Chain {
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i]
		}
	}
	return nil
}
