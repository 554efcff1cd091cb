// Package graph draws: Map is a network as a picture, Chart is figures as bars. Both
// become one self-contained SVG (no script, no font, no other file) that is readable on
// light and on dark screens. Equal input gives equal bytes.
//
// It is told all that it draws, does no I/O and knows nothing of Sarn's objects.
package graph
