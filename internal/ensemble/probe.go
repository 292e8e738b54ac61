package ensemble

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	wordTimeout = 5 * time.Second
	// probeTimeout bounds one attempt where there will be another: what a server that is just starting swallows, it
	// never answers.
	probeTimeout = time.Second
	probePause   = 10 * time.Millisecond
)

// notServing is the beginning of what a server answers to most words while it does not serve.
const notServing = "This ZooKeeper instance is not currently serving requests"

// FourLetter sends a four-letter word to a server's plain client port and returns what it answers. It gives up after 5
// seconds. Every word is enabled on the servers of this package.
func FourLetter(addr, word string) (string, error) {
	return fourLetter(addr, word, wordTimeout)
}

func fourLetter(addr, word string, limit time.Duration) (string, error) {
	nc, err := dial(addr, limit)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, word); err != nil {
		return "", fmt.Errorf("ensemble: %s: %w", word, err)
	}
	var answer []byte
	buf := make([]byte, 4096)
	for {
		n, err := nc.Read(buf)
		answer = append(answer, buf[:n]...)
		switch {
		case err == io.EOF:
			return string(answer), nil
		case err != nil:
			return "", fmt.Errorf("ensemble: %s: %w", word, err)
		case strings.HasPrefix(string(answer), notServing) && strings.HasSuffix(string(answer), "\n"):
			// A standalone 3.8.0 that is asked while it starts trips over its own missing database after this
			// answer (NullPointerException in removeCnxn) and never closes the connection.
			return string(answer), nil
		}
	}
}

// Mode returns what the server says that it is: one of the Mode constants. While it does not serve, that is an error.
func (s *Server) Mode() (string, error) { return s.mode(wordTimeout) }

func (s *Server) mode(limit time.Duration) (string, error) {
	answer, err := fourLetter(s.Addr(), "srvr", limit)
	if err != nil {
		return "", s.errorf("%w", err)
	}
	for line := range strings.Lines(answer) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode), nil
		}
	}
	return "", s.errorf("%s", strings.TrimSpace(answer))
}

// WaitMode waits until the server is in one of the modes and returns which.
func (s *Server) WaitMode(ctx context.Context, modes ...string) (string, error) {
	for {
		mode, err := s.mode(probeTimeout)
		for _, want := range modes {
			if err == nil && mode == want {
				return mode, nil
			}
		}
		if !pause(ctx) {
			return "", s.errorf("not %s but %q (%v): %w", strings.Join(modes, " or "), mode, err, context.Cause(ctx))
		}
	}
}

// WaitReady waits until this server serves, read-only or not, and gives out a session.
func (s *Server) WaitReady(ctx context.Context) error { return s.awaitReady(ctx, true) }

// awaitReady waits until the server serves; in read-only mode only if that will do. It gives up as soon as the process
// ends.
func (s *Server) awaitReady(ctx context.Context, readOnlyWillDo bool) error {
	for {
		p := s.process()
		if p == nil {
			return s.errorf("it has ended; its log:\n%s", s.Log())
		}
		_, err := s.mode(probeTimeout)
		if err == nil {
			if err = openSession(s.Addr(), readOnlyWillDo); err == nil {
				return nil
			}
		}
		if !pause(ctx) {
			return s.errorf("not ready: %w: %w; its log:\n%s", err, context.Cause(ctx), s.Log())
		}
	}
}

// quorumUp reports whether enough servers run for a quorum.
func (e *Ensemble) quorumUp() bool {
	voters := 0
	for _, s := range e.servers {
		if s.up() && !s.observer() && !e.cutOff(s) {
			voters++
		}
	}
	return 2*voters > e.cfg.voters()
}

// pause waits a moment between two attempts and reports whether there is time for another.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(probePause):
		return true
	}
}

// dial connects and limits everything that follows to the same time.
func dial(addr string, limit time.Duration) (net.Conn, error) {
	deadline := time.Now().Add(limit)
	nc, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return nil, err
	}
	return nc, nc.SetDeadline(deadline)
}

// openSession makes a session and closes it again, in the protocol's own bytes: what this package starts is what the
// client and its codec are tested with, so it uses neither.
func openSession(addr string, readOnly bool) error {
	nc, err := dial(addr, probeTimeout)
	if err != nil {
		return err
	}
	defer nc.Close()

	connect := make([]byte, 0, 4+45)
	connect = binary.BigEndian.AppendUint32(connect, 45)
	connect = binary.BigEndian.AppendUint32(connect, 0)    // protocol version
	connect = binary.BigEndian.AppendUint64(connect, 0)    // last zxid seen
	connect = binary.BigEndian.AppendUint32(connect, 5000) // session timeout in milliseconds
	connect = binary.BigEndian.AppendUint64(connect, 0)    // session id: a new one
	connect = binary.BigEndian.AppendUint32(connect, 16)   // password
	connect = append(connect, make([]byte, 16)...)
	if readOnly {
		connect = append(connect, 1)
	} else {
		connect = append(connect, 0)
	}
	if _, err := nc.Write(connect); err != nil {
		return err
	}
	response, err := readFrame(nc)
	if err != nil {
		return fmt.Errorf("no session: %w", err)
	}
	// A read-only server gives out local sessions only. When it has none, it serves, but answers a connect request with
	// a reply header: xid, zxid and this error.
	const notReadOnly = -119
	if readOnly && len(response) == 16 && int32(binary.BigEndian.Uint32(response[12:])) == notReadOnly {
		return nil
	}
	if len(response) != 37 || binary.BigEndian.Uint32(response[4:]) == 0 {
		return fmt.Errorf("no session: refused: %x", response)
	}

	const closeSession = -11
	request := binary.BigEndian.AppendUint32(nil, 8)
	request = binary.BigEndian.AppendUint32(request, 1) // xid
	op := int32(closeSession)
	request = binary.BigEndian.AppendUint32(request, uint32(op))
	if _, err := nc.Write(request); err != nil {
		return err
	}
	if _, err := readFrame(nc); err != nil {
		return fmt.Errorf("closing a session: %w", err)
	}
	return nil
}

func readFrame(nc net.Conn) ([]byte, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(nc, prefix[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(prefix[:])
	if size > 1024 {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	frame := make([]byte, size)
	_, err := io.ReadFull(nc, frame)
	return frame, err
}
