package gazoo

import (
	"context"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"
)

// The names that ZooKeeper's servers go by, whatever their hosts are called.
const (
	digestRealm = "zk-sasl-md5"
	digestURI   = "zookeeper/zk-sasl-md5"
)

const maxChallenge = 2048 // RFC 2831, section 2.1.1

// DigestMD5 is the SASL mechanism of a user name and a password (RFC 2831), for servers whose
// JAAS configuration has the DigestLoginModule. The connection gets the identity sasl:username.
// Each side proves to the other that it knows the password, which is not sent; but the
// mechanism dates from 2000, so use it over TLS.
func DigestMD5(username, password string) SASLMechanism {
	return DigestMD5Func(func(context.Context) (string, string, error) { return username, password, nil })
}

// DigestMD5Func is [DigestMD5] with a user name and a password that are asked for at every
// connect, from a secret store perhaps, so that they can change in a running client. fetch runs
// within the time that an attempt to connect has; its error fails the attempt, and others follow.
func DigestMD5Func(fetch func(context.Context) (username, password string, err error)) SASLMechanism {
	return &digestMD5{fetch}
}

// digestMD5 keeps the password in a closure, where no format verb or dumper of structs finds it.
type digestMD5 struct {
	fetch func(context.Context) (username, password string, err error)
}

func (*digestMD5) Name() string           { return "DIGEST-MD5" }
func (m *digestMD5) String() string       { return m.Name() }
func (*digestMD5) GoString() string       { return "gazoo.DigestMD5{}" }
func (m *digestMD5) LogValue() slog.Value { return slog.StringValue(m.Name()) }

func (m *digestMD5) Start(ctx context.Context, _ SASLServer) (SASLExchange, error) {
	if fips140.Enforced() {
		return nil, errors.New("MD5 is not allowed in FIPS 140-only mode")
	}
	if m.fetch == nil {
		return nil, errors.New("no credential")
	}
	username, password, err := m.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	if username == "" {
		return nil, errors.New("credential: empty user name")
	}
	if !utf8.ValidString(username) || !utf8.ValidString(password) {
		return nil, errors.New("credential: not valid UTF-8")
	}
	return &digestExchange{login: digestLogin{user: username, password: password}}, nil
}

// digestExchange has a state for each token of the server.
type digestExchange struct {
	login digestLogin
	state int
}

func (x *digestExchange) Step(_ context.Context, challenge []byte) ([]byte, bool, error) {
	x.state++
	switch x.state {
	case 1:
		return nil, false, nil
	case 2:
		response, err := x.login.respond(challenge, rand.Text())
		return response, false, err
	case 3:
		return nil, true, x.login.verify(challenge)
	}
	return nil, false, errors.New("token behind the end of the exchange")
}

// digestLogin is what the digests are made of, as it is hashed: in Latin-1 where possible.
type digestLogin struct {
	user, realm, password string
	nonce, cnonce, uri    string
}

// respond answers the server's challenge.
func (d *digestLogin) respond(challenge []byte, cnonce string) ([]byte, error) {
	list, err := parseDirectives(challenge)
	if err != nil {
		return nil, err
	}
	realms, nonces := list.all("realm"), list.all("nonce")
	if len(nonces) != 1 || nonces[0] == "" {
		return nil, fmt.Errorf("challenge with %d nonces", len(nonces))
	}
	if algorithms := list.all("algorithm"); len(algorithms) != 1 || algorithms[0] != "md5-sess" {
		return nil, fmt.Errorf("challenge with algorithm %q, want md5-sess", algorithms)
	}
	if !offersAuth(list.all("qop")) {
		return nil, errors.New("challenge without quality of protection auth")
	}
	charsets := list.all("charset")
	if len(charsets) > 1 || len(charsets) == 1 && charsets[0] != "utf-8" {
		return nil, fmt.Errorf("challenge with charset %q, want utf-8", charsets)
	}
	realm := ""
	if slices.Contains(realms, digestRealm) {
		realm = digestRealm
	} else if len(realms) > 0 {
		realm = realms[0]
	}

	// Names go over the wire in the charset agreed on, and into the hash in Latin-1 if they fit.
	wireUser, wireRealm, charset := d.user, realm, "charset=utf-8,"
	d.user, d.password = latin1(d.user), latin1(d.password)
	if len(charsets) == 0 {
		wireUser, charset = d.user, ""
	} else {
		realm = latin1(realm)
	}
	d.realm, d.nonce, d.cnonce, d.uri = realm, nonces[0], cnonce, digestURI
	return fmt.Appendf(nil, `%susername=%s,realm=%s,nonce=%s,nc=00000001,cnonce=%s,digest-uri=%s,maxbuf=65536,response=%s,qop=auth`,
		charset, quoteDirective(wireUser), quoteDirective(wireRealm), quoteDirective(d.nonce), quoteDirective(cnonce),
		quoteDirective(digestURI), d.digest("AUTHENTICATE")), nil
}

// verify checks the server's proof that it knows the password too.
func (d *digestLogin) verify(token []byte) error {
	list, err := parseDirectives(token)
	if err != nil {
		return err
	}
	proof := list.all("rspauth")
	if len(proof) != 1 || !hmac.Equal([]byte(proof[0]), []byte(d.digest(""))) {
		return errors.New("the server does not prove that it knows the password")
	}
	return nil
}

// digest is the response value of RFC 2831, section 2.1.2.1, with qop auth: of the client, or
// with an empty method of the server.
func (d *digestLogin) digest(method string) string {
	secret := md5.Sum([]byte(d.user + ":" + d.realm + ":" + d.password))
	a1 := string(secret[:]) + ":" + d.nonce + ":" + d.cnonce
	a2 := method + ":" + d.uri
	return md5Hex(md5Hex(a1) + ":" + d.nonce + ":00000001:" + d.cnonce + ":auth:" + md5Hex(a2))
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// latin1 converts s when all its characters allow it; otherwise it stays UTF-8.
func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return s
		}
		b = append(b, byte(r))
	}
	return string(b)
}

func offersAuth(qops []string) bool {
	if len(qops) == 0 {
		return true // the default
	}
	for _, list := range qops {
		for qop := range strings.SplitSeq(list, ",") {
			if strings.Trim(qop, blanks) == "auth" {
				return true
			}
		}
	}
	return false
}

// directives is a list of name=value pairs in the manner of HTTP headers, names in lower case.
type directives []directive

type directive struct{ name, value string }

func (d directives) all(name string) (values []string) {
	for _, e := range d {
		if e.name == name {
			values = append(values, e.value)
		}
	}
	return values
}

const blanks = " \t\r\n"

// parseDirectives reads a token of the server. Its errors quote nothing of it.
func parseDirectives(token []byte) (list directives, err error) {
	if len(token) > maxChallenge {
		return nil, fmt.Errorf("challenge of %d bytes, limit %d", len(token), maxChallenge)
	}
	rest := string(token)
	for {
		rest = strings.TrimLeft(rest, blanks+",") // elements may be empty
		if rest == "" {
			return list, nil
		}
		at := len(token) - len(rest)
		name, value, ok := strings.Cut(rest, "=")
		name = strings.TrimRight(name, blanks)
		value = strings.TrimLeft(value, blanks)
		if !ok || !isDirectiveToken(name) {
			return nil, fmt.Errorf("malformed challenge: no name at byte %d", at)
		}
		if strings.HasPrefix(value, `"`) {
			value, rest, ok = cutQuoted(value)
		} else {
			end := strings.IndexAny(value+",", blanks+",")
			value, rest = value[:end], value[end:]
			ok = isDirectiveToken(value)
		}
		rest = strings.TrimLeft(rest, blanks)
		if !ok || rest != "" && rest[0] != ',' {
			return nil, fmt.Errorf("malformed challenge: bad value at byte %d", at)
		}
		list = append(list, directive{strings.ToLower(name), value})
	}
}

// cutQuoted takes a quoted string, in which a backslash protects any character, off s.
func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func quoteDirective(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func isDirectiveToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}
