package alert

import (
	"fmt"
	"regexp"
	"strings"
)

// pattern is a text to match: exact; a glob, if it has * or ?; or, after a ~, a regular
// expression of RE2's syntax that need not match all. After a = everything is exact.
type pattern struct {
	exact  string
	regexp *regexp.Regexp
}

func newPattern(text string) (pattern, error) {
	if exact, ok := strings.CutPrefix(text, "="); ok {
		return pattern{exact: exact}, nil
	}
	if expr, ok := strings.CutPrefix(text, "~"); ok {
		re, err := regexp.Compile(expr)
		if err != nil {
			return pattern{}, fmt.Errorf("%q is not a regular expression: %w", expr, err)
		}
		return pattern{regexp: re}, nil
	}
	if text == "" {
		return pattern{}, fmt.Errorf("is empty; leave it out to match all, or write = to match what has no text")
	}
	if !strings.ContainsAny(text, "*?") {
		return pattern{exact: text}, nil
	}
	// A * of a glob stands for slashes and newlines too: command lines have both.
	expr := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(text))
	re, err := regexp.Compile("(?s)^" + expr + "$")
	if err != nil {
		return pattern{}, fmt.Errorf("%q is not a pattern: %w", text, err)
	}
	return pattern{regexp: re}, nil
}

func (p *pattern) matches(text string) bool {
	if p.regexp != nil {
		return p.regexp.MatchString(text)
	}
	return p.exact == text
}
