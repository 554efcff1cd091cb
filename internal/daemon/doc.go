// Package daemon runs Sarn's long-lived programs: tasks that stop together, signals,
// and the word to the service manager that all is ready.
package daemon
