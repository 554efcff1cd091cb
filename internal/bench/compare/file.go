package compare

import (
	"fmt"
	"path/filepath"
	"strings"

	"sarn/internal/strict"
)

// Parse reads a comparison's file, strictly: an unknown or repeated field, a value of
// the wrong type and whatever Validate finds are Problems with file and line. The
// config is filled, and its directories are absolute.
func Parse(file string, data []byte) (*Config, error) {
	c := &Config{}
	d, err := strict.Read(file, data, strict.Kind{Name: "a comparison", First: "servers"}, c)
	if err != nil {
		return nil, err
	}
	ps := nothings(d, c)
	c.Fill()
	if err := d.Check(append(ps, c.Validate()...)); err != nil {
		return nil, err
	}
	where, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("find the directory of %s: %w", file, err)
	}
	for i := range c.Servers {
		if s := &c.Servers[i]; !filepath.IsAbs(s.Dir) && !strings.HasPrefix(s.Dir, tmpWord) {
			s.Dir = filepath.Join(where, s.Dir)
		}
	}
	return c, nil
}

// nothings are fields that say 0, which would be taken for left out.
func nothings(d *strict.Document, c *Config) (ps Problems) {
	check := func(field string, zero bool) {
		if zero && d.Has(field) {
			ps.Add(field, "is above nothing; leave it out for its default")
		}
	}
	check("requests", c.Requests == 0)
	check("duration", c.Duration == 0)
	check("concurrency", c.Concurrency == 0)
	check("timeout", c.Timeout == 0)
	check("rounds", c.Rounds == 0)
	for i, s := range c.Servers {
		at := fmt.Sprintf("servers.%d.", i)
		check(at+"ready.timeout", s.Ready.Timeout == 0)
		check(at+"stop.timeout", s.Stop.Timeout == 0)
	}
	return ps
}
