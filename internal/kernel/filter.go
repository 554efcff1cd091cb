package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"sarn/internal/netstate"
)

// Filter is a chain of somebody else's packet filter, of nftables or of the older
// iptables, as far as it can be understood.
type Filter struct {
	Family string // ip or inet; "legacy" is the iptables that does not use nftables
	Table  string
	Chain  string
	Hook   string // empty: other chains jump to it
	Policy string // accept or drop, of a chain with a hook
	Rules  []FilterRule
}

// FilterRule is a rule: if all of Matches hold, its Verdict.
type FilterRule struct {
	Matches []FilterMatch
	Verdict string // accept, drop, reject, jump, goto, return, or empty
	Target  string // the chain of jump and goto
}

// FilterMatch is one condition. A Field that is empty stands for a condition that is
// not understood.
type FilterMatch struct {
	Field  string   // iif, oif, saddr, daddr, state, protocol
	Values []string // one of them: interfaces end in * for any that begin so, addresses are one, a block or a range
	Not    bool
}

// Filters returns the IPv4 chains of this thread's namespace that are not Sarn's.
func Filters(ctx context.Context) ([]Filter, error) {
	out, err := nft(ctx, "", "-j", "list", "ruleset")
	if err != nil {
		return nil, fmt.Errorf("list all nft tables: %w", err)
	}
	filters, err := parseFilters(out)
	if err != nil {
		return nil, fmt.Errorf("list all nft tables: %w", err)
	}
	return filters, nil
}

// ruleset is the part of nft's JSON that Filters reads: libnftables-json(5).
type ruleset struct {
	Objects []struct {
		Set *struct {
			Family, Table, Name string
			Elem                []any
		} `json:"set"`
		Chain *struct {
			Family, Table, Name, Hook, Policy string
		} `json:"chain"`
		Rule *struct {
			Family, Table, Chain string
			Expr                 []map[string]any
		} `json:"rule"`
	} `json:"nftables"`
}

func parseFilters(js []byte) ([]Filter, error) {
	var all ruleset
	decoder := json.NewDecoder(bytes.NewReader(js))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		return nil, fmt.Errorf("parse the JSON of nft: %w", err)
	}
	type name struct{ family, table, object string }
	at, sets := map[name]int{}, map[name][]string{}
	var filters []Filter
	for _, o := range all.Objects {
		if s := o.Set; s != nil {
			sets[name{s.Family, s.Table, s.Name}] = valuesOf(s.Elem)
		}
		if c := o.Chain; c != nil && (c.Family == "ip" || c.Family == "inet") && c.Table != netstate.TableName {
			at[name{c.Family, c.Table, c.Name}] = len(filters)
			filters = append(filters, Filter{Family: c.Family, Table: c.Table, Chain: c.Name, Hook: c.Hook, Policy: c.Policy})
		}
		if r := o.Rule; r != nil {
			if i, ok := at[name{r.Family, r.Table, r.Chain}]; ok {
				filters[i].Rules = append(filters[i].Rules, filterRules(r.Expr)...)
			}
		}
	}
	for _, f := range filters {
		for _, r := range f.Rules {
			for i := range r.Matches {
				r.Matches[i].lookUp(func(set string) []string { return sets[name{f.Family, f.Table, set}] })
			}
		}
	}
	return filters, nil
}

// lookUp puts the elements of a named set in the place of its name.
func (m *FilterMatch) lookUp(elements func(set string) []string) {
	if len(m.Values) != 1 {
		return
	}
	if set, named := strings.CutPrefix(m.Values[0], "@"); named {
		m.Values = elements(set)
	}
}

// filterRules turns a rule of nft's into one of ours, or into several if it ends in a
// map of verdicts.
func filterRules(expr []map[string]any) []FilterRule {
	var rule FilterRule
	for _, statement := range expr {
		for kind, body := range statement {
			switch kind {
			case "match":
				rule.Matches = append(rule.Matches, filterMatch(body))
			case "accept", "drop", "reject", "return":
				rule.Verdict = kind
			case "jump", "goto":
				rule.Verdict, rule.Target = kind, targetOf(body)
			case "vmap":
				return mappedRules(rule, body)
			case "counter", "log", "mangle", "notrack":
			default: // a limit, an extension of iptables's…
				rule.Matches = append(rule.Matches, FilterMatch{})
			}
		}
	}
	return []FilterRule{rule}
}

func targetOf(body any) string {
	m, _ := body.(map[string]any)
	target, _ := m["target"].(string)
	return target
}

// mappedRules writes `iifname vmap { a : jump x, b : drop }` as a rule for each element.
// Of a named map nothing is known.
func mappedRules(rule FilterRule, body any) []FilterRule {
	m, _ := body.(map[string]any)
	data, _ := m["data"].(map[string]any)
	elements, _ := data["set"].([]any)
	var rules []FilterRule
	for _, e := range elements {
		pair, _ := e.([]any)
		if len(pair) != 2 {
			continue
		}
		one := FilterRule{Matches: append(slices.Clone(rule.Matches), FilterMatch{Field: fieldOf(m["key"]), Values: valuesOf(pair[0])})}
		verdict, _ := pair[1].(map[string]any)
		for kind, target := range verdict {
			one.Verdict, one.Target = kind, targetOf(target)
		}
		rules = append(rules, one)
	}
	return rules
}

func filterMatch(body any) FilterMatch {
	m, _ := body.(map[string]any)
	match := FilterMatch{Field: fieldOf(m["left"]), Values: valuesOf(m["right"])}
	switch op, _ := m["op"].(string); op {
	case "==", "in":
	case "!=":
		match.Not = true
	default:
		match.Field = ""
	}
	return match
}

// fieldOf names what an expression looks at, or returns nothing.
func fieldOf(expr any) string {
	m, _ := expr.(map[string]any)
	for kind, body := range m {
		detail, _ := body.(map[string]any)
		key, _ := detail["key"].(string)
		field, _ := detail["field"].(string)
		protocol, _ := detail["protocol"].(string)
		switch kind + " " + key + protocol + field {
		case "meta iifname", "meta iif":
			return "iif"
		case "meta oifname", "meta oif":
			return "oif"
		case "payload ipsaddr":
			return "saddr"
		case "payload ipdaddr":
			return "daddr"
		case "ct state":
			return "state"
		case "meta l4proto", "payload ipprotocol":
			return "protocol"
		}
	}
	return ""
}

func valuesOf(right any) []string {
	m, _ := right.(map[string]any)
	list, isSet := m["set"].([]any)
	if !isSet {
		list, isSet = right.([]any)
	}
	if !isSet {
		list = []any{right}
	}
	var values []string
	for _, v := range list {
		values = append(values, elementText(v))
	}
	return values
}

// LegacyFilters returns the chains of the older iptables's filter table, or none if
// that is not in use.
func LegacyFilters(ctx context.Context) ([]Filter, error) {
	tables, err := os.ReadFile("/proc/thread-self/net/ip_tables_names")
	if err != nil || !slices.Contains(strings.Fields(string(tables)), "filter") {
		return nil, nil //nolint:nilerr // a kernel without it has no such file
	}
	out, err := exec.CommandContext(ctx, "iptables-legacy", "-S").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("the older iptables's filter table is in use, and there is no program iptables-legacy to look into it")
	}
	if err != nil {
		return nil, fmt.Errorf("iptables-legacy -S: %w", err)
	}
	return parseLegacy(string(out)), nil
}

// parseLegacy reads the listing of `iptables -S`: iptables(8).
func parseLegacy(text string) []Filter {
	at := map[string]int{}
	var filters []Filter
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case words[0] == "-P" && len(words) == 3:
			at[words[1]] = len(filters)
			filters = append(filters, Filter{
				Family: "legacy", Table: "filter", Chain: words[1],
				Hook: strings.ToLower(words[1]), Policy: strings.ToLower(words[2]),
			})
		case words[0] == "-N":
			at[words[1]] = len(filters)
			filters = append(filters, Filter{Family: "legacy", Table: "filter", Chain: words[1]})
		case words[0] == "-A":
			if i, ok := at[words[1]]; ok {
				filters[i].Rules = append(filters[i].Rules, legacyRule(words[2:]))
			}
		}
	}
	return filters
}

func legacyRule(words []string) FilterRule {
	fields := map[string]string{"-i": "iif", "-o": "oif", "-s": "saddr", "-d": "daddr", "-p": "protocol", "--ctstate": "state", "--state": "state"}
	var rule FilterRule
	not := false
	for i := 0; i < len(words); i++ {
		word, value := words[i], ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		field, known := fields[word]
		switch {
		case word == "!":
			not = true
			continue
		case known:
			values := strings.Split(value, ",")
			for j, v := range values {
				if v = strings.TrimSuffix(v, "/32"); field == "state" {
					v = strings.ToLower(v)
				} else if name, any := strings.CutSuffix(v, "+"); any {
					v = name + "*"
				}
				values[j] = v
			}
			rule.Matches = append(rule.Matches, FilterMatch{Field: field, Values: values, Not: not})
			i++
		case word == "-m" && (value == "conntrack" || value == "state" || value == "comment" || value == "tcp" || value == "udp"):
			i++
		case word == "-j" || word == "-g":
			rule.Verdict, rule.Target = legacyVerdict(word, value)
			return rule // what follows are the target's own options
		default:
			rule.Matches = append(rule.Matches, FilterMatch{})
		}
		not = false
	}
	return rule
}

func legacyVerdict(how, target string) (verdict, chain string) {
	switch target {
	case "ACCEPT", "DROP", "REJECT", "RETURN":
		return strings.ToLower(target), ""
	case "LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS":
		return "", ""
	}
	if how == "-g" {
		return "goto", target
	}
	return "jump", target
}
