// Package history keeps the monitor's samples on disk.
package history
