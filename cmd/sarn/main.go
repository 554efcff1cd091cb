// Sarn is a private cloud's network: `sarn help` says what it does.
package main

import (
	"context"
	"os"

	"sarn/internal/cli"
)

// version is set by the linker: see the Makefile.
var version string

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], cli.State{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: version,
	}))
}
