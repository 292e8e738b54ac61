package gazoo_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// logBook is what a logger writes to.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// eventful leads a client through all that is logged, and returns every error on the way.
func eventful(t *testing.T, w *world, opts ...gazoo.Option) (errs []error) {
	t.Helper()
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	b := &peer.Basic{}
	b.Answer = func(c *peer.Conn, req peer.Request) bool {
		if req.Header.Op == zkproto.OpExists {
			c.Reply(req.Header.Xid, 0x77, zkproto.ErrNoNode, nil)
			return true
		}
		var auth zkproto.AuthRequest
		if req.Header.Op == zkproto.OpAuth && req.Decode(&auth) == nil && strings.Contains(string(auth.Auth), "wrong") {
			return refuseAuth(c, req)
		}
		return false
	}
	srv := w.serve("b:2181", b.Handle)
	all := append([]gazoo.Option{
		gazoo.WithDialer(w.net.Dial), gazoo.WithHostOrder(), gazoo.WithSessionTimeout(10 * time.Second),
		gazoo.WithAuth("digest", []byte("user:right-s3cret")),
	}, opts...)
	zk, err := gazoo.Connect(t.Context(), "a,b/missing", all...)
	must(t, err)
	_, _, err = zk.Get(t.Context(), "/")
	must(t, err)
	b.Expire(zk.SessionID())
	synctest.Wait()
	must(t, zk.WaitState(t.Context(), gazoo.StateConnected))
	_, _, err = zk.Get(t.Context(), "/")
	must(t, err)
	saved := zk.Session().Saved()
	srv.Close()
	synctest.Wait()
	_, err = zk.Set(t.Context(), "/", []byte("x"), 0) // waits until the session is presumed expired
	keep(err)
	b.SetZxid(1)
	b.Connect = func(_ *peer.Conn, req zkproto.ConnectRequest) bool { return req.LastZxidSeen > b.Zxid() }
	w.serve("b:2181", b.Handle)
	must(t, zk.WaitState(t.Context(), gazoo.StateConnected))
	keep(zk.AddAuth(t.Context(), "digest", []byte("user:wrong-s3cret")))
	keep(zk.WaitState(t.Context(), gazoo.StateConnected))
	_, err = zk.Detach(t.Context())
	keep(err)
	must(t, zk.Close())
	<-zk.Done()
	for hosts, opt := range map[string]gazoo.Option{
		"nowhere": gazoo.WithSession(saved),
		"b":       gazoo.WithAuth("digest", []byte("user:wrong-s3cret")),
	} {
		other, err := gazoo.Connect(deadline(t, 5*time.Second), hosts, append(slices.Clone(all), opt)...)
		if err == nil {
			t.Errorf("Connect(%q) succeeded", hosts)
			other.Close()
		}
		keep(err)
	}
	_, err = gazoo.New("a", gazoo.WithAuth("", []byte("s3cret")), gazoo.WithSession(gazoo.SavedSession{Password: []byte("s3cret")}))
	keep(err)
	return errs
}

func TestEventsAreLoggedWithFixedKeys(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var book logBook
		eventful(t, w, gazoo.WithLogger(book.logger()))
		want := map[string][]string{ // keys by message, nil once seen
			"connect failed":                            {"error", "host"},
			"connected":                                 {"read_only", "resumed", "server", "session"},
			"chroot does not exist":                     {"path"},
			"connection lost":                           {"error", "server"},
			"session expired":                           {"error", "session"},
			"session presumed expired":                  {"session"},
			"servers refuse our history, offering none": {"zxid"},
			"history went backwards":                    {"zxid"},
			"client ended":                              {"error"},
		}
		seen := map[string]bool{}
		for line := range strings.Lines(book.String()) {
			var record map[string]any
			must(t, json.Unmarshal([]byte(line), &record))
			message := fmt.Sprint(record[slog.MessageKey])
			var keys []string
			for key := range record {
				if key != slog.MessageKey && key != slog.TimeKey && key != slog.LevelKey {
					keys = append(keys, key)
				}
			}
			slices.Sort(keys)
			if !slices.Equal(keys, want[message]) {
				t.Errorf("%q has keys %q, want %q", message, keys, want[message])
			}
			seen[message] = true
		}
		for message := range want {
			if !seen[message] {
				t.Errorf("%q was not logged", message)
			}
		}
		for _, word := range []string{`"session":"0x100000000000001"`, `"server":"b:2181"`, `"host":"a:2181"`, `"path":"/missing"`, `"zxid":"0x77"`} {
			if !strings.Contains(book.String(), word) {
				t.Errorf("%s is missing in the log", word)
			}
		}
	})
}

func TestSecretsAreNeverShown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var book logBook
		errs := eventful(t, w, gazoo.WithLogger(book.logger()))
		if len(errs) < 5 || !errors.Is(errs[0], gazoo.ErrSessionPresumed) || !errors.Is(errs[1], gazoo.ErrAuthFailed) {
			t.Errorf("errors on the way: %v", errs)
		}
		shown := book.String()
		for _, err := range errs {
			for e := err; e != nil; e = errors.Unwrap(e) {
				shown += fmt.Sprintf("%v\n%+v\n%#v\n", e, e, e)
			}
		}
		secrets := [][]byte{[]byte("s3cret")}
		for id := range int64(3) {
			password := zkproto.SessionPassword(peer.FirstSessionID + id)
			secrets = append(secrets, password[:])
		}
		for _, secret := range secrets {
			for _, form := range []string{
				string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
				base64.StdEncoding.EncodeToString(secret), strings.Trim(fmt.Sprint(secret), "[]"), strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}"),
			} {
				if i := strings.Index(shown, form); i >= 0 {
					t.Errorf("secret shows as %q: …%s…", form, shown[max(0, i-200):min(len(shown), i+200)])
				}
			}
		}
	})
}

func TestClientIsSilentByDefault(t *testing.T) {
	var book logBook
	before, output, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(book.logger()) // log.Default goes there too
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(output)
		log.SetFlags(flags)
	}()
	bubble(t, func(t *testing.T, w *world) { eventful(t, w) })
	if book.String() != "" {
		t.Errorf("logged without a logger:\n%s", book.String())
	}
}
