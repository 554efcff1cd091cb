// Package load asks one URL again and again and says how the server took it.
//
// There are two kinds of load. In a closed loop Config.Concurrency clients each wait
// for their answer before they ask again: the server sets the pace, and while it
// stalls, nobody asks. In an open loop Config.Rate requests fall due each second,
// whatever the server does, as from people who do not know of each other; what is late
// then is measured from when it was due, so that a stall is seen for what it does.
//
// Reads: the network. Writes: the network. Nothing is kept.
package load
