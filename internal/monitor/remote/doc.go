// Package remote is a client of one monitor server: it follows the server's stream of
// samples and connects again by itself when that ends, says since when there is no
// connection and why, and asks for history. The terminal, the fleet and the command line
// read what it has.
//
// Nothing that a server says is believed: lines, bodies, lists and texts have bounds,
// figures that cannot be are cut to what can, what comes faster than any monitor sends is
// read slowly, and a delta that does not fit its base is a lost connection. A server that
// lies shows lies; it does not crash, hang or fill the one who looks.
//
// Reads a token's and certificates' files, and the server over HTTP. Writes nothing.
package remote
