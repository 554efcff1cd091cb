package compare

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const two = "servers:\n  - {name: a, url: http://127.0.0.1:1/}\n  - {name: b, url: http://127.0.0.1:2/}\n"

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "f.yaml:1: is empty",
		"# nothing\n---\n":           "f.yaml:1: is empty",
		"- a\n":                      "f.yaml:1: a comparison is a list of `field: value` lines",
		"hello\n":                    "f.yaml:1: a comparison is a list of `field: value` lines",
		"rounds: 3\n":                "f.yaml:1: servers: are missing",
		"servers: []\n":              "f.yaml:1: servers: are missing",
		"rounds: [\n":                "f.yaml:1: ",
		two + "---\n" + two:          "f.yaml:5: is a second document",
		two + "round: 3\n":           `f.yaml:4: round: is not a field; use one of title, requests`,
		two + "rounds: 3\nrounds: 4": "f.yaml:5: ",
		two + "rounds: many\n":       "f.yaml:4: ",
		two + "rounds: 2.5\n":        `f.yaml:4: rounds: "2.5" is not a whole number`,
		two + "rounds: -1\n":         "f.yaml:4: rounds: is from 1 to 1000",
		two + "rounds: 1001\n":       "f.yaml:4: rounds: is from 1 to 1000",
		two + "rounds: 0\n":          "f.yaml:4: rounds: is above nothing; leave it out for its default",
		two + "duration: 0s\n":       "f.yaml:4: duration: is above nothing",
		two + "concurrency:\n":       "f.yaml:4: concurrency: is one value",
		two + "headers: {accept: a, Accept: b}\n":                        "f.yaml:4: headers: Accept and accept are the same header",
		two + "  - url: http://x/\n    stop: {timeout: 0s}\n":            "f.yaml:5: servers.2.stop.timeout: is above nothing",
		two + "requests: -1\n":                                           "f.yaml:4: requests: is a number above nothing",
		two + "concurrency: 20001\n":                                     "f.yaml:4: concurrency: is from 1 to 20000",
		two + "duration: 2x\n":                                           `f.yaml:4: duration: "2x" is not a time; write it like 500ms, 2s or 1m`,
		two + "warmup: -1s\n":                                            `f.yaml:4: warmup: "-1s" is not a time`,
		two + "method: GE T\n":                                           `f.yaml:4: method: "GE T" is not a method`,
		two + "headers: {a b: c}\n":                                      `f.yaml:4: headers: "a b" is not the name of a header`,
		two + "client: {cpu: x}\n":                                       `f.yaml:4: client.cpu: "x" is not a list of CPUs; write it like 1 or 0-1,3`,
		two + "client: {cpu: 3-1}\n":                                     `f.yaml:4: client.cpu: "3-1" is not a list of CPUs`,
		two + "seed: -4\n":                                               "f.yaml:4: ",
		two + "title: *x\n":                                              "f.yaml:",
		two + "  - name: c\n":                                            "f.yaml:4: servers.2.url: is missing",
		two + "  - name: c\n    url: ftp://x/\n":                         `f.yaml:5: servers.2.url: "ftp" is not a scheme`,
		two + "  - name: c\n    url: 127.0.0.1:80\n":                     `f.yaml:5: servers.2.url: "127.0.0.1:80" is not a URL`,
		two + "  - name: a\n    url: http://127.0.0.1:3/\n":              `f.yaml:4: servers.2.name: "a" stands twice`,
		two + "  - url: http://x/\n    comand: [x]\n":                    `f.yaml:5: servers.2.comand: is not a field`,
		two + "  - url: http://x/\n    command: run me\n":                "f.yaml:5: ",
		two + "  - url: http://x/\n    command: ['']\n":                  "f.yaml:5: servers.2.command: begins with an empty word",
		two + "  - url: http://x/\n    cpu: 1\n":                         "f.yaml:5: servers.2.cpu: is for a server that is started here",
		two + "  - url: http://x/\n    env: {A: b}\n":                    "f.yaml:5: servers.2.env: is for a server that is started here",
		two + "  - url: http://x/\n    command: [x]\n    env: {A=: b}\n": `f.yaml:6: servers.2.env: "A=" is not the name of a variable`,
		two + "  - url: http://x/\n    stop: {signal: TERM}\n":           `f.yaml:5: servers.2.stop.signal: "TERM" is not a signal; write it like SIGTERM`,
		two + "  - url: http://x/\n    ready:\n      url: x\n":           "f.yaml:6: servers.2.ready.url: ",
		two + "  - url: http://x/\n    expect: {status: 99}\n":           "f.yaml:5: servers.2.expect.status: 99 is not the status of an answer",
		"servers:\n- {name: a, url: http://h:1/, command: [x]}\n- {name: b, url: http://h:1/b, command: [x]}\n": "f.yaml:3: servers.1.url: a and b would both listen at h:1",
	} {
		_, err := Parse("f.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
}

func TestAllProblemsAreTold(t *testing.T) {
	_, err := Parse("f.yaml", []byte("rounds: -1\nconcurrency: -1\nservers: [{url: x}, {url: y}]\n"))
	if n := strings.Count(err.Error(), "\n"); n != 3 {
		t.Errorf("%v", err)
	}
}

func TestParse(t *testing.T) {
	c, err := Parse("dir/f.yaml", []byte(`
title: Two
requests: 500
keepalive: true
headers: {X-Number: &n 010}
warmup: 0s
client: {cpu: 0}
servers:
  - name: 1
    url: http://127.0.0.1:8181/
    command: [serve, -p, 010, yes]
    prepare: [make]
    env: {DEBUG: true, N: *n}
    cpu: 3,0-1
    dir: sub
    ready: {url: "http://127.0.0.1:8181/ready", timeout: 1m}
    stop: {signal: SIGINT}
    expect: {status: 404, body: hello}
  - url: http://127.0.0.1:8182/
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Servers[0], c.Servers[1]
	if a.Name != "1" || !reflect.DeepEqual(a.Command, []string{"serve", "-p", "010", "yes"}) || a.Env["DEBUG"] != "true" || a.Env["N"] != "010" || c.Headers["X-Number"] != "010" {
		t.Errorf("words are not as they are written: %+v", c)
	}
	if a.CPU.String() != "0-1,3" || c.Client.CPU.String() != "0" {
		t.Errorf("CPUs %v and %v", a.CPU, c.Client.CPU)
	}
	if !filepath.IsAbs(a.Dir) || !strings.HasSuffix(a.Dir, "/dir/sub") || !strings.HasSuffix(b.Dir, "/dir") {
		t.Errorf("directories %s and %s", a.Dir, b.Dir)
	}
	if c.Rounds != 10 || *c.Warmup != 0 || c.Duration != 0 || c.Requests != 500 || c.Timeout != Duration(10*time.Second) {
		t.Errorf("%+v", c)
	}
	if a.Ready.Timeout != Duration(time.Minute) || a.Stop.Signal != "SIGINT" || a.Stop.Timeout != Duration(5*time.Second) || a.Expect.Status != 404 {
		t.Errorf("%+v", a)
	}
	if b.Name != b.URL || b.Ready.URL != b.URL {
		t.Errorf("%+v", b)
	}
}

func TestRunsAreBoundedByDefault(t *testing.T) {
	c, err := Parse("f.yaml", []byte(two))
	if err != nil {
		t.Fatal(err)
	}
	if c.Duration != Duration(2*time.Second) || c.Rounds != 10 || *c.Warmup != Duration(time.Second) {
		t.Errorf("%+v", c)
	}
}

func TestSecretsAreNotInTheResult(t *testing.T) {
	c := Config{
		Headers: map[string]string{"authorization": "Basic x", "Cookie": "y", "X-Api-Key": "z", "X-Auth": "w", "Accept": "text/plain"},
		Servers: []ServerConfig{{Env: map[string]string{"DB_PASSWORD": "p", "DATABASE": "postgres://me:secret@db/x", "PORT": "80", "BASE": "http://db/x"}}},
	}
	p := c.public()
	for name, want := range map[string]string{"authorization": "(hidden)", "Cookie": "(hidden)", "X-Api-Key": "(hidden)", "X-Auth": "(hidden)", "Accept": "text/plain"} {
		if p.Headers[name] != want {
			t.Errorf("%s: %q", name, p.Headers[name])
		}
	}
	if e := p.Servers[0].Env; e["DB_PASSWORD"] != "(hidden)" || e["DATABASE"] != "(hidden)" || e["PORT"] != "80" || e["BASE"] != "http://db/x" || c.Servers[0].Env["DB_PASSWORD"] != "p" {
		t.Errorf("%v, and then %v", e, c.Servers[0].Env)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(two))
	f.Add([]byte("title: *x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yaml", data)
		if err == nil && len(c.Validate()) > 0 {
			t.Errorf("what Parse takes is not valid: %v", c.Validate())
		}
	})
}
