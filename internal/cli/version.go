package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Example: "  sarn version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{a.version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return a.print(v, func() error {
				_, err := fmt.Fprintf(a.Out, "sarn %s (%s, %s)\n", v.Version, v.Go, v.Platform)
				return err
			})
		},
	}
}

// version returns the linker's word, or what the go command recorded.
func (a *app) version() string {
	if a.Version != "" {
		return a.Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
