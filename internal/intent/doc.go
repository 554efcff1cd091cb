// Package intent is Sarn's vocabulary: what people ask for.
//
// A VPC holds Subnets, a Subnet holds Ports, a Port sits on a Node. The same Go
// structs are read from YAML, carried by the HTTP API and kept in the store; the
// json tags name the fields in all three. World indexes one consistent set of
// them, which is what the compiler and the controller work on.
//
// The package does no I/O beyond decoding bytes that it is handed.
package intent
