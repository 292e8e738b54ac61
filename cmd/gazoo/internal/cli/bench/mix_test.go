package bench

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gazoo-zk/gazoo"
)

func TestMix(t *testing.T) {
	var m mix
	if err := m.Set("set=2,get,watch=3"); err != nil {
		t.Fatal(err)
	}
	if got := m.String(); got != "set=2,get=1,watch=3" {
		t.Errorf("String() = %q", got)
	}
	picked := map[kind]int{}
	for n := range m.sum() {
		picked[m.pick(n)]++
	}
	want := map[kind]int{opSet: 2, opGet: 1, opWatch: 3}
	if fmt.Sprint(picked) != fmt.Sprint(want) {
		t.Errorf("of %d numbers the kinds get %v, want %v", m.sum(), picked, want)
	}
	if !m.has(opWatch) || m.has(opExists) {
		t.Error("has does not say what is in the mix")
	}
	for _, bad := range []string{"", "get=", "get=-1", "get=x", "get=0", "get,get", "delete", "nothing", "get=1,,set=1", "get=9999999"} {
		if err := m.Set(bad); err == nil {
			t.Errorf("Set(%q) succeeds", bad)
		}
	}
	if got := m.String(); got != "set=2,get=1,watch=3" {
		t.Errorf("a refused mix has changed the old one into %q", got)
	}
}

// TestFailuresByKind shows that failures are told apart by reason, whichever znode they concern.
func TestFailuresByKind(t *testing.T) {
	all := &tally{failures: map[string]int{}}
	for i := range 3 {
		all.fail(opGet, &gazoo.OpError{Op: "get", Path: fmt.Sprint("/", i), Err: gazoo.ErrNoNode})
	}
	all.fail(opSet, &gazoo.OpError{Op: "set", Path: "/x", Err: gazoo.ErrConnectionLoss})
	all.fail(opMulti, &gazoo.OpError{Op: "multi", Err: &gazoo.TxnError{Index: 2, Op: "setData", Path: "/y", Code: gazoo.ErrNoNode}})
	want := map[string]int{gazoo.ErrNoNode.Error(): 4, gazoo.ErrConnectionLoss.Error(): 1}
	if fmt.Sprint(all.failures) != fmt.Sprint(want) {
		t.Errorf("failures by kind: %v, want %v", all.failures, want)
	}
	if !errors.Is(all.first, gazoo.ErrNoNode) {
		t.Errorf("the first failure is %v", all.first)
	}
	c := all.mark()
	if c.failed[opGet] != 3 || c.failed[opSet] != 1 || c.failed[opMulti] != 1 {
		t.Errorf("failures by operation: %v", c.failed)
	}
}
