package zkdisk

import (
	"fmt"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// AppendTxn appends the entry of a transaction: header, record, and the digest of the tree
// afterwards unless digest is false or the record is an error, which has none.
func AppendTxn(b []byte, txn *ztree.Txn, digest bool) []byte {
	b = zkproto.AppendInt64(b, txn.Session)
	b = zkproto.AppendInt32(b, txn.Cxid)
	b = zkproto.AppendInt64(b, txn.Zxid)
	b = zkproto.AppendInt64(b, txn.Time)
	b = zkproto.AppendInt32(b, int32(txn.Record.Type))
	b = appendRecord(b, &txn.Record)
	if digest && txn.Record.Type != zkproto.OpError {
		b = zkproto.AppendInt32(b, ztree.DigestVersion)
		b = zkproto.AppendInt64(b, txn.Digest)
	}
	return b
}

func appendRecord(b []byte, rec *ztree.Record) []byte {
	switch rec.Type {
	case zkproto.OpCreate, zkproto.OpCreate2:
		b = appendCreate(b, rec)
		b = zkproto.AppendBool(b, rec.Ephemeral)
		return zkproto.AppendInt32(b, rec.ParentCreates)
	case zkproto.OpCreateContainer:
		return zkproto.AppendInt32(appendCreate(b, rec), rec.ParentCreates)
	case zkproto.OpCreateTTL:
		b = zkproto.AppendInt32(appendCreate(b, rec), rec.ParentCreates)
		return zkproto.AppendInt64(b, rec.TTL)
	case zkproto.OpDelete, zkproto.OpDeleteContainer:
		return zkproto.AppendString(b, rec.Path)
	case zkproto.OpSetData, zkproto.OpReconfig:
		b = zkproto.AppendString(b, rec.Path)
		b = zkproto.AppendBuffer(b, rec.Data)
		return zkproto.AppendInt32(b, rec.Version)
	case zkproto.OpSetACL:
		b = zkproto.AppendString(b, rec.Path)
		b = appendACLs(b, rec.ACL)
		return zkproto.AppendInt32(b, rec.Version)
	case zkproto.OpCheck:
		return zkproto.AppendInt32(zkproto.AppendString(b, rec.Path), rec.Version)
	case zkproto.OpCreateSession:
		return zkproto.AppendInt32(b, rec.Timeout)
	case zkproto.OpCloseSession:
		return zkproto.AppendStrings(b, rec.Paths)
	case zkproto.OpError:
		return zkproto.AppendInt32(b, int32(rec.Code))
	case zkproto.OpMulti:
		b = zkproto.AppendInt32(b, int32(len(rec.Parts)))
		for i := range rec.Parts {
			part := &rec.Parts[i]
			b = zkproto.AppendInt32(b, int32(part.Type))
			// A buffer is a length and bytes, as a frame is.
			var mark int
			b, mark = zkproto.BeginFrame(b)
			b = zkproto.EndFrame(appendRecord(b, part), mark)
		}
		return b
	}
	panic(fmt.Sprintf("zkdisk: a transaction of type %v cannot be stored", rec.Type))
}

func appendCreate(b []byte, rec *ztree.Record) []byte {
	b = zkproto.AppendString(b, rec.Path)
	b = zkproto.AppendBuffer(b, rec.Data)
	return appendACLs(b, rec.ACL)
}

func appendACLs(b []byte, acl []zkproto.ACL) []byte {
	b = zkproto.AppendInt32(b, int32(len(acl)))
	for _, a := range acl {
		b = a.AppendTo(b)
	}
	return b
}

// minACL is the size of an entry with empty strings.
const minACL = 12

func readACLs(r *zkproto.Reader) []zkproto.ACL {
	n := int(r.Int32())
	if n == -1 { // null
		return nil
	}
	if n < 0 || n > r.Len()/minACL {
		r.Fail(zkproto.ErrCorrupt)
		return nil
	}
	acl := make([]zkproto.ACL, n)
	for i := range acl {
		acl[i].Decode(r)
	}
	return acl
}

// Entry is a decoded entry of a log.
type Entry struct {
	Txn           ztree.Txn
	DigestVersion int32 // 0: the entry has no digest

	// Offset and End are where the entry's record lies in the file.
	Offset, End int64

	// flush is where in the file the flush began that wrote the entry; -1 when it does not say.
	flush int64
}

const (
	digestSize = 12
	flushSize  = 8
)

// DecodeTxn fills e from the bytes of an entry. Old forms are understood: creates without the
// parent's counter, ends of sessions without paths, entries without a digest. What follows the
// digest is ignored.
func DecodeTxn(e *Entry, b []byte) error {
	r := zkproto.NewReader(b)
	*e = Entry{flush: -1}
	txn := &e.Txn
	txn.Session = r.Int64()
	txn.Cxid = r.Int32()
	txn.Zxid = r.Int64()
	txn.Time = r.Int64()
	txn.Record.Type = zkproto.OpCode(r.Int32())
	if r.Err() == nil {
		readRecord(&r, &txn.Record, false)
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("transaction 0x%x of type %v: %w", uint64(txn.Zxid), txn.Record.Type, err)
	}
	if r.Len() >= digestSize {
		e.DigestVersion = r.Int32()
		txn.Digest = r.Int64()
	}
	if r.Len() == flushSize {
		e.flush = r.Int64()
	}
	return nil
}

func readRecord(r *zkproto.Reader, rec *ztree.Record, inMulti bool) {
	switch rec.Type {
	case zkproto.OpCreate, zkproto.OpCreate2:
		readCreate(r, rec)
		rec.Ephemeral = r.Bool()
		rec.ParentCreates = -1
		if r.Len() >= 4 {
			rec.ParentCreates = r.Int32()
		}
	case zkproto.OpCreateContainer:
		readCreate(r, rec)
		rec.ParentCreates = r.Int32()
	case zkproto.OpCreateTTL:
		readCreate(r, rec)
		rec.ParentCreates = r.Int32()
		rec.TTL = r.Int64()
	case zkproto.OpDelete, zkproto.OpDeleteContainer:
		rec.Path = r.String()
	case zkproto.OpSetData, zkproto.OpReconfig:
		rec.Path = r.String()
		rec.Data = r.Buffer()
		rec.Version = r.Int32()
	case zkproto.OpSetACL:
		rec.Path = r.String()
		rec.ACL = readACLs(r)
		rec.Version = r.Int32()
	case zkproto.OpCheck:
		rec.Path = r.String()
		rec.Version = r.Int32()
	case zkproto.OpCreateSession:
		rec.Timeout = r.Int32()
	case zkproto.OpCloseSession:
		readCloseSession(r, rec)
	case zkproto.OpError:
		rec.Code = zkproto.Code(r.Int32())
	case zkproto.OpMulti:
		if inMulti {
			r.Fail(zkproto.ErrCorrupt)
			return
		}
		readMulti(r, rec)
	default:
		r.Fail(fmt.Errorf("unknown type %d: %w", int32(rec.Type), zkproto.ErrCorrupt))
	}
}

func readCreate(r *zkproto.Reader, rec *ztree.Record) {
	rec.Path = r.String()
	rec.Data = r.Buffer()
	rec.ACL = readACLs(r)
}

// readCloseSession tells the paths from the digest that follows at once where there are none:
// as paths it would be two of them, which together have at least two characters.
func readCloseSession(r *zkproto.Reader, rec *ztree.Record) {
	if r.Len() == 0 {
		return
	}
	if r.Len() == digestSize {
		ahead := *r
		if ahead.Int32() == ztree.DigestVersion {
			return
		}
	}
	rec.Paths = r.Strings()
}

func readMulti(r *zkproto.Reader, rec *ztree.Record) {
	n := int(r.Int32())
	if n < 0 || n > r.Len()/8 {
		r.Fail(zkproto.ErrCorrupt)
		return
	}
	for range n {
		part := ztree.Record{Type: zkproto.OpCode(r.Int32())}
		inner := zkproto.NewReader(r.RawBuffer())
		if r.Err() != nil {
			return
		}
		readRecord(&inner, &part, true)
		if err := inner.Err(); err != nil {
			r.Fail(err)
			return
		}
		rec.Parts = append(rec.Parts, part)
	}
}
