// Hello is the post's server in Go: it answers every request with a line of text.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: hello ADDRESS, such as 127.0.0.1:8184")
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Hello, World!\n") // a client that has gone is no matter
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil)) //nolint:gosec // without timeouts, as in the post
}
