package compare

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/bench/load"
)

// Config is a comparison, as its file has it. What a field of a file may leave out,
// Fill fills in.
type Config struct {
	// Title stands above the report and its chart.
	Title string `json:"title,omitempty"`

	// Requests and Duration end a server's part of a round, whichever comes first.
	Requests    int64             `json:"requests,omitempty"`
	Duration    Duration          `json:"duration,omitempty"`
	Concurrency int               `json:"concurrency"`
	KeepAlive   bool              `json:"keepalive"`
	HTTP2       bool              `json:"http2"`
	Timeout     Duration          `json:"timeout"` // of one request, with its connection
	Method      string            `json:"method,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	Body        string            `json:"body,omitempty"`
	// Insecure takes any certificate of servers that speak TLS.
	Insecure bool `json:"insecure,omitempty"`

	Rounds int `json:"rounds"`
	// Warmup is how long each server is asked before the first round. It is not counted.
	Warmup *Duration `json:"warmup"`
	// Seed decides the order of the rounds and the bootstrap; 0 draws one.
	Seed uint64 `json:"seed"`

	Client  ClientConfig   `json:"client"`
	Servers []ServerConfig `json:"servers"`

	tls *tls.Config // nil is the system's trust
}

// ClientConfig is about who asks.
type ClientConfig struct {
	CPU CPUs `json:"cpu,omitempty"` // to be pinned to
}

// ServerConfig is one server. In the words of its commands and in its environment {tmp}
// is a directory that is there for the time of the comparison, and {dir} is Dir.
type ServerConfig struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Command starts the server and is the server: it does not end by itself. Without
	// one the server is only addressed.
	Command []string `json:"command,omitempty"`
	// Prepare is run before anything starts, such as a build.
	Prepare []string          `json:"prepare,omitempty"`
	Dir     string            `json:"dir,omitempty"` // to run both in; in a file, relative to the file
	Env     map[string]string `json:"env,omitempty"` // besides that of the caller
	CPU     CPUs              `json:"cpu,omitempty"` // to be pinned to
	Ready   ReadyConfig       `json:"ready"`
	Stop    StopConfig        `json:"stop"`
	Expect  ExpectConfig      `json:"expect"`
}

// ReadyConfig says when a server can be measured.
type ReadyConfig struct {
	URL     string   `json:"url,omitempty"` // that answers then; the server's if empty
	Timeout Duration `json:"timeout"`
}

// StopConfig says how a server is ended.
type StopConfig struct {
	Signal  string   `json:"signal"`
	Timeout Duration `json:"timeout"` // until it is killed
}

// ExpectConfig is what a server's first answer must be.
type ExpectConfig struct {
	Status int    `json:"status,omitempty"` // any 2xx if 0
	Body   string `json:"body,omitempty"`   // text that the body holds
}

// Duration is a time such as 1.5s or 2m; a number alone is seconds.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		v, err = time.ParseDuration(string(text) + "s")
	}
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a time; write it like 500ms, 2s or 1m", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the time as Go does: 1.5s.
func (d Duration) String() string { return time.Duration(d).String() }

const (
	mostServers = 50
	mostRounds  = 1000
)

// Fill sets what is left out to its default.
func (c *Config) Fill() {
	set := func(d *Duration, v time.Duration) {
		if *d == 0 {
			*d = Duration(v)
		}
	}
	if c.Requests == 0 {
		set(&c.Duration, 2*time.Second)
	}
	if c.Concurrency == 0 {
		c.Concurrency = 10
	}
	set(&c.Timeout, 10*time.Second)
	if c.Rounds == 0 {
		c.Rounds = 10
	}
	if c.Warmup == nil {
		second := Duration(time.Second)
		c.Warmup = &second
	}
	for i := range c.Servers {
		s := &c.Servers[i]
		if s.Name == "" {
			s.Name = s.URL
		}
		if s.Ready.URL == "" {
			s.Ready.URL = s.URL
		}
		start := 15 * time.Second
		if len(s.Command) == 0 {
			start = 3 * time.Second // it should be up already
		}
		set(&s.Ready.Timeout, start)
		if s.Stop.Signal == "" {
			s.Stop.Signal = "SIGTERM"
		}
		set(&s.Stop.Timeout, 5*time.Second)
	}
}

// Validate says all that is wrong with a config that is filled.
func (c *Config) Validate() Problems {
	var ps Problems
	if c.Requests < 0 {
		ps.Add("requests", "is a number above nothing")
	}
	if c.Rounds < 1 || c.Rounds > mostRounds {
		ps.Add("rounds", "is from 1 to %d", mostRounds)
	}
	if c.Concurrency < 1 || c.Concurrency > load.MaxConcurrency {
		ps.Add("concurrency", "is from 1 to %d", load.MaxConcurrency)
	}
	canonical := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if other := canonical[http.CanonicalHeaderKey(name)]; other != "" {
			ps.Add("headers", "%s and %s are the same header", other, name)
		}
		canonical[http.CanonicalHeaderKey(name)] = name
	}
	switch {
	case len(c.Servers) == 0:
		ps.Add("servers", "are missing: name what to compare")
	case len(c.Servers) > mostServers:
		ps.Add("servers", "are %d; %d is the most", len(c.Servers), mostServers)
	}
	names, places := map[string]bool{}, map[string]string{}
	for i := range c.Servers {
		s := &c.Servers[i]
		at := fmt.Sprintf("servers.%d", i)
		before := len(ps)
		s.validate(&ps, at)
		if names[s.Name] {
			ps.Add(at+".name", "%q stands twice; give each server a name of its own", s.Name)
		}
		names[s.Name] = true
		if len(ps) > before {
			continue
		}
		if len(s.Command) > 0 {
			place := s.address()
			if other := places[place]; other != "" {
				ps.Add(at+".url", "%s and %s would both listen at %s; give them ports of their own", other, s.Name, place)
			}
			places[place] = s.Name
		}
	}
	if len(ps) == 0 {
		// What is left is the same for all of them: the method, the headers.
		test := c.test(&c.Servers[0])
		if err := test.Validate(); err != nil {
			ps.Add(whose(err.Error()), "%v", err)
		}
	}
	return ps
}

// whose guesses the field that a load test's complaint is about.
func whose(complaint string) string {
	switch {
	case strings.Contains(complaint, "method"):
		return "method"
	case strings.Contains(complaint, "header"):
		return "headers"
	}
	return ""
}

func (s *ServerConfig) validate(ps *Problems, at string) {
	if strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' }) || len(s.Name) > 200 {
		ps.Add(at+".name", "is one short line")
	}
	if s.URL == "" {
		ps.Add(at+".url", "is missing: what is to be asked, such as http://127.0.0.1:8080/")
	} else if err := checkURL(s.URL); err != nil {
		ps.Add(at+".url", "%v", err)
	}
	if s.Ready.URL != s.URL {
		if err := checkURL(s.Ready.URL); err != nil {
			ps.Add(at+".ready.url", "%v", err)
		}
	}
	if len(s.Command) > 0 && s.Command[0] == "" {
		ps.Add(at+".command", "begins with an empty word; write the program first")
	}
	if len(s.Prepare) > 0 && s.Prepare[0] == "" {
		ps.Add(at+".prepare", "begins with an empty word; write the program first")
	}
	if len(s.Command) == 0 {
		for field, set := range map[string]bool{"cpu": len(s.CPU) > 0, "env": len(s.Env) > 0 && len(s.Prepare) == 0} {
			if set {
				ps.Add(at+"."+field, "is for a server that is started here, and this one has no command")
			}
		}
	}
	for name := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			ps.Add(at+".env", "%q is not the name of a variable", name)
		}
	}
	if unix.SignalNum(s.Stop.Signal) == 0 {
		ps.Add(at+".stop.signal", "%q is not a signal; write it like SIGTERM", s.Stop.Signal)
	}
	if v := s.Expect.Status; v != 0 && (v < 200 || v > 599) {
		ps.Add(at+".expect.status", "%d is not the status of an answer; it is from 200 to 599", v)
	}
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("%q is not a URL; write it like http://127.0.0.1:8080/", text)
	}
	// The load test knows best what it can ask.
	c := load.Config{URL: u, Concurrency: 1, Requests: 1, Timeout: time.Second}
	return c.Validate()
}

// address is where the server listens, as host:port. Its URL is valid.
func (s *ServerConfig) address() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// test is a server's part of a round. Its URL is valid.
func (c *Config) test(s *ServerConfig) load.Config {
	u, err := url.Parse(s.URL)
	if err != nil {
		u = nil
	}
	header := http.Header{}
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	test := load.Config{
		URL: u, Method: c.Method, Header: header, KeepAlive: c.KeepAlive, HTTP2: c.HTTP2, TLS: c.tls,
		Concurrency: c.Concurrency, Requests: c.Requests,
		Duration: time.Duration(c.Duration), Timeout: time.Duration(c.Timeout),
	}
	if c.Body != "" {
		test.Body = []byte(c.Body)
	}
	return test
}

// public returns a copy for the result, without what looks like a secret.
func (c *Config) public() Config {
	const hidden = "(hidden)"
	p := *c
	p.Headers = map[string]string{}
	for name, value := range c.Headers {
		if secret(name, value) {
			value = hidden
		}
		p.Headers[name] = value
	}
	p.Servers = slices.Clone(c.Servers)
	for i := range p.Servers {
		env := map[string]string{}
		for name, value := range c.Servers[i].Env {
			if secret(name, value) {
				value = hidden
			}
			env[name] = value
		}
		p.Servers[i].Env = env
	}
	return p
}

// secret reports whether a header or variable is likely to hold one, by its name or, as
// the address of a database does, between :// and @.
func secret(name, value string) bool {
	if u, err := url.Parse(value); err == nil && u.User != nil {
		return true
	}
	name = strings.ToUpper(name)
	return slices.ContainsFunc([]string{"AUTH", "COOKIE", "CRED", "KEY", "PASS", "PWD", "SECRET", "TOKEN"}, func(w string) bool { return strings.Contains(name, w) })
}
