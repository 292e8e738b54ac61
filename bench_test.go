package gazoo_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// cannedServer answers every request with the same reply and allocates nothing while doing
// so, so that ReportAllocs shows the client alone.
func cannedServer(b testing.TB, body []byte) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	b.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serveCanned(nc, body) })
		}
	})
	return ln.Addr().String()
}

func serveCanned(nc net.Conn, body []byte) {
	defer nc.Close()
	r := bufio.NewReaderSize(nc, 256<<10)
	out := make([]byte, 0, 512<<10)
	frame := make([]byte, 64<<10)
	first := true
	for {
		if _, err := io.ReadFull(r, frame[:4]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(frame))
		if _, err := io.ReadFull(r, frame[:n]); err != nil {
			return
		}
		var mark int
		out, mark = zkproto.BeginFrame(out)
		op := zkproto.OpCode(0)
		switch {
		case first:
			first = false
			out = zkproto.ConnectResponse{TimeoutMS: 10000, SessionID: 1, Password: make([]byte, 16), HasReadOnly: true}.AppendTo(out)
		default:
			xid := int32(binary.BigEndian.Uint32(frame))
			op = zkproto.OpCode(int32(binary.BigEndian.Uint32(frame[4:])))
			out = zkproto.ReplyHeader{Xid: xid, Zxid: 1}.AppendTo(out)
			if op != zkproto.OpPing && op != zkproto.OpCloseSession {
				out = append(out, body...)
			}
		}
		out = zkproto.EndFrame(out, mark)
		if r.Buffered() == 0 || len(out) > 256<<10 {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		if op == zkproto.OpCloseSession {
			return
		}
	}
}

func benchClient(b testing.TB, body []byte) *gazoo.Client {
	b.Helper()
	zk, err := gazoo.Connect(context.Background(), cannedServer(b, body))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { zk.Close() })
	return zk
}

var reply100 = zkproto.GetDataResponse{Data: make([]byte, 100), Stat: zkproto.Stat{Version: 1}}.AppendTo(nil)

// BenchmarkGetPipelined keeps 256 asynchronous gets of 100 bytes in flight on one connection.
func BenchmarkGetPipelined(b *testing.B) {
	zk := benchClient(b, reply100)
	ctx := context.Background()
	async := zk.Async()
	var flight [256]gazoo.Future[gazoo.Node]
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		slot := &flight[i%len(flight)]
		if i >= len(flight) {
			if _, err := slot.Wait(ctx); err != nil {
				b.Fatal(err)
			}
			slot.Release()
		}
		*slot = async.Get(ctx, "/bench")
		i++
	}
}

// BenchmarkGet is one synchronous get at a time, and with 256 callers.
func BenchmarkGet(b *testing.B) {
	zk := benchClient(b, reply100)
	ctx := context.Background()
	b.Run("callers=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := zk.Get(ctx, "/bench"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("callers=256", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(128)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, _, err := zk.Get(ctx, "/bench"); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
