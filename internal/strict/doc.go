// Package strict reads the YAML files that people write, of one document each, into
// structs: each field must be known and stand once, and all mistakes are told together,
// with file, line and field. Scalars are taken as they are written: the name 010 stays
// 010, and the word yes stays yes.
//
// Reads bytes. Writes nothing.
package strict
