package gazoo

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// SASLMechanism authenticates connections by SASL: see [WithSASL]. [DigestMD5] is built in;
// others, Kerberos for one, can come as modules of their own. A mechanism serves one
// connection at a time, on goroutines of the client's choice. Neither its errors nor its
// printed form may show a secret.
type SASLMechanism interface {
	// Name is the mechanism's registered name, such as "GSSAPI".
	Name() string
	// Start begins the exchange of one connection. Its context, like that of every step, lasts
	// as long as the attempt to connect and is canceled behind it, whatever became of it.
	Start(ctx context.Context, server SASLServer) (SASLExchange, error)
}

// SASLServer is who a connection is authenticated to.
type SASLServer struct {
	Host Host   // as configured: what a service principal is made of
	Addr string // as dialled
}

// SASLExchange is the client's side of one authentication.
type SASLExchange interface {
	// Step takes the server's token, nil at first and never nil later, and returns the answer
	// to it. done says that the mechanism needs no further token. A nil response is then not
	// sent at all; any other one still has to be accepted by the server, whose token with that
	// is not looked at. Without done a nil response is sent as an empty token.
	//
	// A server without SASL, or one that lets failed logins pass, answers without a token. An
	// exchange that is not done then fails, so one that wants to be certain of the server has
	// to wait for its proof. challenge is only valid during the call.
	Step(ctx context.Context, challenge []byte) (response []byte, done bool, err error)
}

// SASLError is a failed SASL exchange. It unwraps to its cause, and matches [ErrAuthFailed]
// when a server refused.
type SASLError struct {
	Mechanism string
	Server    string // address as dialled
	Refused   bool   // the server's verdict, not a failure on the way to it
	Err       error  // a [Code], what the mechanism said, or why the connection ended
}

// Error returns, for example, "SASL DIGEST-MD5 refused by 10.0.0.1:2181: authentication failed".
func (e *SASLError) Error() string {
	with := "with"
	if e.Refused {
		with = "refused by"
	}
	return fmt.Sprintf("SASL %s %s %s: %v", e.Mechanism, with, e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *SASLError) Unwrap() error { return e.Err }

// Is makes every refusal match [ErrAuthFailed], whichever way the server said no.
func (e *SASLError) Is(target error) bool { return e.Refused && target == ErrAuthFailed }

var errNoToken = errors.New("no identity granted: the server has no SASL, or lets failed logins pass")

// login runs the SASL exchange, behind which everything else on the connection waits.
func (c *core) login(ctx context.Context, l *link, r *attemptResult) error {
	m := c.cfg.sasl
	if m == nil {
		return nil
	}
	fail := func(refused bool, err error) error {
		e := &SASLError{Mechanism: m.Name(), Server: l.addr, Refused: refused, Err: err}
		if refused {
			r.refused = e
		}
		return e
	}
	exchange, err := m.Start(ctx, SASLServer{Host: l.host, Addr: l.addr})
	if err != nil {
		return fail(false, err)
	}
	var challenge []byte
	for {
		response, done, err := exchange.Step(ctx, challenge)
		if err != nil {
			return fail(false, err)
		}
		if done && response == nil {
			break
		}
		var code Code
		challenge, code, err = c.sendToken(l, response, r)
		switch {
		case err != nil:
			return fail(false, err)
		case code != 0:
			return fail(refusesSASL(code), code)
		case !done && challenge == nil:
			return fail(true, errNoToken)
		}
		if done {
			break
		}
	}
	r.loggedIn = true
	return nil
}

// refusesSASL tells a server's verdict on a login from troubles that pass.
func refusesSASL(code Code) bool {
	return code == ErrAuthFailed || code == ErrSessionClosedRequireSASLAuth || code == ErrUnimplemented
}

// sendToken sends one token, never a null one, on which servers close. It returns the answer,
// whose token may be null.
func (c *core) sendToken(l *link, token []byte, r *attemptResult) ([]byte, Code, error) {
	if token == nil {
		token = []byte{}
	}
	c.send.mu.Lock()
	xid := c.send.nextXid()
	c.send.mu.Unlock()
	b, mark := zkproto.BeginFrame(nil)
	b = zkproto.RequestHeader{Xid: xid, Op: zkproto.OpSASL}.AppendTo(b)
	b = zkproto.SASLRequest{Token: token}.AppendTo(b)
	l.sendRaw(zkproto.EndFrame(b, mark))
	h, body, err := c.handshakeAnswer(l, r)
	if err != nil || h.Err != 0 {
		return nil, h.Err, err // a null token may follow the error
	}
	if h.Xid != xid {
		return nil, 0, fmt.Errorf("reply out of order: xid %d, expected %d", h.Xid, xid)
	}
	var resp zkproto.SASLResponse
	resp.Decode(&body)
	return bytes.Clone(resp.Token), 0, body.Err()
}
