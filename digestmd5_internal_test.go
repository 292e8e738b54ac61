package gazoo

import (
	"strings"
	"testing"
)

// The digests of DIGEST-MD5 were computed with other programs; the first are the example of
// RFC 2831, section 4.
func TestDigestMD5Values(t *testing.T) {
	for _, tc := range []struct {
		name             string
		login            digestLogin
		response, answer string
	}{
		{
			"RFC 2831",
			digestLogin{"chris", "elwood.innosoft.com", "secret", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk", "imap/elwood.innosoft.com"},
			"d388dad90d4bbd760a152321f2143af7", "ea40f60335c427b5527b84dbabcdfffd",
		},
		{
			"ZooKeeper",
			digestLogin{"bob", "zk-sasl-md5", "secret", "bm9uY2U=", "Y25vbmNl", "zookeeper/zk-sasl-md5"},
			"02a21940ba524c25f2154aad6d2029a7", "3c18e682f7b133e1599ab3e85f7cd192",
		},
	} {
		if got := tc.login.digest("AUTHENTICATE"); got != tc.response {
			t.Errorf("%s: response %s, want %s", tc.name, got, tc.response)
		}
		if got := tc.login.digest(""); got != tc.answer {
			t.Errorf("%s: the server's answer %s, want %s", tc.name, got, tc.answer)
		}
	}
}

// Text is hashed in Latin-1 when it fits, and in UTF-8 otherwise, each value by itself; names
// go over the wire in UTF-8, quoted.
func TestDigestMD5Response(t *testing.T) {
	const challenge = `realm="zk-sasl-md5",nonce="n+/\"1",charset=utf-8,algorithm=md5-sess`
	for _, tc := range []struct{ name, challenge, user, password, want string }{
		{"plain", challenge, "bob", "secret", `charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="n+/\"1",nc=00000001,cnonce="c",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=8381d28073a775e991ac6380d8dcd00c,qop=auth`},
		{"to be quoted", challenge, `b"o\b`, "secret", `username="b\"o\\b",realm="zk-sasl-md5",|response=1db863ef9df6f4bec5a10bc3c0a7f8ee,`},
		{"Latin-1", challenge, "jürgen", "geheim-ß", `username="jürgen",|response=dd0c8a8ac4577c585e0fccdab066f251,`},
		{"beyond Latin-1", challenge, "jürgen", "秘密", `username="jürgen",|response=207d4daccb03be75dad5f00280711c42,`},
		{"several realms", `realm="other", realm="zk-sasl-md5",nonce=n,algorithm=md5-sess,qop="auth-int, auth"`, "jürgen", "secret", "username=\"j\xfcrgen\",realm=\"zk-sasl-md5\",|response=2d56c8d189ed5ca7668ba91211666100,"},
		{"no realm", `Nonce = "n" , , algorithm=md5-sess,opaque="x,y"`, "bob", "secret", `username="bob",realm="",nonce="n",|response=30d70ed29d199e633b723a5b6527c832,`},
	} {
		d := digestLogin{user: tc.user, password: tc.password}
		response, err := d.respond([]byte(tc.challenge), "c")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for part := range strings.SplitSeq(tc.want, "|") {
			if !strings.Contains(string(response), part) {
				t.Errorf("%s: response\n%s, want it to contain\n%s", tc.name, response, part)
			}
		}
	}
}
