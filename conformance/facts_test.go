package conformance

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
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
	differences, oddFacts)

// slowFacts wait for the clock most of the time, so all of them run at once.
var slowFacts = slices.Concat(slowSessionFacts)

// held counts the facts that hold, by kind of server.
var held = map[kind]*atomic.Int64{apache: {}, ours: {}}

// check asserts a fact on a server.
func (f fact) check(t *testing.T, k kind, opt options) {
	t.Cleanup(func() {
		if !t.Failed() && !t.Skipped() {
			held[k].Add(1)
		}
	})
	f.run(t, get(t, k, opt))
}

// report is the line that counts.
func report() string {
	return fmt.Sprintf("conformance: facts=%d apache=%d ours=%d differences=%d",
		len(allFacts)+len(slowFacts), held[apache].Load(), held[ours].Load(), len(differences))
}

func TestFacts(t *testing.T) {
	ensemble.Require(t)
	for _, k := range kinds {
		t.Run(k.target(), func(t *testing.T) {
			for _, f := range allFacts {
				t.Run(f.name, func(t *testing.T) { f.check(t, k, options{}) })
			}
		})
	}
}

func TestSlowFacts(t *testing.T) {
	ensemble.Require(t)
	for _, k := range kinds {
		t.Run(k.target(), func(t *testing.T) {
			t.Parallel()
			for _, f := range slowFacts {
				t.Run(f.name, func(t *testing.T) {
					t.Parallel()
					f.check(t, k, options{alone: "slow"})
				})
			}
		})
	}
}
