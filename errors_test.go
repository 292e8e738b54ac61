package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// allCodes is every code of the protocol, with ZooKeeper's name.
var allCodes = []struct {
	code gazoo.Code
	wire int32
	name string
}{
	{gazoo.ErrSystemError, -1, "SystemError"},
	{gazoo.ErrRuntimeInconsistency, -2, "RuntimeInconsistency"},
	{gazoo.ErrDataInconsistency, -3, "DataInconsistency"},
	{gazoo.ErrConnectionLoss, -4, "ConnectionLoss"},
	{gazoo.ErrMarshalling, -5, "MarshallingError"},
	{gazoo.ErrUnimplemented, -6, "Unimplemented"},
	{gazoo.ErrOperationTimeout, -7, "OperationTimeout"},
	{gazoo.ErrBadArguments, -8, "BadArguments"},
	{gazoo.ErrUnknownSession, -12, "UnknownSession"},
	{gazoo.ErrNewConfigNoQuorum, -13, "NewConfigNoQuorum"},
	{gazoo.ErrReconfigInProgress, -14, "ReconfigInProgress"},
	{gazoo.ErrAPIError, -100, "APIError"},
	{gazoo.ErrNoNode, -101, "NoNode"},
	{gazoo.ErrNoAuth, -102, "NoAuth"},
	{gazoo.ErrBadVersion, -103, "BadVersion"},
	{gazoo.ErrNoChildrenForEphemerals, -108, "NoChildrenForEphemerals"},
	{gazoo.ErrNodeExists, -110, "NodeExists"},
	{gazoo.ErrNotEmpty, -111, "NotEmpty"},
	{gazoo.ErrSessionExpired, -112, "SessionExpired"},
	{gazoo.ErrInvalidCallback, -113, "InvalidCallback"},
	{gazoo.ErrInvalidACL, -114, "InvalidACL"},
	{gazoo.ErrAuthFailed, -115, "AuthFailed"},
	{gazoo.ErrSessionMoved, -118, "SessionMoved"},
	{gazoo.ErrNotReadOnly, -119, "NotReadOnly"},
	{gazoo.ErrEphemeralOnLocalSession, -120, "EphemeralOnLocalSession"},
	{gazoo.ErrNoWatcher, -121, "NoWatcher"},
	{gazoo.ErrRequestTimeout, -122, "RequestTimeout"},
	{gazoo.ErrReconfigDisabled, -123, "ReconfigDisabled"},
	{gazoo.ErrSessionClosedRequireSASLAuth, -124, "SessionClosedRequireSaslAuth"},
	{gazoo.ErrQuotaExceeded, -125, "QuotaExceeded"},
	{gazoo.ErrThrottledOp, -127, "ThrottledOp"},
}

func TestEveryCodeHasItsNumberNameAndText(t *testing.T) {
	texts := make(map[string]gazoo.Code)
	for _, c := range allCodes {
		if int32(c.code) != c.wire || !strings.EqualFold(c.code.Name(), c.name) {
			t.Errorf("code %d is named %q, want %d, %q", int32(c.code), c.code.Name(), c.wire, c.name)
		}
		text := c.code.Error()
		if other, dup := texts[text]; dup || text == "" || strings.Contains(text, "unknown server error") {
			t.Errorf("%s reads %q (also %v)", c.name, text, other)
		}
		texts[text] = c.code
	}
}

func TestEveryCodeReachesTheCaller(t *testing.T) {
	codes := []gazoo.Code{-999, 7} // codes of a future server keep their number
	for _, c := range allCodes {
		codes = append(codes, c.code)
	}
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		var answer gazoo.Code
		b := &peer.Basic{}
		b.Answer = func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op == zkproto.OpPing || req.Header.Op == zkproto.OpCloseSession {
				return false
			}
			c.Reply(req.Header.Xid, 1, answer, nil)
			return true
		}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a/x")
		for _, code := range codes {
			if code == gazoo.ErrSessionMoved {
				continue // a story of its own, below
			}
			answer = code
			_, _, getErr := zk.Get(ctx, "/a")
			_, setErr := zk.Set(ctx, "/a", nil, 0)
			for op, err := range map[string]error{"get": getErr, "set": setErr, "sync": zk.Sync(ctx, "/a")} {
				e, ok := errors.AsType[*gazoo.OpError](err)
				if !ok || e.Op != op || e.Path != "/a" || e.Server != "a:2181" || e.Outcome != gazoo.OutcomeRefused || e.Write != (op == "set") {
					t.Errorf("%s answered %d: %+v", op, int32(code), e)
				}
				if got, ok := errors.AsType[gazoo.Code](err); !ok || got != code || !errors.Is(err, code) {
					t.Errorf("%s answered %d: %v", op, int32(code), err)
				}
				if gazoo.MaybeApplied(err) || gazoo.WasNotSent(err) {
					t.Errorf("%s answered %d: counts as unknown or unsent", op, int32(code))
				}
			}
		}
		answer = -999
		if _, _, err := zk.Get(ctx, "/a"); !strings.Contains(err.Error(), "-999") {
			t.Errorf("an unknown code reads %q, want its number in it", err)
		}
	})
}

func TestErrorTexts(t *testing.T) {
	for want, err := range map[string]error{
		"create /app/x: " + gazoo.ErrNoNode.Error() + " (server 10.0.0.1:2181)": &gazoo.OpError{Op: "create", Path: "/app/x", Server: "10.0.0.1:2181", Outcome: gazoo.OutcomeRefused, Write: true, Err: gazoo.ErrNoNode},
		"set /a: connection lost, may have been applied":                        &gazoo.OpError{Op: "set", Path: "/a", Outcome: gazoo.OutcomeUnknown, Write: true, Err: gazoo.ErrConnectionLoss},
		"get /a: connection lost":                                               &gazoo.OpError{Op: "get", Path: "/a", Outcome: gazoo.OutcomeUnknown, Err: gazoo.ErrConnectionLoss},
		"whoami: client closed, not sent":                                       &gazoo.OpError{Op: "whoami", Outcome: gazoo.OutcomeNotSent, Err: gazoo.ErrClosed},
		"invalid path: empty":                                                   gazoo.ValidatePath(""),
		"not sent":                                                              errors.New(gazoo.OutcomeNotSent.String()),
		"may have been applied":                                                 errors.New(gazoo.OutcomeUnknown.String()),
		"refused":                                                               errors.New(gazoo.OutcomeRefused.String()),
		"Outcome(9)":                                                            errors.New(gazoo.Outcome(9).String()),
	} {
		if err.Error() != want {
			t.Errorf("text %q, want %q", err, want)
		}
	}
}

func TestWhatErrorsTellAboutTheirRequest(t *testing.T) {
	op := func(write bool, outcome gazoo.Outcome, err error) error {
		return &gazoo.OpError{Op: "x", Write: write, Outcome: outcome, Err: err}
	}
	for _, c := range []struct {
		err                 error
		maybe, unsent, over bool
	}{
		{nil, false, false, false},
		{errors.New("another's"), false, false, false},
		{gazoo.ErrConnectionLoss, false, false, false},
		{op(true, gazoo.OutcomeUnknown, gazoo.ErrConnectionLoss), true, false, false},
		{op(false, gazoo.OutcomeUnknown, gazoo.ErrConnectionLoss), false, false, false},
		{op(true, gazoo.OutcomeNotSent, gazoo.ErrConnectionLoss), false, true, false},
		{op(true, gazoo.OutcomeRefused, gazoo.ErrNoNode), false, false, false},
		{op(true, gazoo.OutcomeNotSent, gazoo.ErrSessionPresumed), false, true, true},
		{op(true, gazoo.OutcomeRefused, gazoo.ErrSessionExpired), false, false, true},
		{op(true, gazoo.OutcomeNotSent, gazoo.ErrSessionOver), false, true, true},
		{op(true, gazoo.OutcomeUnknown, gazoo.ErrClosed), true, false, false},
		{op(true, gazoo.OutcomeUnknown, context.DeadlineExceeded), true, false, false},
		{fmt.Errorf("mine: %w", op(true, gazoo.OutcomeUnknown, gazoo.ErrConnectionLoss)), true, false, false},
		{&gazoo.RetryError{Err: op(true, gazoo.OutcomeUnknown, gazoo.ErrConnectionLoss)}, true, false, false},
	} {
		if m, u, o := gazoo.MaybeApplied(c.err), gazoo.WasNotSent(c.err), gazoo.SessionLost(c.err); m != c.maybe || u != c.unsent || o != c.over {
			t.Errorf("%v: MaybeApplied %v, WasNotSent %v, SessionLost %v, want %v, %v, %v", c.err, m, u, o, c.maybe, c.unsent, c.over)
		}
	}
}

func TestLostExpiredAndClosedNeverBlur(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", mute(zkproto.OpSetData))
		zk := w.connect("a")
		kinds := []error{gazoo.ErrConnectionLoss, gazoo.ErrSessionExpired, gazoo.ErrSessionPresumed, gazoo.ErrClosed, gazoo.ErrAuthFailed}
		check := func(what string, err, want error) {
			t.Helper()
			for _, kind := range kinds {
				if errors.Is(err, kind) != (kind == want) {
					t.Errorf("%s: %v is %v: %v", what, err, kind, errors.Is(err, kind))
				}
			}
		}
		sent := zk.Async().Set(ctx, "/", nil, 0)
		synctest.Wait()
		tree.Conn(zk.SessionID()).Close()
		check("a dropped connection", second(sent.Wait(ctx)), gazoo.ErrConnectionLoss)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		sent = zk.Async().Set(ctx, "/", nil, 0)
		synctest.Wait()
		zk.CloseNow()
		check("CloseNow with a call in flight", second(sent.Wait(ctx)), gazoo.ErrClosed)
		_, _, err := zk.Get(ctx, "/")
		check("a call on a closed client", err, gazoo.ErrClosed)
		if !gazoo.WasNotSent(err) {
			t.Errorf("a call on a closed client: %v, want not sent", err)
		}
	})
}

func TestSessionMovedCostsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		moved := true
		tree := w.plant("a:2181", func(tr *fakeTree) {
			tr.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op != zkproto.OpSetData || !moved {
					return false
				}
				moved = false
				c.Reply(req.Header.Xid, 1, zkproto.ErrSessionMoved, nil)
				return true
			}
		})
		zk := w.connect("a")
		id := zk.SessionID()
		if _, err := zk.Set(ctx, "/", nil, -1); !errors.Is(err, gazoo.ErrSessionMoved) {
			t.Errorf("Set: %v, want ErrSessionMoved", err)
		}
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if _, err := zk.Set(ctx, "/", nil, -1); err != nil || zk.SessionID() != id {
			t.Errorf("Set on the next connection: %v, session %x, want the same session %x", err, zk.SessionID(), id)
		}
		if tree.Conn(id) == nil {
			t.Error("no connection")
		}
	})
}
