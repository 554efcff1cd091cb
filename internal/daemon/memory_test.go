package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What the start has read of the program goes, and the program goes on.
func TestGiveBack(t *testing.T) {
	program := func() (kib int) {
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if n, _ := fmt.Sscanf(line, "RssFile: %d kB", &kib); n == 1 {
				return kib
			}
		}
		t.Fatal("the kernel does not tell RssFile")
		return 0
	}
	advise(unix.MADV_POPULATE_READ) // as a start that reads all of it
	before := program()
	GiveBack()
	after := program()
	t.Logf("before %d KiB, after %d", before, after)
	if after > before*3/4 {
		t.Errorf("%d KiB of the program were in memory before, %d are after", before, after)
	}
	if fmt.Sprint(1+1) != "2" {
		t.Error("the program is not what it was")
	}
}
