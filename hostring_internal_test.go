package gazoo

import (
	"slices"
	"strings"
	"testing"
)

func ringHosts(names string) []Host {
	var hosts []Host
	for name := range strings.FieldsSeq(names) {
		hosts = append(hosts, Host{Name: name, Port: DefaultPort})
	}
	return hosts
}

// The probabilities are those of ZOOKEEPER-1355: whether a client moves, and whether it then
// prefers old or new servers, keeps a fleet evenly spread.
func TestRebalancing(t *testing.T) {
	for _, tc := range []struct {
		old, list, current string
		threshold          float64 // random numbers below it decide one way, others the other way
		below, above       string  // servers preferred, "stay" for no move
	}{
		{"a b", "a b c d", "a", 0.5, "c d", "stay"},                                // grew: 1 - 2/4 move to new ones
		{"a b c", "a b c d", "b", 0.25, "d", "stay"},                               // grew: 1 - 3/4
		{"a b", "b c d e", "a", 0, "", "c d e"},                                    // grew, ours is gone: to a new one
		{"a b c", "a b", "a", 0, "", "stay"},                                       // shrank, ours stays
		{"a b c", "a b", "c", 1, "a b", ""},                                        // shrank, ours is gone, nothing new
		{"a b c d e", "a b c f", "e", 3.0 * (5 - 4) / (4 * (5 - 3)), "a b c", "f"}, // shrank: pOld = 3/8
		{"a b c", "a b d", "c", 0, "", "d"},                                        // same size: pOld = 0
		{"a b c", "d e f", "a", 0, "", "d e f"},                                    // all new
		{"a b c", "c b a", "a", 0, "", "stay"},
	} {
		for _, side := range []struct {
			random float64
			want   string
		}{{tc.threshold - 1e-9, tc.below}, {tc.threshold, tc.above}} {
			if side.random < 0 || side.random >= 1 {
				continue
			}
			r := newHostRing(ringHosts(tc.old), false)
			move := r.replace(ringHosts(tc.list), Host{Name: tc.current, Port: DefaultPort}, true, func() float64 { return side.random })
			var got []string
			for _, h := range r.first {
				got = append(got, h.Name)
			}
			if want := side.want != "stay"; move != want || want && strings.Join(got, " ") != side.want {
				t.Errorf("%q to %q on %s with %v: move %v to %q, want %q", tc.old, tc.list, tc.current, side.random, move, got, side.want)
			}
		}
	}
}

func TestPreferredServersAreTriedOnceThenAll(t *testing.T) {
	r := newHostRing(ringHosts("a b"), false)
	r.replace(ringHosts("a b c d"), Host{Name: "a", Port: DefaultPort}, true, func() float64 { return 0 })
	r.begin()
	var got []string
	for over := false; !over; over = r.roundOver() {
		h, left := r.take()
		got = append(got, h.Name)
		if want := 7 - len(got); left != want {
			t.Errorf("before %s: %d left, want %d", h.Name, left, want)
		}
	}
	if want := []string{"c", "d", "a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("tried %q, want %q", got, want)
	}
	if h, left := r.take(); h.Name != "a" && h.Name != "b" && h.Name != "c" && h.Name != "d" || left != 4 {
		t.Errorf("next round begins with %v, %d left", h, left)
	}
}
