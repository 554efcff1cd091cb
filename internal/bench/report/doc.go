// Package report draws what was measured as pages that stand alone: one file, without
// scripts, that needs nothing from elsewhere, for light and dark screens and for paper.
//
// Every page is the frame of frame.html around the template of its kind, which defines
// "body". What stands in a page may come from outside (a server's name, an error's
// words); html/template escapes it where it stands.
//
// Reads: results. Writes: HTML and SVG.
package report
