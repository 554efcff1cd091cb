package netstatetest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sarn/internal/netstate"
)

var (
	setRE     = regexp.MustCompile(`^(set|map) (\w+) sarn (\S+) \{ type (\w+)(?: : (\w+))?(; flags interval)?; \}$`)
	baseRE    = regexp.MustCompile(`^chain (\w+) sarn (\S+)(?: \{ type (\w+) hook (\w+) priority (-?\d+); policy accept; \})?$`)
	ruleRE    = regexp.MustCompile(`^rule (\w+) sarn (\S+) (.*) comment "sarn:(\w+)"$`)
	elementRE = regexp.MustCompile(`^element (\w+) sarn (\S+) \{ (.*) \}$`)
	jumpRE    = regexp.MustCompile(`jump (\S+)$`)
)

// applyNFT applies one line of the nft that Diff writes.
func applyNFT(s *netstate.State, line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	fields := strings.Fields(rest)
	if len(fields) < 3 || fields[2] != netstate.TableName {
		return fmt.Errorf("not a line about our table")
	}
	i := slices.IndexFunc(s.Tables, func(t netstate.Table) bool { return string(t.Family) == fields[1] })
	if fields[0] == "table" {
		switch {
		case verb == "delete" && i >= 0:
			s.Tables = slices.Delete(s.Tables, i, i+1)
		case verb == "add" && i < 0:
			s.Tables = append(s.Tables, netstate.Table{Family: netstate.Family(fields[1])})
		case verb == "delete":
			return fmt.Errorf("no such table")
		}
		return nil
	}
	if i < 0 {
		return fmt.Errorf("no such table")
	}
	t := &s.Tables[i]
	switch verb {
	case "add":
		return addNFT(t, rest)
	case "flush":
		c, err := chain(t, fields[3])
		if err == nil {
			c.Rules = nil
		}
		return err
	case "delete":
		return deleteNFT(t, rest, fields)
	}
	return fmt.Errorf("unknown verb")
}

func addNFT(t *netstate.Table, rest string) error {
	if m := setRE.FindStringSubmatch(rest); m != nil {
		t.Sets = append(t.Sets, netstate.Set{Name: m[3], KeyType: m[4], ValueType: m[5], Interval: m[6] != ""})
		return nil
	}
	if m := baseRE.FindStringSubmatch(rest); m != nil {
		c := netstate.Chain{Name: m[2], Type: m[3], Hook: m[4]}
		if m[5] != "" {
			if _, err := fmt.Sscan(m[5], &c.Priority); err != nil {
				return err
			}
		}
		t.Chains = append(t.Chains, c)
		return nil
	}
	if m := ruleRE.FindStringSubmatch(rest); m != nil {
		c, err := chain(t, m[2])
		if err != nil {
			return err
		}
		c.Rules = append(c.Rules, "#"+m[4])
		return nil
	}
	if m := elementRE.FindStringSubmatch(rest); m != nil {
		return elements(t, m[2], m[3], func(s *netstate.Set, e string) error {
			if j := jumpRE.FindStringSubmatch(e); j != nil {
				if _, err := chain(t, j[1]); err != nil {
					return err
				}
			}
			if slices.Contains(s.Elements, e) {
				return fmt.Errorf("element %s exists", e)
			}
			s.Elements = append(s.Elements, e)
			return nil
		})
	}
	return fmt.Errorf("cannot read this line")
}

func deleteNFT(t *netstate.Table, rest string, fields []string) error {
	if m := elementRE.FindStringSubmatch(rest); m != nil {
		return elements(t, m[2], m[3], func(s *netstate.Set, e string) error {
			i := slices.Index(s.Elements, e)
			if i < 0 {
				return fmt.Errorf("no element %s", e)
			}
			s.Elements = slices.Delete(s.Elements, i, i+1)
			return nil
		})
	}
	name := fields[3]
	if fields[0] == "chain" {
		for _, s := range t.Sets {
			for _, e := range s.Elements {
				if strings.HasSuffix(e, "jump "+name) {
					return fmt.Errorf("chain %s is in use", name)
				}
			}
		}
		t.Chains = slices.DeleteFunc(t.Chains, func(c netstate.Chain) bool { return c.Name == name })
		return nil
	}
	t.Sets = slices.DeleteFunc(t.Sets, func(s netstate.Set) bool { return s.Name == name })
	return nil
}

func chain(t *netstate.Table, name string) (*netstate.Chain, error) {
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i], nil
		}
	}
	return nil, fmt.Errorf("no chain %s", name)
}

func elements(t *netstate.Table, set, list string, do func(*netstate.Set, string) error) error {
	for i := range t.Sets {
		if t.Sets[i].Name != set {
			continue
		}
		for e := range strings.SplitSeq(list, ", ") {
			if err := do(&t.Sets[i], strings.ReplaceAll(e, `"`, "")); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no set %s", set)
}
