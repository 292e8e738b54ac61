package zkdisk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestMain(m *testing.M) { leak.Main(m) }

// unhex reads hexadecimal text with spaces, line ends and "text" in quotes.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

var open = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}

const openHex = `00000001 0000001f 00000005 "world" 00000006 "anyone"`

// records are all kinds of records with the bytes that the format prescribes.
var records = []struct {
	name string
	rec  ztree.Record
	hex  string
}{
	{
		"create",
		ztree.Record{Type: zkproto.OpCreate, Path: "/a", Data: []byte("xy"), ACL: open, Ephemeral: true, ParentCreates: 7},
		`00000001 00000002 "/a" 00000002 "xy" ` + openHex + ` 01 00000007`,
	},
	{
		"create2 of null data",
		ztree.Record{Type: zkproto.OpCreate2, Path: "/a", ACL: open, ParentCreates: 1},
		`0000000f 00000002 "/a" ffffffff ` + openHex + ` 00 00000001`,
	},
	{
		"createContainer",
		ztree.Record{Type: zkproto.OpCreateContainer, Path: "/c", Data: []byte{}, ACL: open, ParentCreates: 2},
		`00000013 00000002 "/c" 00000000 ` + openHex + ` 00000002`,
	},
	{
		"createTTL",
		ztree.Record{Type: zkproto.OpCreateTTL, Path: "/t", Data: []byte{}, ACL: open, ParentCreates: 2, TTL: 1000},
		`00000015 00000002 "/t" 00000000 ` + openHex + ` 00000002 00000000000003e8`,
	},
	{"delete", ztree.Record{Type: zkproto.OpDelete, Path: "/a"}, `00000002 00000002 "/a"`},
	{"deleteContainer", ztree.Record{Type: zkproto.OpDeleteContainer, Path: "/a"}, `00000014 00000002 "/a"`},
	{"setData", ztree.Record{Type: zkproto.OpSetData, Path: "/a", Data: []byte("z"), Version: 3}, `00000005 00000002 "/a" 00000001 "z" 00000003`},
	{"reconfig", ztree.Record{Type: zkproto.OpReconfig, Path: "/a", Version: 3}, `00000010 00000002 "/a" ffffffff 00000003`},
	{"setACL", ztree.Record{Type: zkproto.OpSetACL, Path: "/a", ACL: open, Version: 4}, `00000007 00000002 "/a" ` + openHex + ` 00000004`},
	{"createSession", ztree.Record{Type: zkproto.OpCreateSession, Timeout: 10000}, `fffffff6 00002710`},
	{"closeSession", ztree.Record{Type: zkproto.OpCloseSession, Paths: []string{"/a", "/b"}}, `fffffff5 00000002 00000002 "/a" 00000002 "/b"`},
	{"multi", ztree.Record{Type: zkproto.OpMulti, Parts: []ztree.Record{
		{Type: zkproto.OpDelete, Path: "/a"}, {Type: zkproto.OpCheck, Path: "/b", Version: 9},
	}}, `0000000e 00000002 00000002 00000006 00000002 "/a" 0000000d 0000000a 00000002 "/b" 00000009`},
	{
		"failed multi",
		ztree.Record{Type: zkproto.OpMulti, Parts: []ztree.Record{{Type: zkproto.OpError, Code: zkproto.ErrNoNode}}},
		`0000000e 00000001 ffffffff 00000004 ffffff9b`,
	},
	{"error", ztree.Record{Type: zkproto.OpError, Code: zkproto.ErrNoNode}, `ffffffff ffffff9b`},
}

const (
	txnHeadHex = `0000000000001234 00000005 0000000200000009 0000018bcfe56800`
	digestHex  = `00000002 000000000badcafe`
)

func txnOf(rec ztree.Record) ztree.Txn {
	return ztree.Txn{Session: 0x1234, Cxid: 5, Zxid: 0x200000009, Time: 1_700_000_000_000, Digest: 0xbadcafe, Record: rec}
}

func TestEntriesHaveApachesBytes(t *testing.T) {
	for _, c := range records {
		t.Run(c.name, func(t *testing.T) {
			txn := txnOf(c.rec)
			want := unhex(t, txnHeadHex+c.hex+digestHex)
			if c.rec.Type == zkproto.OpError {
				want, txn.Digest = unhex(t, txnHeadHex+c.hex), 0
			}
			got := AppendTxn(nil, &txn, true)
			if !bytes.Equal(got, want) {
				t.Fatalf("AppendTxn:\n got %x\nwant %x", got, want)
			}
			var e Entry
			if err := DecodeTxn(&e, want); err != nil || !reflect.DeepEqual(e.Txn, txn) {
				t.Fatalf("DecodeTxn = %+v, %v, want %+v", e.Txn, err, txn)
			}
			// The last number of a create may be missing, and all of a closeSession, in old logs.
			for n := range len(want) - digestSize - 4 {
				oldForm := c.rec.Type == zkproto.OpCloseSession && n == minEntry
				if err := DecodeTxn(&e, want[:n]); (err == nil) != oldForm {
					t.Errorf("DecodeTxn of the first %d of %d bytes: %v", n, len(want), err)
				}
			}
		})
	}
}

func TestOldEntriesAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      ztree.Record
		digest    int32
	}{
		{
			"create without the parent's counter", `00000001 00000002 "/a" ffffffff 00000000 00`,
			ztree.Record{Type: zkproto.OpCreate, Path: "/a", ACL: []zkproto.ACL{}, ParentCreates: -1},
			0,
		},
		{"closeSession without paths", `fffffff5`, ztree.Record{Type: zkproto.OpCloseSession}, 0},
		{"closeSession without paths, with a digest", `fffffff5` + digestHex, ztree.Record{Type: zkproto.OpCloseSession}, 2},
		{"closeSession without a digest", `fffffff5 00000001 00000002 "/a"`, ztree.Record{Type: zkproto.OpCloseSession, Paths: []string{"/a"}}, 0},
		{"delete without a digest", `00000002 00000002 "/a"`, ztree.Record{Type: zkproto.OpDelete, Path: "/a"}, 0},
		{"null ACL", `00000007 00000002 "/a" ffffffff 00000001`, ztree.Record{Type: zkproto.OpSetACL, Path: "/a", Version: 1}, 0},
	} {
		var e Entry
		err := DecodeTxn(&e, unhex(t, txnHeadHex+c.hex))
		if err != nil || !reflect.DeepEqual(e.Txn.Record, c.want) || e.DigestVersion != c.digest {
			t.Errorf("%s: %+v, digest version %d, %v", c.name, e.Txn.Record, e.DigestVersion, err)
		}
	}
}

func TestLogHasApachesBytes(t *testing.T) {
	txn := txnOf(ztree.Record{Type: zkproto.OpError, Code: zkproto.ErrNoNode})
	txn.Digest = 0
	got := AppendRecord(AppendLogHeader(nil), &txn, true)
	// The checksum was computed with zlib.
	want := unhex(t, `"ZKLG" 00000002 0000000000000000 00000000 4b940a93 00000024 `+txnHeadHex+`ffffffff ffffff9b "B"`)
	if !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
	for _, padding := range []int{0, 1, 5, 100_000} {
		l := NewLogReader(bytes.NewReader(append(bytes.Clone(want), make([]byte, padding)...)), int64(len(want)+padding))
		e, err := l.Next()
		if err != nil || !reflect.DeepEqual(e.Txn, txn) || e.Offset != headerSize || e.End != int64(len(want)) {
			t.Errorf("Next() = %+v, %v", e, err)
		}
		if _, err := l.Next(); err != io.EOF {
			t.Errorf("Next() behind the last record, with %d zeros = %v, want EOF", padding, err)
		}
	}
}

const (
	snapHex = `"ZKSN" 00000002 ffffffffffffffff
		00000001 0000000000001234 00002710
		00000001 0000000000000003 00000001 00000001 00000002 "ip" 00000008 "10.0.0.1"
		00000000 00000000 ffffffffffffffff` + zeros + `
		00000002 "/a" 00000001 "x" 0000000000000003
		0000000000000005 0000000000000006 0000000000000007 0000000000000008
		00000001 00000002 00000003 0000000000001234 0000000000000009
		00000001 "/"`
	zeros    = `0000000000000000000000000000000000000000000000000000000000000000 000000000000000000000000 00000000000000000000000000000000`
	sealHex  = `00000000e30015c9 00000001 "/"`
	snapDig  = `0000000000000009 00000002 000000000badcafe`
	seal2Hex = `00000000ebab1a45 00000001 "/"`
	lastZxid = `000000000000000a`
	seal3Hex = `0000000034d31c74 00000001 "/"`
)

var (
	snapHead = SnapshotHead{
		Sessions: map[int64]int32{0x1234: 10000},
		ACLs:     map[int64][]zkproto.ACL{3: {{Perms: zkproto.PermRead, Scheme: "ip", ID: "10.0.0.1"}}},
	}
	snapNodes = []ztree.NodeRecord{
		{Data: []byte{}, ACLKey: -1},
		{Path: "/a", Data: []byte("x"), ACLKey: 3, Czxid: 5, Mzxid: 6, Ctime: 7, Mtime: 8, Version: 1, Creates: 2, Aversion: 3, Owner: 0x1234, Pzxid: 9},
	}
)

func TestSnapshotHasApachesBytes(t *testing.T) {
	for digest, want := range map[*Digest][]byte{
		nil:                                      unhex(t, snapHex+sealHex),
		{Zxid: 9, Version: 2, Digest: 0xbadcafe}: unhex(t, snapHex+sealHex+snapDig+seal2Hex),
	} {
		var buf bytes.Buffer
		w := NewSnapshotWriter(&buf, snapHead)
		for _, n := range snapNodes {
			w.Write(n)
		}
		if err := w.Finish(digest); err != nil || !bytes.Equal(buf.Bytes(), want) {
			t.Errorf("Finish(%v) = %v\n got %x\nwant %x", digest, err, buf.Bytes(), want)
		}
	}
}

// readSnapshot reads all of a snapshot.
func readSnapshot(b []byte) (*SnapshotReader, []ztree.NodeRecord, error) {
	r, err := NewSnapshotReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	var nodes []ztree.NodeRecord
	for {
		n, err := r.Next()
		if err == io.EOF {
			return r, nodes, nil
		}
		if err != nil {
			return r, nodes, err
		}
		nodes = append(nodes, n)
	}
}

func TestSnapshotsOfAllVersionsAreRead(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		digest    bool
		zxid      bool
	}{
		{"3.5", snapHex + sealHex, false, false},
		{"3.6", snapHex + sealHex + snapDig + seal2Hex, true, false},
		{"3.9", snapHex + sealHex + snapDig + seal2Hex + lastZxid + seal3Hex, true, true},
		{"3.9 without digest", snapHex + sealHex + lastZxid + `00000000c9a217c4 00000001 "/"`, false, true},
	} {
		b := unhex(t, c.hex)
		r, nodes, err := readSnapshot(b)
		if err != nil || !reflect.DeepEqual(nodes, snapNodes) || !reflect.DeepEqual(r.SnapshotHead, snapHead) {
			t.Errorf("%s: %+v, %v", c.name, nodes, err)
			continue
		}
		if (r.Digest != nil) != c.digest || c.digest && *r.Digest != (Digest{9, 2, 0xbadcafe}) {
			t.Errorf("%s: digest %v", c.name, r.Digest)
		}
		if (r.LastZxid != nil) != c.zxid || c.zxid && *r.LastZxid != 10 {
			t.Errorf("%s: last zxid %v", c.name, r.LastZxid)
		}
		// Whatever byte is changed, it is noticed; but for the database id, which nobody reads,
		// the checksum finds that too.
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 0x41
			if _, _, err := readSnapshot(bad); err == nil {
				t.Errorf("%s: a change of byte %d of %d is not noticed", c.name, i, len(b))
			}
		}
		whole := map[int]bool{len(b): true, len(unhex(t, snapHex+sealHex)): true, len(unhex(t, snapHex+sealHex+snapDig+seal2Hex)): c.digest}
		for n := range len(b) {
			_, _, err := readSnapshot(b[:n])
			if d, damaged := errors.AsType[*DamageError](err); damaged == whole[n] || damaged && d.Offset > int64(n) {
				t.Errorf("%s: the first %d of %d bytes: %v", c.name, n, len(b), err)
			}
		}
	}
}
