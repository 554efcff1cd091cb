package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says what is wrong with the flags of a command line.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		wrong   *pflag.InvalidValueError
		none    *pflag.ValueRequiredError
	)
	words := err.Error()
	switch {
	case errors.As(err, &unknown):
		words = unknownFlag(cmd, unknown)
	case errors.As(err, &wrong):
		words = wrongValue(wrong.GetFlag(), wrong.GetValue(), wrong.Unwrap())
	case errors.As(err, &none):
		f := none.GetFlag()
		words = fmt.Sprintf("--%s needs a value: %s", f.Name, allowed(f, "give it as --"+f.Name+" VALUE"))
	}
	return usageError("%s; see `%s --help`", words, cmd.CommandPath())
}

func unknownFlag(cmd *cobra.Command, unknown *pflag.NotExistError) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	dashes, word := "--", unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		dashes = "-"
	}
	return fmt.Sprintf("`%s` has no flag %s%s%s", cmd.CommandPath(), dashes, word, suggest(word, names))
}

// wrongValue says what a flag takes. Values of our own say it themselves.
func wrongValue(f *pflag.Flag, value string, cause error) string {
	words := allowed(f, cause.Error())
	if strings.HasPrefix(words, strconv.Quote(value)) {
		return fmt.Sprintf("--%s: %s", f.Name, words)
	}
	return fmt.Sprintf("--%s %q: %s", f.Name, value, words)
}

// allowed says what a flag of pflag's own takes, otherwise what it is told to say.
func allowed(f *pflag.Flag, otherwise string) string {
	example := f.DefValue
	if n, err := strconv.Atoi(example); err != nil || n < 1 {
		example = "10"
	}
	switch f.Value.Type() {
	case "int", "int64":
		return "write a whole number, such as " + example
	case "uint16":
		return fmt.Sprintf("write a whole number from 0 to %d, such as 443", math.MaxUint16)
	case "uint32":
		return fmt.Sprintf("write a whole number from 0 to %d, such as 1000", uint32(math.MaxUint32))
	case "uint64":
		return "write a whole number from 0 on, such as " + example
	case "float64":
		return "write a number, such as 2000 or 0.5"
	case "bool":
		return fmt.Sprintf("write true or false, or --%s alone for true", f.Name)
	case "stringSlice":
		return "write words with commas between, such as a,b"
	}
	return otherwise
}

// seconds is a duration of which seconds need no unit.
type seconds time.Duration

// secondsVar is pflag's DurationVar, but that seconds need no unit.
func secondsVar(f *pflag.FlagSet, d *time.Duration, name string, otherwise time.Duration, usage string) {
	*d = otherwise
	f.Var((*seconds)(d), name, usage)
}

// String implements pflag.Value.
func (s *seconds) String() string { return time.Duration(*s).String() }

// Type implements pflag.Value.
func (s *seconds) Type() string { return "duration" }

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	d, err := parseSeconds(text)
	if err != nil {
		return err
	}
	*s = seconds(d)
	return nil
}

func parseSeconds(text string) (time.Duration, error) {
	number := text
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		number = strconv.FormatFloat(n, 'f', -1, 64) + "s"
	}
	d, err := time.ParseDuration(number)
	if err != nil || d < 0 {
		return 0, errors.New("use seconds, such as 10, or a duration such as 500ms or 1m30s")
	}
	return d, nil
}

// times are several durations with commas between.
type times []time.Duration

// String implements pflag.Value.
func (t *times) String() string {
	words := make([]string, len(*t))
	for i, d := range *t {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}

// Type implements pflag.Value.
func (t *times) Type() string { return "durations" }

// Set implements pflag.Value.
func (t *times) Set(text string) error {
	var all times
	for word := range strings.SplitSeq(text, ",") {
		d, err := parseSeconds(strings.TrimSpace(word))
		if err != nil {
			return errors.New("use durations with commas between, such as 10m,24h,720h")
		}
		all = append(all, d)
	}
	*t = all
	return nil
}

// logLevel is the least level that is logged.
type logLevel slog.Level

// String implements pflag.Value.
func (l *logLevel) String() string { return strings.ToLower(slog.Level(*l).String()) }

// Type implements pflag.Value.
func (l *logLevel) Type() string { return "level" }

// Set implements pflag.Value.
func (l *logLevel) Set(text string) error {
	if err := (*slog.Level)(l).UnmarshalText([]byte(text)); err != nil {
		return errors.New("use debug, info, warn or error, such as --log-level info")
	}
	return nil
}
