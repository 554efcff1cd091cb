package load

// Kind is a way in which a request can fail, as a word for programs.
type Kind string
