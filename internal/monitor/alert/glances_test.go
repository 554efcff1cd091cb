package alert

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestFromGlances(t *testing.T) {
	c, unmapped, err := FromGlances(strings.NewReader(`
[cpu]
# user_careful=1
user_careful=50
user_warning=70
user_critical=90
user_critical_action=echo {{user}} > /tmp/x
ctx_switches_warning=12000
[mem]
careful=50
warning=40
[load]
warning=1.0
[fs]
hide=/boot.*
warning=70
/Data_warning=85
[network]
rx_warning=80
eth0_tx_warning=8000000
[gpu]
proc_warning=70
[docker]
web_mem_critical=70
[wifi]
disable=True
careful=-65
[alert]
min_duration=9
[amp_nginx]
enable=true
regex=\/usr\/sbin\/nginx
countmin=1
countmax=4
[amp_off]
enable=false
regex=x
countmin=1
nonsense
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.Rules {
		got = append(got, fmt.Sprint(r.Name, " ", r.Of, "/", r.Value, " ", r.When, r.Match, r.Careful, " ", r.Warning, " ", r.Critical))
	}
	want := `glances-cpu-user system/user map[]50% 70% 90%
glances-cpu-ctx_switches system/context_switches map[] 12000 
glances-mem system/memory map[]50%  
glances-load system/load15_per_cpu map[] 1.0 
glances-fs filesystem/used map[] 70% 
glances-fs-/Data filesystem/used map[mount:=/Data] 85% 
glances-network-rx interface/rx_share map[] 80% 
glances-network-eth0_tx interface/tx map[name:=eth0] 8000000bit/s 
glances-docker-web_mem machine/memory_share map[kind:container name:=web]  70%
glances-amp_nginx-few process/count belowmap[command:~\/usr\/sbin\/nginx] 1 
glances-amp_nginx-many process/count map[command:~\/usr\/sbin\/nginx] 5 `
	// Spaces between empty fields do not matter here.
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if squeeze(strings.Join(got, "\n")) != squeeze(want) || c.Defaults.For != "9s" {
		t.Errorf("got\n%s\nwant\n%s\nfor %s", strings.Join(got, "\n"), want, c.Defaults.For)
	}
	for i, start := range []string{
		"line 39: is not", "line 7: [cpu] user_critical_action: a shell", "line 11: [mem] warning: 40% is not worse",
		"line 15: [fs] hide: rules are of all", "line 22: [gpu] proc_warning: ", "line 27: [wifi] careful: the section is disabled",
	} {
		if i >= len(unmapped) || !strings.HasPrefix(unmapped[i], start) {
			t.Errorf("%d: %q, want %q", i, unmapped, start)
		}
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("made.yaml", text); err != nil {
		t.Errorf("what is printed is not read: %v\n%s", err, text)
	}
}
