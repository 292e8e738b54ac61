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
	slow bool // waits for the clock, so it runs beside others like it, and after the rest
}

func facts(all ...func(*testing.T, *server)) []fact {
	list := make([]fact, len(all))
	for i, f := range all {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		list[i] = fact{name: name[strings.LastIndexByte(name, '.')+1:], run: f}
	}
	return list
}

func slow(list []fact) []fact {
	for i := range list {
		list[i].slow = true
	}
	return list
}

var allFacts = slices.Concat(framingFacts, connectFacts, headerFacts, operationFacts, statFacts, pathFacts, precedenceFacts,
	multiFacts, watchFacts, rewatchFacts, sessionFacts, slowSessionFacts, aclFacts, authFacts)

func TestFacts(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			for _, f := range allFacts {
				t.Run(f.name, func(t *testing.T) {
					if f.slow {
						t.Parallel()
					}
					f.run(t, get(t, k, options{}))
				})
			}
		})
	}
}
