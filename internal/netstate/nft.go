package netstate

import (
	"fmt"
	"slices"
	"strings"
)

// tables plans the nft tables of a namespace: everything is one transaction, so a
// packet meets the old rules or the new ones and nothing between.
func (p *plan) tables(netns string, want, have []Table) {
	line := func(format string, args ...any) {
		p.add(filters, netns, Change, NFT{fmt.Sprintf(format, args...)})
	}
	for _, w := range want {
		at := slices.IndexFunc(have, func(h Table) bool { return h.Family == w.Family })
		h := Table{Family: w.Family}
		switch {
		case at < 0:
			line("add table %s", w.ref())
		case !w.shapedLike(have[at]):
			line("delete table %s", w.ref())
			line("add table %s", w.ref())
		default:
			h = have[at]
		}
		w.sets(h, line)
		w.chains(h, line)
		w.elements(h, line)
		w.leftovers(h, line)
	}
	for _, h := range have {
		if !slices.ContainsFunc(want, func(w Table) bool { return h.Family == w.Family }) {
			line("delete table %s", h.ref())
		}
	}
}

func (t Table) ref() string { return string(t.Family) + " " + TableName }

// shapedLike reports whether what is in both tables under one name has the same
// type, so that one can be turned into the other in place.
func (t Table) shapedLike(h Table) bool {
	sets, chains := indexed(h.Sets), indexed(h.Chains)
	for _, s := range t.Sets {
		if old, ok := sets[s.Name]; ok &&
			(old.KeyType != s.KeyType || old.ValueType != s.ValueType || old.Interval != s.Interval) {
			return false
		}
	}
	for _, c := range t.Chains {
		if old, ok := chains[c.Name]; ok &&
			(old.Type != c.Type || old.Hook != c.Hook || old.Priority != c.Priority) {
			return false
		}
	}
	return true
}

type named interface{ name() string }

func (s Set) name() string   { return s.Name }
func (c Chain) name() string { return c.Name }

func indexed[T named](all []T) map[string]T {
	m := make(map[string]T, len(all))
	for _, x := range all {
		m[x.name()] = x
	}
	return m
}

func (t Table) sets(h Table, line func(string, ...any)) {
	there := indexed(h.Sets)
	for _, s := range t.Sets {
		if _, ok := there[s.Name]; ok {
			continue
		}
		kind, spec := "set", "type "+s.KeyType
		if s.ValueType != "" {
			kind, spec = "map", spec+" : "+s.ValueType
		}
		if s.Interval {
			spec += "; flags interval"
		}
		line("add %s %s %s { %s; }", kind, t.ref(), s.Name, spec)
	}
}

func (t Table) chains(h Table, line func(string, ...any)) {
	there := indexed(h.Chains)
	for _, c := range t.Chains {
		if _, ok := there[c.Name]; ok {
			continue
		}
		if c.Hook == "" {
			line("add chain %s %s", t.ref(), c.Name)
		} else {
			line("add chain %s %s { type %s hook %s priority %d; policy accept; }", t.ref(), c.Name, c.Type, c.Hook, c.Priority)
		}
	}
	for _, c := range t.Chains {
		old, ok := there[c.Name]
		if ok && slices.EqualFunc(c.Rules, old.Rules, sameRule) {
			continue
		}
		if ok && len(old.Rules) > 0 {
			line("flush chain %s %s", t.ref(), c.Name)
		}
		for _, r := range c.Rules {
			line("add rule %s %s %s comment %q", t.ref(), c.Name, r, CommentPrefix+RuleID(r))
		}
	}
}

// CommentPrefix stands before the RuleID in the comment of every rule.
const CommentPrefix = "sarn:"

// sameRule compares a wanted rule with what a reader found: "#" and its RuleID.
func sameRule(want, have string) bool { return have == "#"+RuleID(want) || have == want }

func (t Table) elements(h Table, line func(string, ...any)) {
	there := indexed(h.Sets)
	for _, s := range t.Sets {
		added, gone := lists(s.Elements, there[s.Name].Elements)
		// A map's element cannot be given a new value while it is there.
		if len(gone) > 0 {
			line("delete element %s %s { %s }", t.ref(), s.Name, s.quoted(gone))
		}
		if len(added) > 0 {
			line("add element %s %s { %s }", t.ref(), s.Name, s.quoted(added))
		}
	}
}

// lists returns what is in a and not in b, and in b and not in a.
func lists(a, b []string) (added, gone []string) {
	inA, inB := map[string]bool{}, map[string]bool{}
	for _, x := range a {
		inA[x] = true
	}
	for _, x := range b {
		inB[x] = true
		if !inA[x] {
			gone = append(gone, x)
		}
	}
	for _, x := range a {
		if !inB[x] {
			added = append(added, x)
		}
	}
	return added, gone
}

// quoted writes elements as nft takes them: interface names stand in quotes.
func (s Set) quoted(elements []string) string {
	out := make([]string, len(elements))
	for i, e := range elements {
		key, value, isMap := strings.Cut(e, " : ")
		if s.KeyType == "ifname" {
			key = `"` + key + `"`
		}
		if isMap {
			key += " : " + value
		}
		out[i] = key
	}
	return strings.Join(out, ", ")
}

func (t Table) leftovers(h Table, line func(string, ...any)) {
	sets, chains := indexed(t.Sets), indexed(t.Chains)
	for _, c := range h.Chains {
		if _, ok := chains[c.Name]; !ok {
			line("flush chain %s %s", t.ref(), c.Name)
			line("delete chain %s %s", t.ref(), c.Name)
		}
	}
	for _, s := range h.Sets {
		if _, ok := sets[s.Name]; !ok {
			kind := "set"
			if s.ValueType != "" {
				kind = "map"
			}
			line("delete %s %s %s", kind, t.ref(), s.Name)
		}
	}
}
