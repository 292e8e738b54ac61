package partition

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Func decides which items a member gets. Every member calls it with its own identifier, the identifiers of all members
// and all items, and has to come to the same division. What it returns must be items of the set.
type Func func(identifier string, members, items []string) []string

// RoundRobin deals the sorted items to the sorted members, one after the other, as Kazoo does. It is the default.
func RoundRobin(identifier string, members, items []string) []string {
	members, items = slices.Sorted(slices.Values(members)), slices.Sorted(slices.Values(items))
	var mine []string
	first := slices.Index(members, identifier)
	if first < 0 {
		return nil
	}
	for i := first; i < len(items); i += len(members) {
		mine = append(mine, items[i])
	}
	return mine
}

// Option configures [New] and [Run].
type Option func(*options)

type options struct {
	identifier string
	boundary   time.Duration
	divide     Func
}

// WithIdentifier names this member (default: host name, process id and a random number). No two members may have the
// same identifier.
func WithIdentifier(identifier string) Option {
	return func(o *options) { o.identifier = identifier }
}

// WithTimeBoundary is how long the party has to stay the same before its members take their items (default 30 s, as in
// Kazoo). It bounds how often a fleet that starts member by member divides anew.
func WithTimeBoundary(d time.Duration) Option { return func(o *options) { o.boundary = d } }

// WithFunc replaces how the items are divided (default [RoundRobin]). It is called on a goroutine of the partitioner.
func WithFunc(divide Func) Option { return func(o *options) { o.divide = divide } }

func newOptions(path string, items []string, opts []Option) (options, error) {
	o := options{identifier: defaultIdentifier(), boundary: 30 * time.Second, divide: RoundRobin}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	var errs []error
	refuse := func(arg, reason string) {
		errs = append(errs, &gazoo.ArgumentError{Arg: arg, Reason: reason})
	}
	if err := gazoo.ValidatePath(path); err != nil {
		errs = append(errs, err)
	}
	if !name(o.identifier) {
		refuse("WithIdentifier", fmt.Sprintf("%q is not fit for the name of a znode", o.identifier))
	}
	if o.boundary < 0 {
		refuse("WithTimeBoundary", "must not be negative")
	}
	if o.divide == nil {
		refuse("WithFunc", "must not be nil")
	}
	seen := make(map[string]bool)
	for _, item := range items {
		if !name(item) {
			refuse("items", fmt.Sprintf("%q is not fit for the name of a znode", item))
		}
		if seen[item] {
			refuse("items", fmt.Sprintf("%q is there twice", item))
		}
		seen[item] = true
	}
	return o, errors.Join(errs...)
}

func name(s string) bool {
	return s != "" && !strings.Contains(s, "/") && gazoo.ValidatePath("/"+s) == nil
}

func defaultIdentifier() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var b [4]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}
