// Package netnstest runs tests that change the network in namespaces of their own.
// Whatever such a test does is gone when it ends: its links, its routes, its mounts
// and the processes that it started.
package netnstest
