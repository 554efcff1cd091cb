package cli

import (
	"bytes"
	"errors"
	"testing"

	"sarn/internal/doctor"
)

func TestFindingsAreSortedByWeight(t *testing.T) {
	findings := []doctor.Finding{
		{Check: "nft", Status: doctor.OK, Seen: "nft 1.0.6"},
		{Check: "disk", Status: doctor.Skipped, Cause: "no store is here"},
		{Check: "mtu", Status: doctor.Warning, Cause: "too small\x1b[2J", Cure: []string{"# on host2:", "ip link set eth0 mtu 1500"}},
		{Check: "state", Status: doctor.Skipped, Cause: "no store is here"},
		{Check: "forwarding", Status: doctor.Problem, Cause: "it is off", Cure: []string{"sysctl -w x=1"}},
	}
	const want = `host1: problems 1, warnings 1, ok 1, skipped 2

PROBLEM  forwarding: it is off
           sysctl -w x=1

WARNING  mtu: too small\x1b[2J
           # on host2:
           ip link set eth0 mtu 1500

ok       nft              nft 1.0.6
skipped  disk, state: no store is here
`
	var out bytes.Buffer
	a := &app{State: State{Out: &out, Getenv: func(string) string { return "" }}}
	var exit *exitError
	if err := a.printDiagnosis(doctor.Intent{Name: "host1"}, findings); !errors.As(err, &exit) || exit.code != exitMissed {
		t.Errorf("with a problem the error is %v", err)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := a.printDiagnosis(doctor.Intent{Name: "host1"}, findings[:4]); err != nil {
		t.Errorf("with a warning the error is %v", err)
	}
}

// Who is asked is what the agent here talks to, unless the command line says otherwise.
func TestDoctorAsksTheAgentsController(t *testing.T) {
	agent := doctor.Agent{Args: []string{"sarn", "agent", "--server", "https://192.0.2.1:7470", "--tls-ca=ca.crt"}}
	for _, c := range []struct {
		name, server string
		env          map[string]string
		agent        doctor.Agent
		address, ca  string
		named        bool
	}{
		{"nothing", "", nil, doctor.Agent{}, "unix:///nowhere/api.sock", "", false},
		{"the agent", "", nil, agent, "https://192.0.2.1:7470", "ca.crt", true},
		{"the environment", "", map[string]string{"SARN_SERVER": "unix:///x"}, agent, "unix:///x", "", true},
		{"the flag", "unix:///y", map[string]string{"SARN_SERVER": "unix:///x"}, agent, "unix:///y", "", true},
	} {
		env := map[string]string{"SARN_RUN_DIR": "/nowhere", "XDG_CONFIG_HOME": t.TempDir()}
		for k, v := range c.env {
			env[k] = v
		}
		a := &app{State: State{Getenv: func(name string) string { return env[name] }}, target: target{server: c.server}}
		got, err := a.chooseForDoctor(c.agent)
		if err != nil || got.endpoint.Address != c.address || got.endpoint.CA != c.ca || (got.why != "") != c.named {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}
