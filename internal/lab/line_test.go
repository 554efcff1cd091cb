package lab

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCopyUntil(t *testing.T) {
	for _, c := range []struct {
		in, out string
		code    int
		fails   bool
	}{
		{"hello\n\nWORD 0\n", "hello\n", 0, false},
		{"\nWORD 137\n", "", 137, false},
		{"no newline\nWORD 3\nmore", "no newline", 3, false},
		{"\nWORD\n\nWOR\nWORD 1\n", "\nWORD\n\nWOR", 1, false},
		{"\n\n\n\nWORD 2\n", "\n\n\n", 2, false},
		{"cut off\nWORD", "cut off\nWORD", 0, true},
		{"cut off\nWORD 1", "cut off", 0, true},
	} {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in))} {
			var out bytes.Buffer
			code, err := copyUntil(&out, bufio.NewReader(r), "\nWORD ")
			if out.String() != c.out || code != c.code || (err != nil) != c.fails {
				t.Errorf("%q %s: %q, %d, %v", c.in, name, out.String(), code, err)
			}
		}
	}
}
