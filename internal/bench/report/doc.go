// Package report makes one HTML page of a measurement: without scripts, fonts or
// anything that would have to be fetched, for light and dark screens and for paper.
//
// Every page has the frame of frame.html around the template of its kind, which defines
// "body". What stands in a page may come from outside (a server's name, an error's
// words); html/template escapes it where it stands.
package report
