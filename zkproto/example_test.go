package zkproto_test

import (
	"bytes"
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// A request as a client sends it and a server reads it.
func Example() {
	b, mark := zkproto.BeginFrame(nil)
	b = zkproto.RequestHeader{Xid: 1, Op: zkproto.OpSetData}.AppendTo(b)
	b = zkproto.SetDataRequest{Path: "/app", Data: []byte("v2"), Version: 4}.AppendTo(b)
	b = zkproto.EndFrame(b, mark)

	frames := zkproto.NewFrameReader(bytes.NewReader(b), zkproto.DefaultFrameLimit)
	frame, err := frames.Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	r := zkproto.NewReader(frame)
	var header zkproto.RequestHeader
	header.Decode(&r)
	var req zkproto.SetDataRequest
	req.Decode(&r)
	fmt.Printf("%v %s = %s if version %d, error %v\n", header.Op, req.Path, req.Data, req.Version, r.Done())
	// Output: setData /app = v2 if version 4, error <nil>
}
