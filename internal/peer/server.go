// Package peer is the other end of a ZooKeeper connection for tests: it speaks
// the protocol and says what the test tells it to say. It has no tree; who
// wants a server that behaves needs a real one.
//
// A test that decides about every byte gives [Serve] a [Handler], which runs
// once per connection and reads like the conversation it holds:
//
//	peer.Serve(ln, func(c *peer.Conn) {
//		c.ReadConnect()
//		c.Accept(1, 10*time.Second)
//		req, _ := c.ReadRequest()
//		c.Reply(req.Header.Xid, 7, zkproto.ErrNoNode, nil)
//	})
//
// A test that cares about one request of many uses a [Basic], which keeps
// sessions and answers the rest.
//
// Everything works over internal/memnet inside testing/synctest bubbles and
// over TCP outside of them, and needs no *testing.T.
package peer

import (
	"net"
	"sync"
)

// A Handler serves one connection, on a goroutine of its own. The connection is
// closed when it returns. It must return when reads and writes fail, or when
// [Conn.Done] is closed: [Server.Close] waits for it.
type Handler func(c *Conn)

// A Server accepts connections and hands them to its handler.
type Server struct {
	ln      net.Listener
	handler Handler
	wg      sync.WaitGroup // accept loop and handlers

	mu     sync.Mutex // guards the fields below; never held while waiting
	conns  map[*Conn]struct{}
	closed bool
}

// Serve begins to accept on ln, which it closes in the end.
func Serve(ln net.Listener, h Handler) *Server {
	s := &Server{ln: ln, handler: h, conns: make(map[*Conn]struct{})}
	s.wg.Go(s.accept)
	return s
}

// Addr returns the address to dial.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Conns returns the connections whose handlers run, in no order.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var conns []*Conn
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// CloseConns closes the connections there are, without a word, and goes on
// accepting others: what clients see of a server that restarts quickly.
func (s *Server) CloseConns() {
	for _, c := range s.Conns() {
		c.Close()
	}
}

// Close stops accepting, closes all connections and waits for their handlers.
// It may be called again, and from any goroutine but a handler's.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.ln.Close()
	s.CloseConns()
	s.wg.Wait()
}

// accept runs until the listener fails, which it does when it is closed.
func (s *Server) accept() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		c := newConn(nc)
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.conns[c] = struct{}{}
		}
		s.mu.Unlock()
		if closed { // Close has not seen it
			c.Close()
			return
		}
		s.wg.Go(func() { s.serve(c) })
	}
}

// serve runs the handler of one connection.
func (s *Server) serve(c *Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	s.handler(c)
}
