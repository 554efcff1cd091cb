// Package timetest is for tests on a busy machine, of how long things take and of whether
// they end. What such a machine adds to a time is chance and passes; what a wrong program
// does it does again.
package timetest
