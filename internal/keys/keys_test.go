package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// later is f after a second in which nobody asked.
func later[T any](f *Fresh[T]) (T, bool) {
	f.looked = f.looked.Add(-time.Hour)
	return f.Changed()
}

// What a file holds is there after it has changed; what cannot be read changes nothing and
// is told of once; and files are not looked at more than once a second.
func TestFresh(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	write(t, a, "1")
	write(t, b, "2")
	reads, told := 0, []error{}
	read := func() (string, error) {
		reads++
		one, err := os.ReadFile(a)
		two, err2 := os.ReadFile(b)
		if strings.Contains(string(one), "bad") {
			err = errors.New("bad")
		}
		return string(one) + string(two), errors.Join(err, err2)
	}
	f, err := NewFresh(read, func(err error) { told = append(told, err) }, a, b, "")
	if err != nil || f.Now() != "12" {
		t.Fatal(f.Now(), err)
	}
	for range 3 {
		if v, changed := later(f); v != "12" || changed || reads != 1 {
			t.Fatalf("nothing has changed: %q, %v, read %d times", v, changed, reads)
		}
	}
	write(t, b, "333")
	f.looked = time.Now().Add(time.Hour) // whatever the time is, it was just now
	if f.Now() != "12" {
		t.Error("it looks at the files whenever it is asked")
	}
	f.looked = time.Now()
	if v, changed := later(f); v != "1333" || !changed {
		t.Errorf("after a change: %q, %v", v, changed)
	}
	for _, spoil := range []func(){func() { write(t, a, "bad") }, func() { os.Remove(a) }} {
		told = nil
		spoil()
		for range 3 {
			if v, changed := later(f); v != "1333" || changed {
				t.Errorf("what cannot be read is taken: %q", v)
			}
		}
		if len(told) != 1 {
			t.Errorf("told %v", told)
		}
	}
	// Renewed as some do: by another link to another directory.
	write(t, filepath.Join(filepath.Dir(a), "new"), "9")
	if err := os.Symlink("new", a); err != nil {
		t.Fatal(err)
	}
	if v, changed := later(f); v != "9333" || !changed {
		t.Errorf("behind a link: %q, %v", v, changed)
	}
	if _, err := NewFresh(func() (int, error) { return 0, errors.New("no") }, nil, a); err == nil {
		t.Error("what cannot be read is taken at the start")
	}
}

// What could not be read for a reason that is not in the files is tried again, and each
// reason is told once.
func TestFreshTriesAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	write(t, file, "1")
	var reason error
	told := 0
	f, err := NewFresh(func() (string, error) { text, _ := os.ReadFile(file); return string(text), reason }, func(error) { told++ }, file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, "22")
	again := func(want string, changed bool, telling int) {
		t.Helper()
		f.tried = f.tried.Add(-time.Hour)
		if v, other := later(f); v != want || other != changed || told != telling {
			t.Errorf("%q, changed %v, told %d times; want %q, %v, %d", v, other, told, want, changed, telling)
		}
	}
	reason = errors.New("too many open files")
	again("1", false, 1)
	again("1", false, 1)
	reason = errors.New("what it names is not there")
	again("1", false, 2)
	reason = nil
	again("22", true, 2)
	again("22", false, 2)
}

func TestReadToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]string{
		"a-token": "a-token", " a-token\n": "a-token", "": "is empty; put a token there", "\n": "is empty", "two words": "not one token alone",
		"two\nlines": "not one token alone", "a\x00b": "not one token alone", strings.Repeat("x", 5000): "not one token alone",
	} {
		write(t, file, text)
		got, err := ReadToken(file)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want) || !strings.Contains(got, file)) {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
	if _, err := ReadToken(file + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A file can be read again, a pipe cannot; both have a token.
func TestTakeToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, "a-token\n")
	if token, lasting, err := TakeToken(file); token != "a-token" || lasting != file || err != nil {
		t.Errorf("of a file: %q, %q, %v", token, lasting, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("a-token\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if token, lasting, err := TakeToken(fmt.Sprintf("/dev/fd/%d", r.Fd())); token != "a-token" || lasting != "" || err != nil {
		t.Errorf("of a pipe: %q, %q, %v", token, lasting, err)
	}
	if _, _, err := TakeToken(file + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A secret that others can get at is refused, with how to mend it; what systemd hands to a
// unit is not.
func TestASecretThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	write(t, file, "a-token")
	for _, c := range []struct {
		mode       fs.FileMode
		credential bool
		good       bool
	}{
		{0o600, false, true}, {0o400, false, true}, {0o700, false, true}, {0o644, false, false}, {0o640, false, false}, {0o440, false, false},
		{0o604, false, false}, {0o620, false, false}, {0o400, true, true}, {0o440, true, true}, {0o444, true, false}, {0o460, true, false},
	} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		t.Setenv("CREDENTIALS_DIRECTORY", "")
		if c.credential {
			t.Setenv("CREDENTIALS_DIRECTORY", dir)
		}
		_, err := ReadToken(file)
		if again := CheckPrivate(file); (err == nil) != c.good || (again == nil) != c.good {
			t.Errorf("%o, credential %v: %v, %v", c.mode, c.credential, err, again)
		}
		if !c.good && err != nil && !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("%v does not say how to mend it", err)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir+"-not")
	if err := os.Chmod(file, 0o440); err != nil {
		t.Fatal(err)
	}
	if CheckPrivate(file) == nil {
		t.Error("a directory whose name only begins so is taken for that of the credentials")
	}
	if err := CheckPrivate(file + ".none"); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
}
