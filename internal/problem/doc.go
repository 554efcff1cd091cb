// Package problem is how files that people write are told what is wrong with them: all at
// once, each with file, line and field.
//
// Reads and writes nothing.
package problem
