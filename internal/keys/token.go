package keys

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mostToken is the size of a file with a token, in bytes.
const mostToken = 4 << 10

// ReadToken reads a file with a token and nothing else. One that others can read is an
// error, as it is no secret any more.
func ReadToken(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	if err := private(file, info); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, mostToken+1))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	if len(text) > mostToken {
		return "", fmt.Errorf("%s is not one token alone", file)
	}
	return CheckToken(strings.TrimSpace(string(text)), file)
}

// TakeToken is ReadToken, and returns the file again if it can be read once more. A pipe,
// such as a shell's <(command), cannot.
func TakeToken(file string) (token, lasting string, err error) {
	info, err := os.Stat(file)
	if err == nil && info.Mode().IsRegular() {
		lasting = file
	}
	token, err = ReadToken(file)
	return token, lasting, err
}

// CheckToken says whether a token can be one; from is where it was found.
func CheckToken(token, from string) (string, error) {
	switch {
	case token == "":
		return "", fmt.Errorf("%s is empty; put a token there, such as from `openssl rand -base64 18`", from)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%s is not one token alone", from)
	}
	return token, nil
}

// CheckPrivate says whether a file with a secret is one that others can read. A file that
// cannot be looked at is not judged.
func CheckPrivate(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return nil //nolint:nilerr // who reads it will say so
	}
	return private(file, info)
}

func private(file string, info fs.FileInfo) error {
	others := info.Mode().Perm() & 0o077
	// What systemd gives to a unit is in a directory that nobody else may enter; the bits
	// of the group are then those of an access control list: systemd.exec(5).
	if !info.Mode().IsRegular() || others == 0 || others == 0o040 && isCredential(file) {
		return nil
	}
	return fmt.Errorf("%s holds a secret, but others than its owner can get at it (mode %04o): chmod 600 %s", file, info.Mode().Perm(), file)
}

func isCredential(file string) bool {
	path, err := filepath.EvalSymlinks(file)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	for _, dir := range []string{"/run/credentials", os.Getenv("CREDENTIALS_DIRECTORY")} {
		if dir, known := filepath.EvalSymlinks(dir); err == nil && known == nil && strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}
