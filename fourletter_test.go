package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
)

// words is a Basic that answers four-letter words as told.
func words(b *peer.Basic, answer func(c *peer.Conn, word string)) peer.Handler {
	return func(c *peer.Conn) {
		if word := c.FourLetter(); word != "" {
			answer(c, word)
			return
		}
		b.Handle(c)
	}
}

func TestFourLetterWord(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		long := strings.Repeat("a dump of a large server\n", 100_000)
		w.serve("a:2181", words(&peer.Basic{}, func(c *peer.Conn, word string) {
			switch word {
			case "ruok":
				c.WriteText("imok")
			case "isro":
				c.WriteText("r")
				time.Sleep(time.Second)
				c.WriteText("w")
			case "dump":
				c.WriteText(long)
			case "stat":
				c.WriteText("stat is not executed because it is not in the whitelist.\n")
			}
		}))
		zk := w.connect("b,a") // the server connected to is asked, not the first of the list
		for word, want := range map[string]string{"ruok": "imok", "isro": "rw", "dump": long, "none": ""} {
			got, err := zk.FourLetterWord(t.Context(), word)
			if err != nil || got != want {
				t.Errorf("FourLetterWord(%q) = %.40q, %v, want %.40q", word, got, err, want)
			}
		}
		_, err := zk.FourLetterWord(t.Context(), "stat")
		var opErr *gazoo.OpError
		if !errors.Is(err, gazoo.ErrWordNotEnabled) || !errors.As(err, &opErr) || opErr.Op != "stat" || opErr.Server != "a:2181" {
			t.Errorf("a word that is not enabled: %v, want ErrWordNotEnabled from a:2181", err)
		}
		for _, word := range []string{"", "abc", "abcde"} {
			if _, err := zk.FourLetterWord(t.Context(), word); len(argumentErrors(err)) != 1 {
				t.Errorf("FourLetterWord(%q): %v, want an *ArgumentError", word, err)
			}
		}
	})
}

func TestFourLetterWordNeedsAConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.serve("a:2181", words(&peer.Basic{}, func(c *peer.Conn, _ string) { c.WriteText("imok") }))
		zk := w.connect("a")
		srv.Close()
		synctest.Wait()
		if _, err := zk.FourLetterWord(t.Context(), "ruok"); !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.WasNotSent(err) {
			t.Errorf("without a connection: %v, want ErrConnectionLoss, not sent", err)
		}
		must(t, zk.Close())
		if _, err := zk.FourLetterWord(t.Context(), "ruok"); !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
	})
}

func TestFourLetterWordEndsByItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve("a:2181", words(&peer.Basic{}, func(c *peer.Conn, _ string) {
			c.WriteText("half an ans")
			<-c.Done()
		}))
		zk := w.connect("a")
		for _, ctx := range []context.Context{deadline(t, time.Second), closed(t)} {
			text, err := zk.FourLetterWord(ctx, "stat")
			if text != "" || !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
				t.Errorf("FourLetterWord = %q, %v, want the context's %v", text, err, ctx.Err())
			}
		}
		waits := make(chan error, 1)
		go func() {
			_, err := zk.FourLetterWord(context.Background(), "stat")
			waits <- err
		}()
		synctest.Wait()
		must(t, zk.Close())
		if err := <-waits; !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("closed meanwhile: %v, want ErrClosed", err)
		}
	})
}

func TestServerVersion(t *testing.T) {
	for _, tc := range []struct {
		answers []string // one per question
		want    string   // "" for an error
		text    string
	}{
		{[]string{"Zookeeper version: 3.8.0-5a02a05eddb59aee6ac762f7ea82e92a68eb9c0f, built on 2022-02-25 08:49 UTC\nLatency min/avg/max: 0/4.6336/132\nMode: standalone\n"}, "3.8.0", "3.8.0-5a02a05eddb59aee6ac762f7ea82e92a68eb9c0f, built on 2022-02-25 08:49 UTC"},
		{[]string{"Zookeeper version: 3.9.5\r\n"}, "3.9.5", "3.9.5"},
		{[]string{"ClickHouse Keeper version: v23.8.1.94-testing-f4\nLatency min/avg/max: 0/0/0\n"}, "23.8.1", "23.8.1.94-testing-f4"},
		{[]string{"", "Zookeeper ver", "Zookeeper version: 3.4.14-x\n"}, "3.4.14", "3.4.14-x"},
		{[]string{"", "", "", "Zookeeper version: 3.4.14\n"}, "", ""},
		{[]string{"This ZooKeeper instance is not currently serving requests\n"}, "", ""},
	} {
		t.Run(fmt.Sprintf("%.20q", tc.answers), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var asked atomic.Int32
				w.serve("a:2181", words(&peer.Basic{}, func(c *peer.Conn, word string) {
					if n := int(asked.Add(1)) - 1; word == "srvr" {
						c.WriteText(tc.answers[min(n, len(tc.answers)-1)])
					}
				}))
				zk := w.connect("a")
				v, err := zk.ServerVersion(t.Context())
				if tc.want == "" {
					if err == nil || asked.Load() != 3 {
						t.Errorf("ServerVersion = %v, %v after %d questions, want an error after 3", v, err, asked.Load())
					}
					return
				}
				if err != nil || v.String() != tc.want || v.Text != tc.text {
					t.Errorf("ServerVersion = %v (%q), %v, want %s (%q)", v, v.Text, err, tc.want, tc.text)
				}
				if !v.AtLeast(v.Major, v.Minor) || !v.AtLeast(v.Major-1, 99) || v.AtLeast(v.Major, v.Minor+1) || v.AtLeast(v.Major+1, 0) {
					t.Errorf("AtLeast of %v is wrong", v)
				}
			})
		})
	}
}
