package remote

import "errors"

// mostElements is how many elements all lists of one answer may have together. A few
// bytes of JSON make a process of some hundred bytes in memory: this bounds that.
const mostElements = 200_000

var errTooMany = errors.New("it has longer lists than a machine could")

// weigh counts the elements of all lists in JSON, before memory is made for them. What is
// no JSON the decoder refuses later.
func weigh(data []byte) error {
	var lists []bool // whether the value that is open is a list
	count := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if len(lists) >= 64 {
				return errTooMany
			}
			lists = append(lists, data[i] == '[')
			if data[i] == '[' {
				count++
			}
		case ']', '}':
			if len(lists) > 0 {
				lists = lists[:len(lists)-1]
			}
		case ',':
			if len(lists) > 0 && lists[len(lists)-1] {
				count++
			}
		}
		if count > mostElements {
			return errTooMany
		}
	}
	return nil
}
