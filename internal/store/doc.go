// Package store keeps intent in etcd: in a server of its own inside the program, or
// in an external cluster when users outgrow one machine.
//
// Each object is one key, /sarn/v1/<kind>/<name>, with the object as JSON. One more
// key, the epoch, is written by every Commit, and a Commit goes through only if the
// epoch has not moved since the revision that the caller knows. So every change is
// all-or-nothing and they happen one after the other, however many controllers write.
//
// Only intent is here. What nodes report, and so what `sarn status` and --wait know, is
// in the memory of the one controller that the node's agent follows.
package store
