// Command canned runs the server of prepared replies. It prints the address that it listens on and runs until it is
// interrupted, or with -tied until its stdin ends:
//
//	go run ./bench/cmd/canned -addr 127.0.0.1:21811
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/gazoo-zk/gazoo/bench/internal/canned"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	tied := flag.Bool("tied", false, "end when stdin does")
	flag.Parse()
	srv, err := canned.Start(*addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "canned:", err)
		os.Exit(1)
	}
	fmt.Println(srv.Addr())
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	if *tied {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			end <- os.Interrupt
		}()
	}
	<-end
	srv.Close()
}
