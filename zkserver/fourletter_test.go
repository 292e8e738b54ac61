package zkserver_test

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

func (v *world) word(text string) string {
	v.t.Helper()
	c := v.dial()
	for _, b := range []byte(text) { // it may come in pieces
		c.Write([]byte{b})
	}
	out, err := io.ReadAll(c.Net)
	if err != nil {
		v.t.Fatalf("%s: %v", text, err)
	}
	synctest.Wait() // until it no longer counts as a connection
	return string(out)
}

func TestFourLetterWords(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		if got := v.word("srvr"); !strings.HasSuffix(got, "Connections: 1\nOutstanding: 0\nZxid: 0x0\nMode: standalone\nNode count: 5\n") {
			t.Errorf("srvr of a fresh server = %q", got)
		}
		c := v.dial().Open(40 * time.Second)
		e := create("/e")
		e.Mode = zkproto.ModeEphemeral
		c.Want(zkproto.OK, zkproto.OpCreate, e)
		c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/e", Watch: true})
		c.Want(zkproto.OK, zkproto.OpGetChildren, zkproto.PathWatchRequest{Path: "/", Watch: true})
		const sid = "0x100000000070000"
		for word, want := range map[string]string{
			"ruok":                                 `imok`,
			"isro":                                 `rw`,
			"gtmk":                                 `306`,
			"stmk\x00\x00\x00\x00\x00\x00\x01\x32": `306`,
			"crst":                                 `Connection stats reset\.\n`,
			"dirs":                                 `datadir_size: 0\nlogdir_size: 0\n`,
			"wchs":                                 `1 connections watching 1 paths\nTotal watches:1\n`,
			"wchc":                                 sid + `\n\t/e\n\n`,
			"wchp":                                 `/e\n\t` + sid + `\n\n`,
			"conf": `clientPort=2181\nsecureClientPort=-1\ndataDir=\ndataDirSize=0\ndataLogDir=\ndataLogSize=0\ntickTime=3000\n` +
				`maxClientCnxns=60\nminSessionTimeout=6000\nmaxSessionTimeout=60000\nclientPortListenBacklog=-1\nserverId=0\n`,
			"stat": `Zookeeper version: 3\.8\.0-.*, built on .*\nClients:\n /127.0.0.1:\d+\[1\]\(queued=0,recved=\d+,sent=\d+\)\n` +
				` /127.0.0.1:\d+\[0\]\(queued=0,recved=1,sent=0\)\n\nLatency min/avg/max: 0/0\.0/0\nReceived: \d+\nSent: \d+\nConnections: 2\n` +
				`Outstanding: 0\nZxid: 0x2\nMode: standalone\nNode count: 6\n`,
			"cons": ` /127.0.0.1:\d+\[1\]\(queued=0,recved=\d+,sent=\d+,sid=` + sid + `,lop=\w+,est=\d+,to=40000,(lcxid=0x3,)?lzxid=0x[02],lresp=\d+,llat=0,minlat=0,avglat=0,maxlat=0\)\n` +
				` /127.0.0.1:\d+\[0\]\(queued=0,recved=1,sent=0\)\n\n`,
			"dump": `SessionTracker dump:\nSession Sets \(1\)/\(1\):\n1 expire at Sat Jan 01 00:00:42 UTC 2000:\n\t` + sid + `\n` +
				`ephemeral nodes dump:\nSessions with Ephemerals \(1\):\n` + sid + `:\n\t/e\nConnections dump:\nConnections Sets \(2\)/\(2\):\n1 expire at Sat Jan 01 00:00:20 UTC 2000:\n\tip: /127.0.0.1:\d+ sessionId: 0x0\n` +
				`1 expire at Sat Jan 01 00:00:50 UTC 2000:\n\tip: /127.0.0.1:\d+ sessionId: ` + sid + `\n`,
			"envi": `Environment:\nzookeeper\.version=3\.8\.0-(.*\n)+os\.memory\.total=.*\n`,
			"hash": ``,
			"mntr": `zk_version\t3\.8\.0-.*\nzk_server_state\tstandalone\nzk_ephemerals_count\t1\n(.*\n)*zk_watch_count\t2\n(.*\n)*zk_uptime\t\d+\n(.*\n)*zk_p999_updatelatency\t0\n`,
			"srst": `Server stats reset\.\n`,
			"nope": ``,
		} {
			if got := v.word(word); !regexp.MustCompile(`^` + want + `$`).MatchString(got) {
				t.Errorf("%q = %q, want %q", word, got, want)
			}
		}
		c.Write([]byte("ruok")) // behind a handshake it is a length
		c.Closed()
	}, zkserver.WithFourLetterWords("*"), zkserver.WithSessionSeed(7))
}

func TestFourLetterWhitelist(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		if got := v.word("srvr"); !strings.HasPrefix(got, "Zookeeper version: 3.8.0") {
			t.Errorf("srvr = %q", got)
		}
		if got := v.word("ruok"); got != "ruok is not executed because it is not in the whitelist.\n" {
			t.Errorf("ruok = %q", got)
		}
	})
}
