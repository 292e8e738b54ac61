package rawload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// socket is a connection that the Go runtime does not know of: it blocks, and wakes no goroutine when something comes.
type socket int

func (s socket) Read(b []byte) (int, error) {
	n, err := again(func() (int, error) { return syscall.Read(int(s), b) })
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, os.NewSyscallError("read", err)
}

func (s socket) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := again(func() (int, error) { return syscall.Write(int(s), b[done:]) })
		if err != nil {
			return done, os.NewSyscallError("write", err)
		}
		done += n
	}
	return done, nil
}

func (s socket) Close() error { return os.NewSyscallError("close", syscall.Close(int(s))) }

// again repeats a system call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// dialSmall opens a connection for small frames.
func dialSmall(ctx context.Context, addr string) (*conn, error) {
	nc, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// A descriptor of our own for the same connection; the runtime's goes.
	file, err := nc.(*net.TCPConn).File()
	if err = errors.Join(err, nc.Close()); err != nil {
		return nil, err
	}
	fd, err := syscall.Dup(int(file.Fd()))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	return greet(socket(fd), 512)
}

// crowd is many connections that one goroutine waits for, so that the server is what is measured. A goroutine for each
// would have to be woken for every frame, and reading takes about as long as what the server does for an event.
type crowd struct {
	epoll  int
	all    []*conn
	events []syscall.EpollEvent
	turn   int
	seen   []int // for each connection the last turn in which something came
}

func gather(all []*conn) (*crowd, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	for i, c := range all {
		const edge = 1 << 31 // EPOLLET: tell of what comes once, whether it is read or not
		ev := syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: int32(i)}
		if err := syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, int(c.nc.(socket)), &ev); err != nil {
			return nil, errors.Join(os.NewSyscallError("epoll_ctl", err), syscall.Close(fd))
		}
	}
	return &crowd{epoll: fd, all: all, events: make([]syscall.EpollEvent, 4096), seen: make([]int, len(all))}, nil
}

// gathering is how long what comes may gather: whoever sleeps in epoll_wait is woken by each frame.
const gathering = time.Millisecond

// arrived waits until something has come on every connection. Frames as small as events come in one piece.
func (w *crowd) arrived() error {
	w.turn++
	for left := len(w.all); left > 0; {
		ready, err := again(func() (int, error) { return syscall.EpollWait(w.epoll, w.events, -1) })
		if err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, ev := range w.events[:ready] {
			if w.seen[ev.Fd] != w.turn {
				w.seen[ev.Fd] = w.turn
				left--
			}
		}
		if left > 0 && ready < len(w.events) {
			time.Sleep(gathering)
		}
	}
	return nil
}

// read reads the frame that came on every connection.
func (w *crowd) read() error {
	for i, c := range w.all {
		if err := c.await(1); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

func (w *crowd) close() error { return syscall.Close(w.epoll) }
