// Package sample is what the monitor sees of one machine at one time, as data. The
// collector makes samples; the terminal, the web pages, history and alerts read them.
// Their JSON is what `sarn top --once -o json` and the monitor's API print: fields are
// added, never changed.
//
// Units, everywhere: time in seconds, sizes in bytes, rates a second, CPU in CPUs (1 is
// one CPU, all of the time), shares from 0 to 1. Rates are over Sample.Interval, the time
// since the pass before.
//
// Reads and writes nothing.
package sample
