package netstate_test

import (
	"reflect"
	"testing"

	"sarn/internal/netstate"
)

// TestMergeForgetsNothing has a part with one of everything.
func TestMergeForgetsNothing(t *testing.T) {
	part := &netstate.State{Alias: "sarn port a"}
	for s, i := reflect.ValueOf(part).Elem(), 0; i < s.NumField(); i++ {
		if list := s.Field(i); list.Kind() == reflect.Slice {
			list.Set(reflect.MakeSlice(list.Type(), 1, 1))
		}
	}
	if got := netstate.Merge(nil, netstate.Machine{"a": part})["a"]; !reflect.DeepEqual(got, part) {
		t.Errorf("of\n%+v\nremains\n%+v", part, got)
	}
}
