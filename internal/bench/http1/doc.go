// Package http1 reads answers of HTTP/1.1 servers (RFC 9112) as a load test needs
// them: it keeps the figures, drops the bodies, allocates nothing for an answer, and
// says in words what is wrong with one.
//
// It is strict where a mistake would make two ends disagree about where an answer ends,
// since a load test that reads on after that measures nothing.
package http1
