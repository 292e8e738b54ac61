// Package fourletter asks servers four-letter words, without a session: it works with servers
// that are up and do not serve.
package fourletter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// maxAnswer bounds an answer: dumps of large servers run to megabytes.
const maxAnswer = 64 << 20

// Answer is what one server said.
type Answer struct {
	Server string
	Text   string
	Err    error
}

// AskAll asks every server of --servers at the same time, within --timeout. Answers come in the
// order of the servers.
func AskAll(ctx context.Context, e *env.Env, word string) ([]Answer, error) {
	hosts, _, err := gazoo.ParseHosts(e.Options.Servers)
	if err != nil {
		return nil, exit.Usagef("--servers: %s", exit.OneLine(err.Error()))
	}
	cfg, err := e.Options.TLS.Config()
	if err != nil {
		return nil, err
	}
	ctx, cancel := e.Bound(ctx)
	defer cancel()
	answers := make(chan func(), len(hosts))
	list := make([]Answer, len(hosts))
	for i, h := range hosts {
		go func() {
			text, err := ask(ctx, h, cfg, word)
			answers <- func() { list[i] = Answer{h.Addr(), text, err} }
		}()
	}
	for range hosts {
		(<-answers)()
	}
	return list, nil
}

func ask(ctx context.Context, h gazoo.Host, cfg *tls.Config, word string) (string, error) {
	conn, err := dial(ctx, h, cfg)
	if err != nil {
		return "", failure(ctx, h, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, word); err != nil {
		return "", failure(ctx, h, err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	switch {
	case err != nil && len(text) == 0 || ctx.Err() != nil:
		return "", failure(ctx, h, err)
	case len(text) == 0:
		return "", failure(ctx, h, errors.New("closed without an answer"))
	case strings.Contains(string(text), "is not executed because it is not in the whitelist"):
		return "", fmt.Errorf("%s: %s: %w (4lw.commands.whitelist)", h.Addr(), word, gazoo.ErrWordNotEnabled)
	}
	return string(text), nil
}

func dial(ctx context.Context, h gazoo.Host, cfg *tls.Config) (net.Conn, error) {
	if cfg == nil && h.TLS == gazoo.TLSRequired {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg == nil || h.TLS == gazoo.TLSOff {
		return new(net.Dialer).DialContext(ctx, "tcp", h.Addr())
	}
	return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", h.Addr())
}

// failure makes the reason why a server did not answer one line.
func failure(ctx context.Context, h gazoo.Host, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &exit.ConnectError{Reason: h.Addr() + ": " + exit.OneLine(err.Error()), Err: err}
}
