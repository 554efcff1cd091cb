// Package history keeps the monitor's samples on disk, in tiers: by default each second
// for 10 minutes, 10 seconds for a day, minutes for 30 days. At gives the whole picture of
// a time (who made that spike at 03:12?), Range the values for a chart.
//
// # What is kept
//
// The finest tier has each pass as it came, apart from the processes: the first Top by
// each of CPU, memory, disk and network, besides every VM and container. A record of a
// coarser tier sums up those of the tier before it. Rates and shares become means over
// time, with the largest value of any pass beside them; levels, such as memory, are the
// last, with the largest (of what is free or available the smallest) beside them; names
// and sizes are the last. Of the processes those stay that were the first in any pass by
// any measure, and the first Top by each measure, by mean and by peak: so that the
// culprit of a spike of one second is still named after a month. Strings are cut after
// 256 bytes. tables.go and devices.go have all columns with their precision.
//
// Retention counts records, not the clock: time when nothing ran does not age history, nor
// does a clock that was set. Records of one time are all kept, and the last one written
// wins in At. Besides, Config.MaxBytes bounds all files together.
//
// # Files
//
// A tier is a row of segments, such as 10s-0000000007.seg, of which whole ones are removed
// when what is after them is as much as is kept. A segment is 16 bytes (magic, version,
// checksum) and blocks, each with a header (magic, checksum, times, sizes and checksums of
// its sections) and four sections, each a zstd frame: the system, the cores, the devices
// and machines, the processes; so a chart need not unpack the processes. A section has its
// strings once, then by table, item and column the values as whole numbers, varints of the
// differences from one record to the next. Checksums are CRC-32C, numbers little endian. A
// block needs no other one, so damage costs a block and no more. The block headers are the
// index; they are in memory.
//
// A block of seconds is written every 10 s: what a killed process loses. Each record has
// the number of the newest pass in it, and Open makes the coarser tiers' missing records
// again from the finer ones. Every sixth block of seconds all files are synced, in a
// goroutine that Add starts and Close waits for: that is what a power cut can cost
// besides; torn blocks are cut off.
//
// A Reader reads the directory while another process writes: blocks are found by their
// headers and checksums, so what is only half written is not there yet.
//
// # Why not a database
//
// modernc.org/sqlite was considered. A row for each value would be ten times the bytes, as
// nothing compresses it; a row for each block, compressed by us, leaves SQLite little to
// do but to find it, which an index of 2,000 headers does too. It would add some 6 MB to
// the program and a page cache to a memory budget of 40 MiB; and its WAL writes twice.
package history
