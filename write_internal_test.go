package gazoo

import (
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestSentLog(t *testing.T) {
	var g sentLog
	if _, ok := g.at(0); ok {
		t.Error("an empty log knows when byte 0 left")
	}
	// A part for each 10 bytes, and an answer for each that is two parts behind: the log must not grow.
	for i := range int64(1000) {
		g.add(sentPart{10 * (i + 1), stamp{mono: i}})
		if i < 2 {
			continue
		}
		for _, off := range []int64{10 * (i - 2), 10*(i-2) + 9} {
			if at, ok := g.at(off); !ok || at.mono != i-2 {
				t.Fatalf("byte %d left at %v, %v; want %d", off, at.mono, ok, i-2)
			}
		}
	}
	if len(g.parts) > 100 {
		t.Errorf("the log holds %d parts, of which 3 are needed", len(g.parts))
	}
	if at, ok := g.at(9_999); !ok || at.mono != 999 {
		t.Errorf("the last byte left at %v, %v; want 999", at.mono, ok)
	}
	if _, ok := g.at(10_000); ok {
		t.Error("a byte that was not handed over has left")
	}
}

// While the reader gathers, nobody else writes; when it does not, one does.
func TestClaim(t *testing.T) {
	for _, c := range []struct {
		name               string
		out                string
		writing, gathering bool
		want               bool
	}{
		{name: "nothing to write"},
		{name: "a request", out: "x", want: true},
		{name: "somebody writes", out: "x", writing: true},
		{name: "the reader will", out: "x", gathering: true},
	} {
		l := &link{out: []byte(c.out), writing: c.writing, gathering: c.gathering}
		if got := l.claim(); got != c.want || l.writing != (c.writing || c.want) {
			t.Errorf("%s: claim() = %v, writing %v; want %v", c.name, got, l.writing, c.want)
		}
	}
}

// The answer to an auth packet may overtake. It must not make what was sent before look younger: the session's proof of
// life would come too late.
func TestAnswerThatOvertakesKeepsTheTimes(t *testing.T) {
	c := newCore(defaults())
	s, l := &c.send, &link{core: c, features: &featureSet{}}
	s.link = l
	send := func(op zkproto.OpCode, xid int32) stamp {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.injectLocked(c.newCall(op, "test", "/"), xid)
		l.handOver()
		return l.sent.parts[len(l.sent.parts)-1].at
	}
	early := send(zkproto.OpGetData, 0)
	l.sent.parts[0].at.mono -= 1000
	early.mono -= 1000
	send(zkproto.OpAuth, zkproto.XidAuth)
	if _, _, err := l.take(zkproto.ReplyHeader{Xid: zkproto.XidAuth}); err != nil {
		t.Fatal(err)
	}
	if _, sent, err := l.take(zkproto.ReplyHeader{Xid: 1}); err != nil || sent != early {
		t.Errorf("the request before was sent at %v, %v; want %v", sent, err, early)
	}
}
