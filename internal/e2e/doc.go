// Package e2e holds the tests of Sarn as its users meet it: the built program, its
// command line, real agents in network namespaces, and packets on the real kernel.
package e2e
