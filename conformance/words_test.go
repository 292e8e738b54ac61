package conformance

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Four-letter words, and limits on connections.

var wordFacts = facts(wordsMayComeInPieces, wordsAreCaseSensitive, wordsBehindAHandshake, unknownWordsGetNothing,
	unlistedWords, srvrTellsWhatToolsRead, shortWords, connectionsFromOneAddress)

func wordsMayComeInPieces(t *testing.T, s *server) {
	c := s.dial(t)
	for _, b := range []byte("ruok") {
		c.Write([]byte{b})
	}
	if out, err := io.ReadAll(c.Net); err != nil || string(out) != "imok" {
		t.Errorf("ruok byte by byte: %q, %v, want imok", out, err)
	}
}

func wordsAreCaseSensitive(t *testing.T, s *server) {
	for _, word := range []string{"RUOK", "Ruok"} {
		if out := s.word(t, word); out != "" {
			t.Errorf("%s: %q, want nothing", word, out)
		}
	}
}

func wordsBehindAHandshake(t *testing.T, s *server) {
	c := s.open(t)
	c.Write([]byte("ruok")) // a length of almost two billion
	c.Closed()
	s.resume(t, c.Session)
}

func unknownWordsGetNothing(t *testing.T, s *server) {
	for _, word := range []string{"nope", "abcd", "\xff\xff\xff\xff"} {
		c := s.dial(t)
		c.Write([]byte(word))
		c.Closed()
	}
}

func unlistedWords(t *testing.T, s *server) {
	s = s.with(t, options{words: "srvr"})
	for _, word := range []string{"ruok", "stat", "mntr", "wchc", "isro"} {
		if got, want := s.word(t, word), word+" is not executed because it is not in the whitelist.\n"; got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if got := s.word(t, "srvr"); !strings.HasPrefix(got, "Zookeeper version: ") {
		t.Errorf("srvr: %q", got)
	}
}

func srvrTellsWhatToolsRead(t *testing.T, s *server) {
	s = s.with(t, options{alone: "quiet"})
	c := s.open(t)
	form := regexp.MustCompile(`^Zookeeper version: 3\.8\.0-\S+, built on \d{4}-\d{2}-\d{2} \d{2}:\d{2} UTC
Latency min/avg/max: \d+/\d+\.\d{1,4}/\d+
Received: \d+
Sent: \d+
Connections: (\d+)
Outstanding: 0
Zxid: (0x[0-9a-f]+)
Mode: standalone
Node count: (\d+)
$`)
	first := form.FindStringSubmatch(s.word(t, "srvr"))
	if first == nil {
		t.Fatalf("srvr: %q, want it like %s", s.word(t, "srvr"), form)
	}
	total := as[zkproto.AllChildrenNumberResponse](t, c.Want(zkproto.OK, zkproto.OpGetAllChildrenNumber, at("/"))).Count
	dir(c)
	second := form.FindStringSubmatch(s.word(t, "srvr"))
	// The root counts twice.
	if got, want := second[3], strconv.Itoa(int(total)+3); got != want {
		t.Errorf("node count %s, want %s", got, want)
	}
	if first[2] == second[2] {
		t.Errorf("zxid %s did not move with a write", first[2])
	}
}

func shortWords(t *testing.T, s *server) {
	for word, want := range map[string]string{
		"ruok": `imok`, "isro": `rw`, "gtmk": `\d+`, "srst": `Server stats reset\.\n`, "crst": `Connection stats reset\.\n`,
		"dirs": `datadir_size: \d+\nlogdir_size: \d+\n`, "wchs": `\d+ connections watching \d+ paths\nTotal watches:\d+\n`,
	} {
		if got := s.word(t, word); !regexp.MustCompile(`^` + want + `$`).MatchString(got) {
			t.Errorf("%s: %q, want %s", word, got, want)
		}
	}
}

func connectionsFromOneAddress(t *testing.T, s *server) {
	s = s.with(t, options{maxConns: 3})
	// say opens a connection and says something on it. One too many is reset at once, which the client may notice at
	// any step: the connect, the write or the read.
	say := func(hello []byte) (*rawzk.Conn, error) {
		nc, err := net.DialTimeout("tcp", s.addr, 10*time.Second)
		if err != nil {
			return nil, err
		}
		c := rawzk.New(t, nc)
		_, err = nc.Write(hello)
		return c, err
	}
	hello := rawzk.Frame(newSession())
	var all []*rawzk.Conn
	// Whoever asked whether the server is up may be counted for a moment yet.
	for begin := time.Now(); len(all) < 3; {
		c, err := say(hello)
		if err == nil {
			_, err = c.NextBytes()
		}
		if err == nil {
			all = append(all, c)
		} else if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d connections, and then: %v", len(all), err)
		}
	}
	for _, first := range []string{"srvr", string(hello)} {
		c, err := say([]byte(first))
		if err != nil {
			continue
		}
		answer, err := io.ReadAll(c.Net)
		if len(answer) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a fourth connection that says %q is answered %q, %v; want it closed", first, answer, err)
		}
	}
	for _, c := range all {
		c.Want(zkproto.OK, zkproto.OpPing, nil)
		c.Want(zkproto.OK, zkproto.OpCloseSession, nil)
	}
}
