package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// families are the families of Sarn's tables with the kernel's numbers for them
// (NFPROTO_*, include/uapi/linux/netfilter.h).
var families = map[uint8]netstate.Family{
	1: netstate.FamilyInet,
	2: netstate.FamilyIP,
	7: netstate.FamilyBridge,
}

// sizeofNfgenmsg is the size of struct nfgenmsg: family, version, resource id.
const sizeofNfgenmsg = 4

// readTables returns Sarn's tables of this thread's namespace. The nft program is
// asked about those only: its listing of everything is long where others use nft too.
func readTables(ctx context.Context) ([]netstate.Table, error) {
	present, err := retry(presentTables)
	if err != nil {
		return nil, fmt.Errorf("list nft tables: %w", err)
	}
	var tables []netstate.Table
	for _, family := range present {
		out, err := nft(ctx, "", "-j", "list", "table", string(family), netstate.TableName)
		if err != nil {
			return nil, fmt.Errorf("list nft table %s %s: %w", family, netstate.TableName, err)
		}
		table, err := parseTable(family, out)
		if err != nil {
			return nil, fmt.Errorf("list nft table %s %s: %w", family, netstate.TableName, err)
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// presentTables returns the families that have a table of Sarn's.
func presentTables() ([]netstate.Family, error) {
	var present []netstate.Family
	header := make([]byte, sizeofNfgenmsg)
	err := dump(unix.NETLINK_NETFILTER, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE, header, func(body []byte) error {
		if len(body) < sizeofNfgenmsg {
			return nil
		}
		family, known := families[body[0]]
		for kind, value := range attributes(body[sizeofNfgenmsg:]) {
			if known && kind == unix.NFTA_TABLE_NAME && unix.ByteSliceToString(value) == netstate.TableName {
				present = append(present, family)
			}
		}
		return nil
	})
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil // a kernel without nftables has no tables; writing one will say so
	}
	slices.Sort(present)
	return present, err
}

// transact applies lines as one nft transaction.
func transact(ctx context.Context, lines []string) error {
	_, err := nft(ctx, strings.Join(lines, "\n")+"\n", "-f", "-")
	if e := new(nftError); errors.As(err, &e) && e.line > 0 && e.line <= len(lines) {
		return fmt.Errorf("%w, in: %s", err, lines[e.line-1])
	}
	return err
}

// nftError is what the nft program complains of.
type nftError struct {
	line int // of its input, counted from 1; 0 if it does not say
	text string
}

func (e *nftError) Error() string { return e.text }

var nftComplaint = regexp.MustCompile(`(?m)^(?:[^:\n]*:(\d+):\d+-\d+: )?Error: (.*)$`)

// patience is how long the nft program may take.
const patience = 30 * time.Second

func nft(ctx context.Context, input string, args ...string) ([]byte, error) {
	limited, stop := context.WithTimeout(ctx, patience)
	defer stop()
	cmd := exec.CommandContext(limited, "nft", args...)
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(input)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("the nft program is not found: install the package nftables, or add /usr/sbin to PATH")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("nft did not end within %s", patience)
	}
	m := nftComplaint.FindStringSubmatch(complaints.String())
	if m == nil {
		return nil, fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(complaints.String()))
	}
	line, _ := strconv.Atoi(m[1]) // none: 0
	text := "nft: " + m[2]
	if strings.Contains(m[2], "Operation not supported") {
		text += " (this kernel lacks a feature that the rule needs)"
	}
	return nil, &nftError{line: line, text: text}
}

// listing is the part of nft's JSON that we read: libnftables-json(5).
type listing struct {
	Objects []struct {
		Set   *listedSet   `json:"set"`
		Map   *listedSet   `json:"map"`
		Chain *listedChain `json:"chain"`
		Rule  *listedRule  `json:"rule"`
	} `json:"nftables"`
}

type listedSet struct {
	Name     string `json:"name"`
	Type     any    `json:"type"`  // a string, or a list of them for a concatenation
	Value    any    `json:"map"`   // the same, for a map
	Flags    any    `json:"flags"` // a list, or since nft 1.1.4 a string if it is one
	Elements []any  `json:"elem"`
}

type listedChain struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Hook     string `json:"hook"`
	Priority int    `json:"prio"`
}

type listedRule struct {
	Chain   string `json:"chain"`
	Comment string `json:"comment"`
}

func parseTable(family netstate.Family, js []byte) (netstate.Table, error) {
	table := netstate.Table{Family: family}
	var all listing
	decoder := json.NewDecoder(bytes.NewReader(js))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		return table, fmt.Errorf("parse the JSON of nft: %w", err)
	}
	rules := map[string][]string{}
	for _, o := range all.Objects {
		switch {
		case o.Set != nil:
			table.Sets = append(table.Sets, o.Set.state())
		case o.Map != nil:
			table.Sets = append(table.Sets, o.Map.state())
		case o.Chain != nil:
			c := o.Chain
			table.Chains = append(table.Chains, netstate.Chain{Name: c.Name, Type: c.Type, Hook: c.Hook, Priority: c.Priority})
		case o.Rule != nil:
			id, ours := strings.CutPrefix(o.Rule.Comment, netstate.CommentPrefix)
			if !ours {
				id = "foreign"
			}
			rules[o.Rule.Chain] = append(rules[o.Rule.Chain], "#"+id)
		}
	}
	for i := range table.Chains {
		table.Chains[i].Rules = rules[table.Chains[i].Name]
	}
	return table, nil
}

func (s *listedSet) state() netstate.Set {
	flags, _ := s.Flags.([]any)
	set := netstate.Set{
		Name:      s.Name,
		KeyType:   elementText(map[string]any{"concat": s.Type}),
		ValueType: elementText(map[string]any{"concat": s.Value}),
		Interval:  s.Flags == "interval" || slices.Contains(flags, any("interval")),
	}
	for _, e := range s.Elements {
		set.Elements = append(set.Elements, elementText(e))
	}
	return set
}

// elementText writes an element as netstate.Set.Elements has it.
func elementText(e any) string {
	switch e := e.(type) {
	case nil:
		return ""
	case []any: // a map's key and value
		return joinTexts(e, " : ")
	case map[string]any:
		if len(e) == 0 {
			return ""
		}
		if inner, ok := e["elem"].(map[string]any); ok { // with a counter, a comment, a timeout
			return elementText(inner["val"])
		}
		if p, ok := e["prefix"].(map[string]any); ok {
			return elementText(p["addr"]) + "/" + elementText(p["len"])
		}
		if r, ok := e["range"].([]any); ok {
			return joinTexts(r, "-")
		}
		if c, ok := e["concat"]; ok {
			if parts, ok := c.([]any); ok {
				return joinTexts(parts, " . ")
			}
			return elementText(c)
		}
		return verdictText(e)
	default:
		return fmt.Sprint(e)
	}
}

func joinTexts(parts []any, between string) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = elementText(p)
	}
	return strings.Join(texts, between)
}

// verdictText writes {"jump": {"target": "c"}} as "jump c", {"drop": null} as "drop".
func verdictText(e map[string]any) string {
	for verdict, argument := range e {
		if a, ok := argument.(map[string]any); ok {
			return verdict + " " + elementText(a["target"])
		}
		return verdict
	}
	return ""
}
