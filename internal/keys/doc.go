// Package keys reads from files what a program identifies by, tokens and certificates, and
// reads them again when the files change: what is renewed needs no restart.
//
// Reads files. Writes nothing.
package keys
