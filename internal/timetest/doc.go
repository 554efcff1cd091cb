// Package timetest is for tests of how long things take. What a busy machine adds to a
// time is chance and passes; what a wrong program does it does again.
package timetest
