package peer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// gozkVariable makes [Child] drive go-zookeeper/zk.
const gozkVariable = "GAZOO_INTEROP_GOZK"

// GoZK starts a process with go-zookeeper/zk. That is the program that runs, once more: it calls [Child] first.
func GoZK() (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), gozkVariable+"=1")
	return start("go-zookeeper", cmd)
}

// Child does the work of a process that [GoZK] has started, in the same way as peer.py, and does not return then.
// Everywhere else it does nothing.
func Child() {
	if os.Getenv(gozkVariable) != "" {
		serve()
		os.Exit(0)
	}
}

type gozkRequest struct {
	ID     int64  `json:"id"`
	Op     string `json:"op"`
	Object string `json:"object"`
	Args   struct {
		Hosts  string `json:"hosts"`
		Client string `json:"client"`
		Kind   string `json:"kind"`
		Path   string `json:"path"`
	} `json:"args"`
}

type gozkReply struct {
	ID    int64  `json:"id"`
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// gozk has the clients and their locks by name.
type gozk struct {
	mu      sync.Mutex
	clients map[string]*zk.Conn
	locks   map[string]*zk.Lock
}

func serve() {
	p := &gozk{clients: make(map[string]*zk.Conn), locks: make(map[string]*zk.Lock)}
	var out sync.Mutex
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var req gozkRequest
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			log.Fatal(err)
		}
		go func() {
			rep := gozkReply{ID: req.ID}
			var err error
			if rep.Value, err = p.handle(req); err != nil {
				rep.Error = err.Error()
			}
			line, err := json.Marshal(rep)
			if err != nil {
				log.Fatal(err)
			}
			out.Lock()
			defer out.Unlock()
			fmt.Printf("%s\n", line)
		}()
	}
}

func (p *gozk) handle(req gozkRequest) (any, error) {
	p.mu.Lock()
	lock := p.locks[req.Object]
	p.mu.Unlock()
	switch req.Op {
	case "connect":
		return p.connect(req.Object, req.Args.Hosts)
	case "disconnect":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clients[req.Object].Close()
		delete(p.clients, req.Object)
		return nil, nil
	case "make":
		if req.Args.Kind != "Lock" {
			return nil, fmt.Errorf("unknown kind %q", req.Args.Kind)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.locks[req.Object] = zk.NewLock(p.clients[req.Args.Client], req.Args.Path, zk.WorldACL(zk.PermAll))
		return nil, nil
	case "acquire":
		if err := lock.Lock(); err != nil {
			return nil, err
		}
		return true, nil
	case "release":
		return true, lock.Unlock()
	}
	return nil, fmt.Errorf("unknown operation %q", req.Op)
}

// connect returns the session id of a new client.
func (p *gozk) connect(name, hosts string) (int64, error) {
	conn, events, err := zk.Connect(strings.Split(hosts, ","), 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		return 0, err
	}
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.clients[name] = conn
				return conn.SessionID(), nil
			}
		case <-deadline:
			conn.Close()
			return 0, fmt.Errorf("no session at %s", hosts)
		}
	}
}
