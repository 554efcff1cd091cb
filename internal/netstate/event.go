package netstate

// Event is a change of a machine's network, as far as the kernel tells of it.
type Event struct {
	// Route came, or went if Gone; one to the same destination in the same table did, if
	// another has replaced it. It is nil if the event is about something else.
	Route *Route
	Gone  bool
	// Routes says that routes may have gone with what changed, which the kernel does
	// not tell one by one.
	Routes bool
	// Link, if it is set, is the device that all of those hung on.
	Link string
}
