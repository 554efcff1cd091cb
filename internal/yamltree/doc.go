// Package yamltree parses the YAML that people write into syntax trees, in memory in
// proportion to the file: the YAML library alone takes gigabytes for some small files,
// and panics on others.
//
// Reads bytes. Writes nothing.
package yamltree
