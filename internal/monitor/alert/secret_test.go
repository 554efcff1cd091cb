package alert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file with a secret that others can read is told of with the rules' other mistakes.
func TestASecretThatOthersCanRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("https://alerts.example.net/secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for field, action := range map[string]string{
		"webhook.token_file": `webhook: {url: "https://h/", token_file: ` + file + `}`,
		"webhook.url_file":   `webhook: {url_file: ` + file + `}`,
		"mail.password_file": `mail: {server: "h:25", from: a@example.net, to: [b@example.net], user: me, password_file: ` + file + `}`,
	} {
		text := []byte("actions: [{name: a, " + action + "}]\nrules: [{name: r, of: system, value: cpu, warning: 80%}]\n")
		for mode, good := range map[os.FileMode]bool{0o600: true, 0o644: false} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			_, err := Parse("a.yaml", text)
			if good != (err == nil) || !good && (!strings.Contains(err.Error(), "a.yaml:1: actions.0."+field) || !strings.Contains(err.Error(), "chmod 600 "+file)) {
				t.Errorf("%s, mode %o: %v", field, mode, err)
			}
		}
	}
}
