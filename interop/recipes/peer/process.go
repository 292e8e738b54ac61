package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
)

// Args are the arguments of a request, as JSON; []byte becomes base64.
type Args map[string]any

// Process is a running peer. Safe for concurrent use. Whoever started it closes it.
type Process struct {
	Name string

	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr *tail
	ended  chan struct{} // closed when the process has ended and its output was read
	reason error         // why it has ended; set before ended is closed

	mu      sync.Mutex
	last    int64
	pending map[int64]*Call
}

type request struct {
	ID     int64  `json:"id"`
	Op     string `json:"op"`
	Object string `json:"object"`
	Args   Args   `json:"args,omitempty"`
}

type reply struct {
	ID    int64           `json:"id"`
	Value json.RawMessage `json:"value"`
	Error string          `json:"error"`
}

// start runs a peer.
func start(name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, stderr: new(tail), ended: make(chan struct{}), pending: make(map[int64]*Call)}
	cmd.Stderr = p.stderr
	child.WithParent(cmd)
	cmd.WaitDelay = 5 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	started := make(chan error)
	go func() {
		// The signal at the parent's end comes when the thread ends, not the process.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = p.read(stdout)
		p.end(errors.Join(err, cmd.Wait()))
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// read hands out replies until there are no more.
func (p *Process) read(stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var rep reply
		if err := json.Unmarshal(lines.Bytes(), &rep); err != nil {
			p.cmd.Process.Kill()
			return fmt.Errorf("reply %q: %w", lines.Text(), err)
		}
		p.mu.Lock()
		call := p.pending[rep.ID]
		delete(p.pending, rep.ID)
		p.mu.Unlock()
		if call == nil {
			continue
		}
		call.value = rep.Value
		if rep.Error != "" {
			call.err = fmt.Errorf("%s: %s", call, rep.Error)
		}
		close(call.done)
	}
	return lines.Err()
}

// end fails what is still pending.
func (p *Process) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reason = fmt.Errorf("%s has ended: %w\n%s", p.Name, errors.Join(err, io.EOF), p.stderr.String())
	for _, call := range p.pending {
		call.err = fmt.Errorf("%s: %w", call, p.reason)
		close(call.done)
	}
	p.pending = nil
	close(p.ended)
}

// Close ends the process: in order at first, and by force after five seconds. The sessions of its clients stay, until they
// time out.
func (p *Process) Close() error {
	p.stdin.Close()
	select {
	case <-p.ended:
		return nil
	case <-time.After(5 * time.Second):
		return p.Kill()
	}
}

// Kill ends the process by force.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
}

// Stderr returns the end of what the process wrote to its standard error.
func (p *Process) Stderr() string { return p.stderr.String() }

// Call is a request under way.
type Call struct {
	process *Process
	object  string
	op      string
	args    Args
	done    chan struct{}
	value   json.RawMessage
	err     error
}

// String names it for errors.
func (c *Call) String() string {
	return fmt.Sprintf("%s: %s %s", c.process.Name, c.object, c.op)
}

// Done is closed when there is an answer.
func (c *Call) Done() <-chan struct{} { return c.done }

// Wait waits for the answer and decodes its value into the variable that to points to; nil drops it.
func (c *Call) Wait(ctx context.Context, to any) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		return fmt.Errorf("%s: no answer: %w\n%s", c, context.Cause(ctx), c.process.Stderr())
	}
	if c.err != nil || to == nil {
		return c.err
	}
	if err := json.Unmarshal(c.value, to); err != nil {
		return fmt.Errorf("%s: answer %s: %w", c, c.value, err)
	}
	return nil
}

// send starts a request.
func (p *Process) send(object, op string, args Args) *Call {
	call := &Call{process: p, object: object, op: op, args: args, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		call.err = fmt.Errorf("%s: %w", call, p.reason)
		close(call.done)
		return call
	}
	p.last++
	line, err := json.Marshal(request{ID: p.last, Op: op, Object: object, Args: args})
	if err == nil {
		// A peer reads its input at once, whatever its requests do.
		_, err = p.stdin.Write(append(line, '\n'))
	}
	if err != nil {
		call.err = fmt.Errorf("%s: %w\n%s", call, err, p.stderr.String())
		close(call.done)
		return call
	}
	p.pending[p.last] = call
	return call
}

// name makes a name that is new in this process.
func (p *Process) name(kind string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	return fmt.Sprintf("%s-%d", kind, p.last)
}

// Client is a client of the peer's library, with a session of its own.
type Client struct {
	Process *Process
	Session int64
	name    string
}

// Connect opens one.
func (p *Process) Connect(ctx context.Context, hosts string) (*Client, error) {
	c := &Client{Process: p, name: p.name("client")}
	return c, p.send(c.name, "connect", Args{"hosts": hosts}).Wait(ctx, &c.Session)
}

// Close ends the session.
func (c *Client) Close(ctx context.Context) error {
	return c.Process.send(c.name, "disconnect", nil).Wait(ctx, nil)
}

// Start begins a request to the client itself.
func (c *Client) Start(op string, args Args) *Call { return c.Process.send(c.name, op, args) }

// Object is one of the library's: a lock, a queue.
type Object struct {
	client *Client
	name   string
}

// Make makes an object of a kind, which is mostly the name of its class, at a path.
func (c *Client) Make(ctx context.Context, kind, path string, args Args) (*Object, error) {
	o := &Object{client: c, name: c.Process.name(kind)}
	all := Args{"client": c.name, "kind": kind, "path": path}
	for k, v := range args {
		all[k] = v
	}
	return o, c.Process.send(o.name, "make", all).Wait(ctx, nil)
}

// Start begins an operation; what comes of it is the Call's.
func (o *Object) Start(op string, args Args) *Call { return o.client.Process.send(o.name, op, args) }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
