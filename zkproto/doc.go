// Package zkproto holds the records, codes and frames of the ZooKeeper client
// protocol.
//
// It is pure: functions over byte slices and io.Reader, without goroutines,
// clocks, logs or connections. Every record knows both directions, so that a
// client, a server and a packet dump can share it: AppendTo appends the wire
// form to a slice and returns the longer slice, Decode fills the record from a
// [Reader]. Neither writes nor expects the frame length or the headers, which
// are records of their own ([RequestHeader], [ReplyHeader], [BeginFrame]).
//
//	b, mark := zkproto.BeginFrame(nil)
//	b = zkproto.RequestHeader{Xid: 1, Op: zkproto.OpGetData}.AppendTo(b)
//	b = zkproto.PathWatchRequest{Path: "/app"}.AppendTo(b)
//	b = zkproto.EndFrame(b, mark)
//
// Decoded values never alias the input, except those of [Reader.RawBuffer].
// Unknown codes, opcodes, event types and modes keep their number. Whether
// bytes may follow a record is the caller's decision: a client refuses them
// with [Reader.Done], a server ignores them because Apache ZooKeeper does.
//
// What the two null forms mean is kept where anybody can tell the difference:
// a nil []byte is the null buffer and an empty one is the empty buffer. A null
// string decodes as "", and requests whose server treats a null path specially
// carry a NullPath field.
package zkproto
