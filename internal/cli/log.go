package cli

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"
)

// logFlags holds the flags of the long-lived commands' logs.
type logFlags struct {
	format string
	level  logLevel
}

func (l *logFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.format, "log-format", "text", "how to write the log: `text` or json")
	f.Var(&l.level, "log-level", "least `level` to log: debug, info, warn or error")
	complete(cmd, "log-format", "text", "json")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
}

func (l *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{Level: slog.Level(l.level)}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, usageError("--log-format %q is not a format; use text or json", l.format)
}
