package zkproto_test

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// A record is what every record of the package is, seen through a pointer.
type record interface {
	AppendTo(b []byte) []byte
	Decode(r *zkproto.Reader)
}

// unhex reads hexadecimal digits; blanks and line ends between them are free.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("bad hex in test: %v", err)
	}
	return b
}

// fresh returns a new zero record of the same type.
func fresh(rec record) record {
	return reflect.New(reflect.TypeOf(rec).Elem()).Interface().(record)
}

const (
	statHex = `0000000000000002 0000000000000003 0000018bcfe56800 0000018bcfe56801
		00000001 00000004 ffffffff 0100000f268f0016 00000005 00000002 0000000000000009`
	worldHex = `0000001f 00000005 776f726c64 00000006 616e796f6e65` // all:world:anyone
)

var (
	stat = zkproto.Stat{
		Czxid: 2, Mzxid: 3, Ctime: 1700000000000, Mtime: 1700000000001, Version: 1, Cversion: 4, Aversion: -1,
		EphemeralOwner: 0x0100000f268f0016, DataLength: 5, NumChildren: 2, Pzxid: 9,
	}
	world = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}
)

// golden holds each record in the bytes that servers and clients exchange,
// written by hand from the protocol.
var golden = []struct {
	name string
	rec  record
	hex  string
}{
	{"request header", &zkproto.RequestHeader{Xid: 7, Op: zkproto.OpGetData}, "00000007 00000004"},
	{"ping header", &zkproto.RequestHeader{Xid: zkproto.XidPing, Op: zkproto.OpPing}, "fffffffe 0000000b"},
	{"close header", &zkproto.RequestHeader{Xid: 8, Op: zkproto.OpCloseSession}, "00000008 fffffff5"},
	{"reply header", &zkproto.ReplyHeader{Xid: 7, Zxid: 0x1_0000_0002, Err: zkproto.ErrNoNode}, "00000007 0000000100000002 ffffff9b"},

	{
		"connect request", &zkproto.ConnectRequest{LastZxidSeen: 5, TimeoutMS: 10000, SessionID: 0x0100000000000001, Password: []byte("0123456789abcdef"), HasReadOnly: true},
		"00000000 0000000000000005 00002710 0100000000000001 00000010 30313233343536373839616263646566 00",
	},
	{
		"connect request of an old client", &zkproto.ConnectRequest{TimeoutMS: 4000, Password: make([]byte, 16)},
		"00000000 0000000000000000 00000fa0 0000000000000000 00000010 00000000000000000000000000000000",
	},
	{
		"connect response", &zkproto.ConnectResponse{TimeoutMS: 10000, SessionID: 0x0100000000000001, Password: []byte("0123456789abcdef"), ReadOnly: true, HasReadOnly: true},
		"00000000 00002710 0100000000000001 00000010 30313233343536373839616263646566 01",
	},
	{
		"refusal without read-only byte", &zkproto.ConnectResponse{Password: make([]byte, 16)},
		"00000000 00000000 0000000000000000 00000010 00000000000000000000000000000000",
	},

	{"stat", &stat, statHex},
	{"acl", &zkproto.ACL{Perms: 1, Scheme: "ip", ID: "::1"}, "00000001 00000002 6970 00000003 3a3a31"},

	{
		"create", &zkproto.CreateRequest{Path: "/a", Data: []byte("v"), ACL: world, Mode: zkproto.ModeEphemeralSequential},
		"00000002 2f61 00000001 76 00000001" + worldHex + "00000003",
	},
	{
		"create of null data", &zkproto.CreateRequest{Path: "/a", ACL: []zkproto.ACL{}},
		"00000002 2f61 ffffffff 00000000 00000000",
	},
	{
		"create of empty data under a null path", &zkproto.CreateRequest{NullPath: true, Data: []byte{}, ACL: world},
		"ffffffff 00000000 00000001" + worldHex + "00000000",
	},
	{"create response", &zkproto.CreateResponse{Path: "/a0000000001"}, "0000000c 2f6130303030303030303031"},
	{"create2 response", &zkproto.Create2Response{Path: "/a", Stat: stat}, "00000002 2f61" + statHex},
	{
		"create with ttl", &zkproto.CreateTTLRequest{Path: "/a", Data: []byte{}, ACL: world, Mode: zkproto.ModePersistentTTL, TTL: zkproto.MaxTTL},
		"00000002 2f61 00000000 00000001" + worldHex + "00000005 000000ffffffffff",
	},
	{"delete", &zkproto.DeleteRequest{Path: "/a", Version: -1}, "00000002 2f61 ffffffff"},
	{"delete of a null path", &zkproto.DeleteRequest{NullPath: true, Version: 3}, "ffffffff 00000003"},

	{"read with watch", &zkproto.PathWatchRequest{Path: "/a", Watch: true}, "00000002 2f61 01"},
	{"read of the empty path", &zkproto.PathWatchRequest{}, "00000000 00"},
	{"read of a null path", &zkproto.PathWatchRequest{NullPath: true}, "ffffffff 00"},
	{"path", &zkproto.PathRequest{Path: "/"}, "00000001 2f"},
	{"null path", &zkproto.PathRequest{NullPath: true}, "ffffffff"},
	{"stat response", &zkproto.StatResponse{Stat: stat}, statHex},
	{"data", &zkproto.GetDataResponse{Data: []byte("hello"), Stat: stat}, "00000005 68656c6c6f" + statHex},
	{"null data", &zkproto.GetDataResponse{Stat: stat}, "ffffffff" + statHex},
	{"empty data", &zkproto.GetDataResponse{Data: []byte{}, Stat: stat}, "00000000" + statHex},
	{"set data", &zkproto.SetDataRequest{Path: "/a", Data: []byte("v"), Version: 2}, "00000002 2f61 00000001 76 00000002"},
	{"sync response", &zkproto.SyncResponse{Path: "/a"}, "00000002 2f61"},
	{"sync response of null", &zkproto.SyncResponse{NullPath: true}, "ffffffff"},
	{"check", &zkproto.CheckVersionRequest{Path: "/a", Version: 7}, "00000002 2f61 00000007"},

	{"children", &zkproto.ChildrenResponse{Children: []string{"a", "", "bc"}}, "00000003 00000001 61 00000000 00000002 6263"},
	{"no children", &zkproto.ChildrenResponse{Children: []string{}}, "00000000"},
	{"children with stat", &zkproto.Children2Response{Children: []string{"a"}, Stat: stat}, "00000001 00000001 61" + statHex},
	{"ephemerals", &zkproto.EphemeralsResponse{Paths: []string{"/a"}}, "00000001 00000002 2f61"},
	{"descendants", &zkproto.AllChildrenNumberResponse{Count: 3}, "00000003"},

	{"get acl response", &zkproto.GetACLResponse{ACL: world, Stat: stat}, "00000001" + worldHex + statHex},
	{"set acl", &zkproto.SetACLRequest{Path: "/a", ACL: world, Version: -1}, "00000002 2f61 00000001" + worldHex + "ffffffff"},
	{"auth", &zkproto.AuthRequest{Scheme: "digest", Auth: []byte("bob:pw")}, "00000000 00000006 646967657374 00000006 626f623a7077"},
	{"sasl", &zkproto.SASLRequest{Token: []byte{}}, "00000000"},
	{"sasl response without token", &zkproto.SASLResponse{}, "ffffffff"},
	{"who am i", &zkproto.WhoAmIResponse{Clients: []zkproto.ClientInfo{{Scheme: "ip", User: "::1"}}}, "00000001 00000002 6970 00000003 3a3a31"},

	{"event", &zkproto.WatcherEvent{Type: zkproto.EventDataChanged, State: zkproto.StateSyncConnected, Path: "/a"}, "00000003 00000003 00000002 2f61"},
	{"add watch", &zkproto.AddWatchRequest{Path: "/a", Mode: zkproto.WatchPersistentRecursive}, "00000002 2f61 00000001"},
	{"add watch response", &zkproto.AddWatchResponse{}, "00000000"},
	{"check watches", &zkproto.CheckWatchesRequest{Path: "/a", Type: zkproto.WatcherAny}, "00000002 2f61 00000003"},
	{"remove watches", &zkproto.RemoveWatchesRequest{Path: "/a", Type: zkproto.WatcherData}, "00000002 2f61 00000002"},
	{
		"set watches", &zkproto.SetWatchesRequest{RelativeZxid: 9, Data: []string{"/a"}, Exist: []string{}, Child: []string{"/b", "/c"}},
		"0000000000000009 00000001 00000002 2f61 00000000 00000002 00000002 2f62 00000002 2f63",
	},
	{
		"set watches 2", &zkproto.SetWatches2Request{RelativeZxid: 9, Data: []string{}, Exist: []string{}, Child: []string{}, Persistent: []string{"/a"}, PersistentRecursive: []string{"/b"}},
		"0000000000000009 00000000 00000000 00000000 00000001 00000002 2f61 00000001 00000002 2f62",
	},
	{"reconfig", &zkproto.ReconfigRequest{Leaving: "3", ConfigID: -1}, "ffffffff 00000001 33 ffffffff ffffffffffffffff"},

	{
		"multi", &zkproto.MultiRequest{Ops: []zkproto.MultiOp{
			{Op: zkproto.OpCheck, Path: "/a", Version: 3},
			{Op: zkproto.OpCreate, Path: "/b", Data: []byte("v"), ACL: world},
			{Op: zkproto.OpCreateTTL, Path: "/t", ACL: world, Mode: zkproto.ModePersistentTTL, TTL: 1000},
			{Op: zkproto.OpSetData, Path: "/c", Data: []byte{}, Version: -1},
			{Op: zkproto.OpDelete, Path: "/d", Version: -1},
		}},
		`0000000d 00 ffffffff 00000002 2f61 00000003
		 00000001 00 ffffffff 00000002 2f62 00000001 76 00000001` + worldHex + `00000000
		 00000015 00 ffffffff 00000002 2f74 ffffffff 00000001` + worldHex + `00000005 00000000000003e8
		 00000005 00 ffffffff 00000002 2f63 00000000 ffffffff
		 00000002 00 ffffffff 00000002 2f64 ffffffff
		 ffffffff 01 ffffffff`,
	},
	{
		"multi read", &zkproto.MultiRequest{Ops: []zkproto.MultiOp{{Op: zkproto.OpGetData, Path: "/a", Watch: true}, {Op: zkproto.OpGetChildren, NullPath: true}}},
		"00000004 00 ffffffff 00000002 2f61 01 00000008 00 ffffffff ffffffff 00 ffffffff 01 ffffffff",
	},
	{"empty multi", &zkproto.MultiRequest{}, "ffffffff 01 ffffffff"},
	{
		"multi response", &zkproto.MultiResponse{Results: []zkproto.MultiResult{
			{Op: zkproto.OpCheck},
			{Op: zkproto.OpCreate, Path: "/b"},
			{Op: zkproto.OpCreate2, Path: "/b", Stat: stat, HasStat: true},
			{Op: zkproto.OpSetData, Stat: stat, HasStat: true},
			{Op: zkproto.OpDelete},
		}},
		`0000000d 00 00000000
		 00000001 00 00000000 00000002 2f62
		 0000000f 00 00000000 00000002 2f62` + statHex + `
		 00000005 00 00000000` + statHex + `
		 00000002 00 00000000
		 ffffffff 01 ffffffff`,
	},
	{
		"failed multi", &zkproto.MultiResponse{Results: []zkproto.MultiResult{
			{Op: zkproto.OpError, Err: zkproto.OK},
			{Op: zkproto.OpError, Err: zkproto.ErrNodeExists},
			{Op: zkproto.OpError, Err: zkproto.ErrRuntimeInconsistency},
		}},
		`ffffffff 00 00000000 00000000
		 ffffffff 00 ffffff92 ffffff92
		 ffffffff 00 fffffffe fffffffe
		 ffffffff 01 ffffffff`,
	},
	{
		"multi read response", &zkproto.MultiResponse{Results: []zkproto.MultiResult{
			{Op: zkproto.OpGetData, Data: []byte("v"), Stat: stat, HasStat: true},
			{Op: zkproto.OpGetChildren, Children: []string{"x"}},
			{Op: zkproto.OpError, Err: zkproto.ErrNoNode},
		}},
		`00000004 00 00000000 00000001 76` + statHex + `
		 00000008 00 00000000 00000001 00000001 78
		 ffffffff 00 ffffff9b ffffff9b
		 ffffffff 01 ffffffff`,
	},
}

func TestRecordsMatchTheWire(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.hex)
			prefix := []byte("prefix")
			if got := tt.rec.AppendTo(prefix); !bytes.Equal(got[len(prefix):], wire) {
				t.Errorf("AppendTo:\n got %x\nwant %x", got[len(prefix):], wire)
			}
			got := fresh(tt.rec)
			r := zkproto.NewReader(wire)
			got.Decode(&r)
			if err := r.Done(); err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if !reflect.DeepEqual(got, tt.rec) {
				t.Errorf("Decode:\n got %+v\nwant %+v", got, tt.rec)
			}
		})
	}
}

// endsWithReadOnly reports whether the last byte of rec is the optional one of
// the connect records.
func endsWithReadOnly(rec record) bool {
	switch rec := rec.(type) {
	case *zkproto.ConnectRequest:
		return rec.HasReadOnly
	case *zkproto.ConnectResponse:
		return rec.HasReadOnly
	}
	return false
}

// A record cut short anywhere is refused, never read as something shorter.
func TestRecordsCutShortAreRefused(t *testing.T) {
	for _, tt := range golden {
		wire := unhex(t, tt.hex)
		for n := range wire {
			if n == len(wire)-1 && endsWithReadOnly(tt.rec) {
				continue
			}
			rec := fresh(tt.rec)
			r := zkproto.NewReader(wire[:n:n])
			rec.Decode(&r)
			if r.Err() == nil {
				t.Errorf("%s: %d of %d bytes decoded without an error", tt.name, n, len(wire))
			}
		}
	}
}

// A decoded record must survive the reuse of the buffer it came from.
func TestRecordsDoNotAliasTheInput(t *testing.T) {
	for _, tt := range golden {
		wire := unhex(t, tt.hex)
		got := fresh(tt.rec)
		r := zkproto.NewReader(wire)
		got.Decode(&r)
		for i := range wire {
			wire[i] ^= 0xff
		}
		if !reflect.DeepEqual(got, tt.rec) {
			t.Errorf("%s changed with its input: %+v", tt.name, got)
		}
	}
}

func TestConnectRecordsIgnoreWhatFollows(t *testing.T) {
	for _, tt := range golden {
		if !endsWithReadOnly(tt.rec) {
			continue
		}
		wire := append(unhex(t, tt.hex), 1, 2, 3)
		got := fresh(tt.rec)
		r := zkproto.NewReader(wire)
		got.Decode(&r)
		if err := r.Done(); err != nil || !reflect.DeepEqual(got, tt.rec) {
			t.Errorf("%s with three more bytes: %+v, %v", tt.name, got, err)
		}
	}
}

func TestNullsDecodeAsDocumented(t *testing.T) {
	r := zkproto.NewReader(unhex(t, "00000001 ffffffff ffffffff"))
	a := zkproto.ACL{Scheme: "old", ID: "old"}
	a.Decode(&r)
	if want := (zkproto.ACL{Perms: 1}); r.Done() != nil || a != want {
		t.Errorf("ACL of null strings = %+v, %v, want %+v", a, r.Done(), want)
	}
	var w zkproto.SetWatchesRequest
	r.Reset(unhex(t, "0000000000000001 ffffffff 00000000 ffffffff"))
	w.Decode(&r)
	if r.Done() != nil || w.Data != nil || w.Exist == nil || w.Child != nil {
		t.Errorf("null, empty, null vectors = %+v, %v", w, r.Done())
	}
	if got := (zkproto.SetWatchesRequest{RelativeZxid: 1}).AppendTo(nil); !bytes.Equal(got, unhex(t, "0000000000000001 00000000 00000000 00000000")) {
		t.Errorf("nil lists went out as %x, servers refuse null vectors", got)
	}
}

func TestSessionPasswordIsTheOneApacheDerives(t *testing.T) {
	for id, want := range map[int64]string{
		0x0100000f268f0016: "b7c4044ad52aed2b7022861b6a8e5943",
		0x0100000000000001: "054cc74a37327db215e702e20c73f005",
	} {
		if got := zkproto.SessionPassword(id); hex.EncodeToString(got[:]) != want {
			t.Errorf("SessionPassword(%#x) = %x, want %s", id, got, want)
		}
	}
}
