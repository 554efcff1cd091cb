// Package web is the monitor's pages: one host, many hosts, and the login. They are
// templates, style sheets and JavaScript modules, embedded, that need nothing from
// anywhere else; what they show they read from the API beside them.
//
// The browser is told to run nothing but these files (Content-Security-Policy), and
// all that comes from outside, such as the names of processes, is put into the page as
// text.
//
// Reads and writes nothing.
package web
