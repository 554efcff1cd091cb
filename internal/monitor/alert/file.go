package alert

import "sarn/internal/strict"

// Parse reads a file of alerts, strictly. Everything that is wrong with it is reported
// together, as Problems with file and line.
func Parse(file string, data []byte) (*Config, error) {
	c := &Config{}
	d, err := strict.Read(file, data, strict.Kind{Name: "a file of alerts", First: "rules"}, c)
	if err != nil {
		return nil, err
	}
	if err := d.Check(validate(c)); err != nil {
		return nil, err
	}
	return c, nil
}
