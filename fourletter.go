package gazoo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxWordReply bounds what a four-letter word may answer: dumps of large servers run to
// megabytes.
const maxWordReply = 16 << 20

// ErrWordNotEnabled says that the server does not allow a four-letter word
// (4lw.commands.whitelist; only srvr by default).
var ErrWordNotEnabled = errors.New("four-letter word not enabled on the server")

// FourLetterWord sends a four-letter word to the server now connected to, on a connection of
// its own (TLS where the session uses it), and returns the answer.
//
// Errors: [ErrConnectionLoss] without a connection, [ErrWordNotEnabled].
func (zk *Client) FourLetterWord(ctx context.Context, word string) (string, error) {
	if ctx == nil {
		return "", refuse(word, "", errNilContext)
	}
	if len(word) != 4 {
		return "", refuse("four-letter word", "", badArg("word", "%q has not four letters", word))
	}
	c := zk.core
	l := c.server.Load()
	switch {
	case c.ctx.Err() != nil:
		return "", refuse(word, "", context.Cause(c.ctx))
	case l == nil:
		return "", refuse(word, "", ErrConnectionLoss)
	}
	// Close is not to leave a connection behind.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })()
	text, err := c.askWord(ctx, l.host, l.addr, word)
	if err != nil {
		return "", &OpError{Op: word, Server: l.addr, Outcome: OutcomeUnknown, Err: err}
	}
	return text, nil
}

// askWord asks one server, on a connection of its own.
func (c *core) askWord(ctx context.Context, h Host, addr, word string) (string, error) {
	conn, err := c.dialHost(ctx, h, addr)
	if err != nil {
		return "", wordError(ctx, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, word); err != nil {
		return "", wordError(ctx, err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxWordReply))
	if err != nil && (len(text) == 0 || ctx.Err() != nil) {
		return "", wordError(ctx, err) // a reset behind some text is how servers under load end
	}
	answer := string(text)
	if strings.Contains(answer, "is not executed because it is not in the whitelist") {
		return "", ErrWordNotEnabled
	}
	return answer, nil
}

// wordError prefers the context's end to what it did to the connection.
func wordError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	return err
}

// Version is a server version.
type Version struct {
	Major, Minor, Patch int
	Text                string // as the server says it
}

// String returns major.minor.patch.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

var versionLine = regexp.MustCompile(`(?m)^(?:Zookeeper version: |zookeeper\.version=|ClickHouse Keeper version: v?)((\d+)\.(\d+)(?:\.(\d+))?[^\r\n]*)`)

// ServerVersion returns the version of the server now connected to, from the four-letter word
// srvr, the one that is enabled by default; an answer that was cut short is asked for again, up
// to three times.
func (zk *Client) ServerVersion(ctx context.Context) (Version, error) {
	for try := 1; ; try++ {
		text, err := zk.FourLetterWord(ctx, "srvr")
		if err != nil {
			return Version{}, err
		}
		if v, ok := parseVersion(text); ok {
			return v, nil
		}
		if try == 3 {
			return Version{}, &OpError{Op: "srvr", Server: zk.Server(), Outcome: OutcomeRefused, Err: fmt.Errorf("no version in the answer %.80q", text)}
		}
	}
}

func parseVersion(text string) (Version, bool) {
	m := versionLine.FindStringSubmatch(text)
	if m == nil {
		return Version{}, false
	}
	v := Version{Text: strings.TrimSpace(m[1])}
	v.Major, _ = strconv.Atoi(m[2])
	v.Minor, _ = strconv.Atoi(m[3])
	v.Patch, _ = strconv.Atoi(m[4])
	return v, true
}
