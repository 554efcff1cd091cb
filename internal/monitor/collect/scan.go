package collect

import "bytes"

// words scans bytes word by word. After the end it gives empty words, so that a file that
// is cut short reads as zeros.
type words []byte

func blank(b byte) bool { return b == ' ' || b == '\t' }

// next takes the next word of the line.
func (w *words) next() []byte {
	b := *w
	i := 0
	for i < len(b) && blank(b[i]) {
		i++
	}
	j := i
	for j < len(b) && !blank(b[j]) && b[j] != '\n' {
		j++
	}
	*w = b[j:]
	return b[i:j]
}

func (w *words) number() uint64 { return number(w.next()) }

func (w *words) skip(n int) {
	for range n {
		w.next()
	}
}

// lines scans bytes line by line.
type lines []byte

func (l *lines) next() (words, bool) {
	b := *l
	if len(b) == 0 {
		return nil, false
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		*l = nil
		return words(b), true
	}
	*l = b[end+1:]
	return words(b[:end]), true
}

// number reads the digits that b begins with.
func number(b []byte) uint64 {
	var n uint64
	for _, d := range b {
		if d < '0' || d > '9' {
			break
		}
		n = n*10 + uint64(d-'0')
	}
	return n
}

func signed(b []byte) int {
	if len(b) > 0 && b[0] == '-' {
		return -int(number(b[1:]))
	}
	return int(number(b))
}

// decimal reads such as 12.34, as the kernel prints its means.
func decimal(b []byte) float64 {
	whole, part, _ := bytes.Cut(b, []byte{'.'})
	f := 0.0
	for i := len(part) - 1; i >= 0; i-- {
		if part[i] < '0' || part[i] > '9' {
			return float64(number(whole))
		}
		f = (f + float64(part[i]-'0')) / 10
	}
	return float64(number(whole)) + f
}

// after returns what follows the prefix.
func after(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}
