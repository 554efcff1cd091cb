// Package api is the language between Sarn's programs: the types that travel over
// HTTP and the client that sends them. The controller serves it; the agent and the
// CLI speak it.
package api
