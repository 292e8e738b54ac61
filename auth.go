package gazoo

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// credential is one add-auth pair. It has no String on purpose and must never be logged.
type credential struct {
	scheme string
	auth   []byte
	fetch  func(context.Context) ([]byte, error) // instead of auth, asked at every connect
}

func (c credential) equal(o credential) bool {
	return c.fetch == nil && o.fetch == nil && c.scheme == o.scheme && string(c.auth) == string(o.auth)
}

// bytes returns what is sent.
func (c credential) bytes(ctx context.Context) ([]byte, error) {
	if c.fetch == nil {
		return c.auth, nil
	}
	return c.fetch(ctx)
}

// GoString and String keep secrets out of every format verb.
func (c credential) GoString() string { return "gazoo.credential{" + c.scheme + "}" }
func (c credential) String() string   { return c.scheme + " credential" }

// authStore holds the credentials that every connect replays.
type authStore struct {
	mu   sync.Mutex
	list []credential
}

func (a *authStore) all() []credential {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

func (a *authStore) add(c credential) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.ContainsFunc(a.list, c.equal) {
		a.list = append(slices.Clone(a.list), c)
	}
}

func (a *authStore) remove(c credential) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = slices.DeleteFunc(slices.Clone(a.list), c.equal)
}

// AddAuth presents a credential to the server, waits for its verdict and remembers it: every
// later connect sends it again before anything else. A connection or a session lost meanwhile
// is waited out. The digest scheme wants "user:password". auth is copied.
//
// A refusal ([ErrAuthFailed]) ends the whole client, as in Kazoo: the server closes the
// connection, and nothing would work under another identity than the one asked for.
func (zk *Client) AddAuth(ctx context.Context, scheme string, auth []byte) error {
	if err := checkAuth(ctx, scheme); err != nil {
		return refuse("add auth", "", err)
	}
	return zk.addAuth(ctx, credential{scheme: scheme, auth: slices.Clone(auth)})
}

func checkAuth(ctx context.Context, scheme string) error {
	if ctx == nil {
		return errNilContext
	}
	if scheme == "" {
		return badArg("scheme", "empty")
	}
	return nil
}

// ForgetAuth stops sending a credential at later connects. The present connection keeps the
// identity: ZooKeeper has no request to take one back.
func (zk *Client) ForgetAuth(scheme string, auth []byte) {
	zk.core.auth.remove(credential{scheme: scheme, auth: auth})
}

func (zk *Client) addAuth(ctx context.Context, cred credential) error {
	zk.core.auth.add(cred)
	for {
		cl := zk.core.newCall(zkproto.OpAuth, "add auth", "")
		cl.req.record = zkproto.AuthRequest{Scheme: cred.scheme, Auth: cred.auth}
		err := zk.do(ctx, cl)
		switch {
		case err == nil:
			cl.release()
			return nil
		case passing(err) && ctx.Err() == nil:
			// Presenting it twice is harmless; the next connect may already have.
			continue
		case errors.Is(err, ErrAuthFailed):
			zk.core.auth.remove(cred)
		}
		return err
	}
}
