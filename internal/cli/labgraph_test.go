package cli

import (
	"os"
	"testing"
)

// The picture in the docs is what the command draws.
func TestPictureInDocs(t *testing.T) {
	const path = "../../docs/img/two-hosts.svg"
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, nil, "lab", "graph", "../../examples/two-hosts.yaml")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if out != string(want) {
		t.Errorf("%s is another picture; draw it again with: sarn lab graph examples/two-hosts.yaml -w docs/img/two-hosts.svg", path)
	}
}
