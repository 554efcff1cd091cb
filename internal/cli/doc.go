// Package cli is the sarn program: its commands, one file a noun. They read flags and
// files, talk to a controller through package api, and print; what they do is done
// elsewhere.
package cli
