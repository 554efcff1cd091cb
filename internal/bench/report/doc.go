// Package report draws what was measured as pages that stand alone: one file, without
// scripts, that needs nothing from elsewhere.
//
// Reads: results. Writes: HTML and SVG.
package report
