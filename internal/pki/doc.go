// Package pki makes the certificates for the controller's mutual TLS: an authority in
// a directory, and what it signs. A client's certificate says in its organisation
// what its holder may do and in its common name who that is.
package pki
