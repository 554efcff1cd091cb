package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every flag of every command that takes more than any text says of a value that it does
// not take which flag and value that is, what it takes and an example, in plain words.
func TestWrongValuesOfFlags(t *testing.T) {
	getenv := func(string) string { return "" }
	root := (&app{State: State{Getenv: getenv}}).rootCommand()
	seen := 0
	walk(root, func(cmd *cobra.Command) {
		cmd.InheritedFlags() // adds them to Flags
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			value := "?!"
			switch f.Value.Type() {
			case "string", "stringArray":
				return // the command looks at it
			case "stringSlice":
				value = `a"b`
			}
			if f.Name == "delete" { // a list of names
				return
			}
			seen++
			var out, errs bytes.Buffer
			args := append(strings.Fields(cmd.CommandPath())[1:], "--"+f.Name+"="+value)
			code := Run(t.Context(), args, State{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: getenv})
			said := errs.String()
			bad := code != exitUsage || strings.Count(said, "\n") != 1 || out.Len() > 0
			for _, part := range []string{"--" + f.Name, strings.ReplaceAll(value, `"`, `\"`), "see `" + cmd.CommandPath() + " --help`"} {
				bad = bad || !strings.Contains(said, part)
			}
			helps := false
			for _, word := range []string{"such as", "write it like", "use table", "use debug", "true or false"} {
				helps = helps || strings.Contains(said, word)
			}
			for _, word := range []string{"strconv", "parsing", "invalid", "time:", "slog", "line 1", "unknown unit"} {
				bad = bad || strings.Contains(said, word)
			}
			if bad || !helps {
				t.Errorf("sarn %s: exit code %d: %s", strings.Join(args, " "), code, said)
			}
		})
	})
	if seen < 50 {
		t.Errorf("only %d flags were tried", seen)
	}
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

// A time is seconds or has units, wherever one is given.
func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1": time.Second, "0.5": 500 * time.Millisecond, "500ms": 500 * time.Millisecond, "1m30s": 90 * time.Second, "0": 0,
		"": -1, "-1": -1, "1x": -1, "NaN": -1, "Inf": -1, "1e300": -1, "1 s": -1,
	} {
		var got seconds
		if err := got.Set(text); err != nil {
			got = -1
		}
		if time.Duration(got) != want {
			t.Errorf("%q is %s, want %s", text, time.Duration(got), want)
		}
	}
	var keep times
	if err := keep.Set("600,24h, 720h"); err != nil || keep.String() != "10m0s,24h0m0s,720h0m0s" {
		t.Errorf("%s, %v", keep.String(), err)
	}
	for _, text := range []string{"", "10m,", "10m;1h"} {
		if err := keep.Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	getenv := func(string) string { return "" }
	root := (&app{State: State{Getenv: getenv}}).rootCommand()
	walk(root, func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "duration" {
				return
			}
			if err := f.Value.Set("7"); err != nil || f.Value.String() != "7s" {
				t.Errorf("%s --%s 7 is %s, %v", cmd.CommandPath(), f.Name, f.Value, err)
			}
		})
	})
}
