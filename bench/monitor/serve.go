package main

import (
	"context"
	"os"
	"syscall"
)

func measureServe(ctx context.Context, o *options, dir string, r *report) error   { return nil }
func measureHistory(ctx context.Context, o *options, dir string, r *report) error { return nil }

// maxResident is the most memory that an ended process has had, in MiB.
func maxResident(s *os.ProcessState) float64 {
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		return float64(u.Maxrss) / 1024
	}
	return 0
}
