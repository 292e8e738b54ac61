package env

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// closeTimeout bounds the goodbye to the server at a command's end.
const closeTimeout = 3 * time.Second

// ClientOptions returns what the shared options say about a client.
func (o *Options) ClientOptions() ([]gazoo.Option, error) {
	credentials, err := o.credentials()
	if err != nil {
		return nil, err
	}
	cfg, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	opts := []gazoo.Option{gazoo.WithCloseTimeout(closeTimeout)}
	for _, c := range credentials {
		opts = append(opts, gazoo.WithAuth(c.scheme, c.secret))
	}
	if cfg != nil {
		opts = append(opts, gazoo.WithTLS(cfg))
	}
	return opts, nil
}

// connect is the Client function of an Env whose commands connect for themselves.
func (e *Env) connect(ctx context.Context) (*gazoo.Client, func(context.Context), error) {
	opts, err := e.Options.ClientOptions()
	if err != nil {
		return nil, nil, err
	}
	zk, err := Dial(ctx, e.Options.Servers, opts...)
	if err != nil {
		return nil, nil, err
	}
	return zk, func(ctx context.Context) {
		goodbye := zk.Close
		if ctx.Err() != nil {
			goodbye = zk.CloseNow // what is in flight is no longer wanted
		}
		if err := goodbye(); err != nil {
			e.Say("the session was not closed and ends by its time-out: %s", exit.Message(err))
		}
	}, nil
}

// Dial connects within ctx. It gives up at once when it is certain that trying again is no use:
// when at every server nobody listens, the name does not resolve, or the certificate is refused.
// Servers that do not serve at the moment, such as during an election, are waited for.
func Dial(ctx context.Context, hosts string, opts ...gazoo.Option) (*gazoo.Client, error) {
	list, _, err := gazoo.ParseHosts(hosts)
	if err != nil {
		return nil, exit.Usagef("--servers: %s", exit.OneLine(err.Error()))
	}
	giveUp, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := &hopeless{left: map[string]bool{}, giveUp: cancel}
	for _, host := range list {
		h.left[host.String()] = true
	}
	zk, err := gazoo.New(hosts, append(slices.Clip(opts), gazoo.WithHook(h))...)
	if err != nil {
		return nil, err
	}
	if err := zk.WaitState(giveUp, gazoo.StateConnected); err != nil {
		failure := connectFailure(hosts, err, zk.ConnectErrors())
		zk.CloseNow()
		return nil, failure
	}
	return zk, nil
}

// hopeless is a hook that ends the wait for a connection when every host has failed for good.
type hopeless struct {
	giveUp context.CancelCauseFunc

	mu   sync.Mutex
	left map[string]bool // hosts that may still answer
}

// OnConnect implements gazoo.ConnectHook.
func (h *hopeless) OnConnect(info gazoo.ConnectInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if info.Connected || !forGood(info.Err) {
		h.left[info.Host.String()] = true
		return
	}
	delete(h.left, info.Host.String())
	if len(h.left) == 0 {
		h.giveUp(gazoo.ErrNoServer)
	}
}

// forGood reports whether an attempt at a host has failed for a reason that stays, at every
// address that the host has.
func forGood(err error) bool {
	type several interface {
		error
		Unwrap() []error
	}
	if joined, ok := errors.AsType[several](err); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !forGood(err) })
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsNotFound
	}
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	return badCertificate || errors.Is(err, syscall.ECONNREFUSED)
}

// connectFailure says in one line why no server was reached.
func connectFailure(hosts string, err error, perHost []error) error {
	switch {
	case errors.Is(err, exit.ErrInterrupted):
		return exit.ErrInterrupted
	case errors.Is(err, gazoo.ErrAuthFailed):
		return exit.Explain(err, "the server has refused the credential")
	}
	var reasons []string
	for _, e := range perHost {
		reasons = append(reasons, hostReason(e, len(perHost) == 1))
	}
	reason := "cannot connect to " + hosts
	if _, ok := errors.AsType[*exit.TimeoutError](err); ok || len(reasons) == 0 {
		reason += ": " + exit.OneLine(cause(err).Error())
	}
	if len(reasons) > 0 {
		reason += ": " + strings.Join(reasons, "; ")
	}
	return &exit.ConnectError{Reason: reason, Err: err}
}

// hostReason says why one host was not reached, which the client's own words repeat the address
// for: "zk1:2181 (10.0.0.1:2181): dial: dial tcp 10.0.0.1:2181: connect: connection refused".
func hostReason(err error, only bool) string {
	text := exit.OneLine(err.Error())
	host, reason, ok := strings.Cut(text, ": ")
	if !ok {
		return text
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		reason = errno.Error()
	}
	if only {
		return reason
	}
	host, _, _ = strings.Cut(host, " (")
	return host + ": " + reason
}

// cause takes the operation off an error.
func cause(err error) error {
	if op, ok := errors.AsType[*gazoo.OpError](err); ok {
		return op.Err
	}
	return err
}
