package zkproto_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestCodesAreErrors(t *testing.T) {
	err := fmt.Errorf("create /app: %w", zkproto.ErrNoNode)
	if !errors.Is(err, zkproto.ErrNoNode) || errors.Is(err, zkproto.ErrNoAuth) {
		t.Error("errors.Is does not tell the codes apart")
	}
	if code, ok := errors.AsType[zkproto.Code](err); !ok || code != -101 {
		t.Errorf("AsType = %d, %v, want -101", int32(code), ok)
	}
	for _, tt := range []struct {
		code       zkproto.Code
		name, text string
	}{
		{zkproto.OK, "Ok", "ok"},
		{zkproto.ErrNoNode, "NoNode", "znode does not exist"},
		{zkproto.ErrThrottledOp, "ThrottledOp", "request throttled by the server"},
		{-999, "-999", "unknown server error -999"},
	} {
		if got := tt.code.Name(); got != tt.name {
			t.Errorf("Code(%d).Name() = %q, want %q", int32(tt.code), got, tt.name)
		}
		if got := tt.code.Error(); got != tt.text {
			t.Errorf("Code(%d).Error() = %q, want %q", int32(tt.code), got, tt.text)
		}
	}
}

func TestNamesKeepUnknownNumbers(t *testing.T) {
	for _, tt := range []struct {
		v    fmt.Stringer
		want string
	}{
		{zkproto.OpGetData, "getData"},
		{zkproto.OpCloseSession, "closeSession"},
		{zkproto.OpCode(55), "op 55"},
		{zkproto.ModePersistentSequentialTTL, "persistent sequential with ttl"},
		{zkproto.CreateMode(7), "mode 7"},
		{zkproto.EventDataChanged, "data changed"},
		{zkproto.EventType(9), "event 9"},
		{zkproto.WatchPersistentRecursive, "persistent recursive"},
		{zkproto.AddWatchMode(2), "mode 2"},
		{zkproto.WatcherAny, "any"},
		{zkproto.WatcherType(6), "type 6"},
	} {
		if got := tt.v.String(); got != tt.want {
			t.Errorf("%T.String() = %q, want %q", tt.v, got, tt.want)
		}
	}
	// Every opcode a client can send has a name of its own.
	seen := map[string]zkproto.OpCode{}
	for _, op := range []zkproto.OpCode{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 100, 101, 102, 103, 104, 105, 106, 107, -11, -10, -1, 0} {
		name := op.String()
		if other, dup := seen[name]; dup || name == fmt.Sprintf("op %d", int32(op)) {
			t.Errorf("opcode %d has the name %q, as has %d", int32(op), name, int32(other))
		}
		seen[name] = op
	}
}

func TestCreateModes(t *testing.T) {
	for _, tt := range []struct {
		mode                                         zkproto.CreateMode
		ephemeral, sequential, container, ttl, valid bool
	}{
		{zkproto.ModePersistent, false, false, false, false, true},
		{zkproto.ModeEphemeral, true, false, false, false, true},
		{zkproto.ModePersistentSequential, false, true, false, false, true},
		{zkproto.ModeEphemeralSequential, true, true, false, false, true},
		{zkproto.ModeContainer, false, false, true, false, true},
		{zkproto.ModePersistentTTL, false, false, false, true, true},
		{zkproto.ModePersistentSequentialTTL, false, true, false, true, true},
		{7, false, false, false, false, false},
		{-1, false, false, false, false, false},
	} {
		m := tt.mode
		got := [...]bool{m.Ephemeral(), m.Sequential(), m.Container(), m.TTL(), m.Valid()}
		if want := [...]bool{tt.ephemeral, tt.sequential, tt.container, tt.ttl, tt.valid}; got != want {
			t.Errorf("%v: ephemeral, sequential, container, ttl, valid = %v, want %v", m, got, want)
		}
	}
}

func TestStatMethods(t *testing.T) {
	if got := stat.Created(); !got.Equal(time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)) {
		t.Errorf("Created() = %v", got)
	}
	if got := stat.Modified().Sub(stat.Created()); got != time.Millisecond {
		t.Errorf("Modified() is %v after Created(), want 1ms", got)
	}
	if id, ok := stat.OwnerSessionID(); id != stat.EphemeralOwner || !ok || !stat.Ephemeral() {
		t.Errorf("OwnerSessionID() = %#x, %v", id, ok)
	}
	if id, ok := (zkproto.Stat{}).OwnerSessionID(); id != 0 || ok || (zkproto.Stat{}).Ephemeral() {
		t.Errorf("OwnerSessionID() of a persistent znode = %#x, %v", id, ok)
	}
}
