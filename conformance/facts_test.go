package conformance

import (
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// fact is what asserts one fact, on a server of either kind.
type fact struct {
	name string // of the function
	run  func(*testing.T, *server)
}

func facts(all ...func(*testing.T, *server)) []fact {
	list := make([]fact, len(all))
	for i, f := range all {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		list[i] = fact{name: name[strings.LastIndexByte(name, '.')+1:], run: f}
	}
	return list
}

var allFacts = slices.Concat(framingFacts, connectFacts, headerFacts, operationFacts, statFacts, pathFacts, precedenceFacts,
	multiFacts, watchFacts, rewatchFacts, sessionFacts, aclFacts, authFacts, tlsFacts, wordFacts, quotaFacts, reaperFacts,
	differences)

// slowFacts wait for the clock most of the time, so all of them run at once.
var slowFacts = slices.Concat(slowSessionFacts)

func TestFacts(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			for _, f := range allFacts {
				t.Run(f.name, func(t *testing.T) { f.run(t, get(t, k, options{})) })
			}
		})
	}
}

func TestSlowFacts(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			for _, f := range slowFacts {
				t.Run(f.name, func(t *testing.T) {
					t.Parallel()
					f.run(t, get(t, k, options{alone: "slow"}))
				})
			}
		})
	}
}
