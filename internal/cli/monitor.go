package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/sample"
)

func (a *app) monitorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Let others see what a machine does, and be told when it is wrong",
		Long: `Serves what a machine, its processes, VMs and containers do, to browsers, to programs and
to Prometheus; rules watch it and tell somebody.`,
		Example: `  sarn monitor serve --alerts /etc/sarn/alerts.yaml
  sarn monitor check /etc/sarn/alerts.yaml`,
	}
	cmd.AddCommand(a.monitorServeCommand(), a.monitorCheckCommand(), a.monitorImportCommand())
	return cmd
}

func (a *app) monitorCheckCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what a file of alerts means, or what is wrong with it",
		Long: `Say in words what each rule of a file of alerts means, or what is wrong with the file:
every mistake with its line. With a sample, say also what the rules would find in it,
whatever their "for" is. Nothing is sent.`,
		Example: `  sarn monitor check /etc/sarn/alerts.yaml
  sarn monitor check alerts.yaml --sample now.json`,
		Args: names("file of alerts", false),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return usageError("read the alerts: %w", err)
			}
			s, err := readSample(from)
			if err != nil {
				return usageError("%w", err)
			}
			report, err := alert.Check(args[0], data, s)
			if err != nil {
				return usageError("%w", err)
			}
			return a.print(report, func() error { return a.printCheck(report) })
		},
	}
	cmd.Flags().StringVar(&from, "sample", "", "JSON `file` with a sample to ask the rules of, as `sarn top --once -o json` prints it")
	return cmd
}

func readSample(file string) (*sample.Sample, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the sample: %w", err)
	}
	s := &sample.Sample{}
	if err := json.Unmarshal(data, s); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("%s is not a sample: %s is %s", file, wrong.Field, wrong.Value)
		}
		return nil, fmt.Errorf("%s is not one sample, such as `sarn top --once -o json` prints: %w", file, err)
	}
	if s.Time.IsZero() {
		return nil, fmt.Errorf("%s is not a sample: it has no time", file)
	}
	return s, nil
}

func (a *app) printCheck(report *alert.Report) error {
	rules := newTable("RULE", "MEANS")
	for _, r := range report.Rules {
		rules.add(r.Name, r.Means)
	}
	if err := a.printTable(rules); err != nil || !report.Sampled {
		return err
	}
	fmt.Fprintln(a.Out)
	now := newTable("RULE", "MATCHES", "LEVEL", "SUBJECT", "VALUE")
	for _, r := range report.Rules {
		if len(r.Now) == 0 {
			now.add(r.Name, strconv.Itoa(r.Matches), alert.OK.String(), "", "")
		}
		for _, f := range r.Now {
			now.add(r.Name, strconv.Itoa(r.Matches), f.Level.String(), f.Subject, f.Text)
		}
	}
	return a.printTable(now)
}

func (a *app) monitorImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import-glances FILE",
		Short: "Make a file of alerts from the thresholds of a glances.conf",
		Long: `Print a file of alerts with the thresholds of a glances.conf. What does not map is told
on standard error, with its line.`,
		Example: `  sarn monitor import-glances /etc/glances/glances.conf`,
		Args:    names("glances.conf", false),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return usageError("read glances.conf: %w", err)
			}
			c, unmapped, err := alert.FromGlances(bytes.NewReader(data))
			if err != nil {
				return usageError("%w", err)
			}
			for _, line := range unmapped {
				a.progress("# %s", line)
			}
			if len(c.Rules) == 0 {
				return usageError("%s has no thresholds that map", args[0])
			}
			text, err := yaml.Marshal(c)
			if err != nil {
				return fmt.Errorf("encode the alerts: %w", err)
			}
			_, err = a.Out.Write(text)
			return err
		},
	}
}
