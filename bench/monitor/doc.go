// Monitor measures `sarn top` beside top, htop, btop and glances, and `sarn monitor serve`
// with nobody and many looking on, on this machine, with a crowd of extra processes.
//
//	go run ./bench/monitor -rounds 3 -seconds 20 -o docs/img
//
// Each tool has a terminal of its own, 200 by 50, that only counts what it is sent. They
// take turns in an order that is drawn for each round. It prints tables, with -json all
// figures, and with -o draws a picture. Nothing is left when it ends, however it ends.
package main
