package env

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// Values of --output.
const (
	OutputText = "text"
	OutputJSON = "json"
)

// authVariable holds a credential. It has no flag: command lines are visible to everybody.
const authVariable = "GAZOO_AUTH"

// Options are the options that all commands share. Each is a flag with an environment variable
// as its twin; the flag wins.
type Options struct {
	Servers  string
	Timeout  time.Duration
	Output   string
	AuthFile string
	TLS      TLSOptions

	// ServersGiven says that Servers is somebody's choice, not the default.
	ServersGiven bool

	credential string // of GAZOO_AUTH
}

// DefaultOptions returns the options that hold when nothing is said.
func DefaultOptions() *Options {
	return &Options{Servers: gazoo.DefaultHosts, Timeout: 10 * time.Second, Output: OutputText}
}

// AddTo defines the flags, with the present values as defaults.
func (o *Options) AddTo(fs *pflag.FlagSet) {
	fs.StringVar(&o.Servers, "servers", o.Servers, "`HOSTS` to connect to: host:port,… with an optional /chroot behind the last")
	fs.DurationVar(&o.Timeout, "timeout", o.Timeout, "longest `time` to connect, and for a whole command that ends by itself")
	fs.StringVar(&o.Output, "output", o.Output, "output `format`: text or json")
	fs.StringVar(&o.AuthFile, "auth-file", o.AuthFile, "`file` with credentials, a line each: digest user:password")
	fs.BoolVar(&o.TLS.On, "tls", o.TLS.On, "speak TLS")
	fs.StringVar(&o.TLS.CA, "tls-ca", o.TLS.CA, "PEM `file` with the CAs to trust instead of the system's (implies --tls)")
	fs.StringVar(&o.TLS.Cert, "tls-cert", o.TLS.Cert, "PEM `file` with the client certificate (implies --tls)")
	fs.StringVar(&o.TLS.Key, "tls-key", o.TLS.Key, "PEM `file` with the key of --tls-cert")
	fs.StringVar(&o.TLS.ServerName, "tls-server-name", o.TLS.ServerName, "`name` expected in the server's certificate (implies --tls)")
	fs.VisitAll(func(f *pflag.Flag) {
		if known[f.Name] {
			f.Usage += " [$" + twin(f.Name) + "]"
		}
	})
}

// known are the flags that have a twin in the environment.
var known = map[string]bool{
	"servers": true, "timeout": true, "output": true, "auth-file": true,
	"tls": true, "tls-ca": true, "tls-cert": true, "tls-key": true, "tls-server-name": true,
}

// twin names the environment variable of a flag: tls-ca has GAZOO_TLS_CA.
func twin(flag string) string {
	return "GAZOO_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Resolve fills the options that no flag has set from the environment and checks them all.
// An empty variable counts as unset.
func (e *Env) Resolve(fs *pflag.FlagSet) error {
	o := e.Options
	lookup := func(name string) string {
		if e.LookupEnv == nil {
			return ""
		}
		value, _ := e.LookupEnv(name)
		return value
	}
	var problem error
	fs.VisitAll(func(f *pflag.Flag) {
		if !known[f.Name] || f.Changed || problem != nil {
			return
		}
		if value := lookup(twin(f.Name)); value != "" {
			if err := fs.Set(f.Name, value); err != nil {
				problem = exit.Usagef("$%s: invalid value %q", twin(f.Name), value)
			}
		}
	})
	if problem != nil {
		return problem
	}
	if f := fs.Lookup("servers"); f != nil && f.Changed {
		o.ServersGiven = true
	}
	if credential := lookup(authVariable); credential != "" {
		o.credential = credential
	}
	switch {
	case o.Output != OutputText && o.Output != OutputJSON:
		return exit.Usagef("output format %q is neither text nor json", o.Output)
	case o.Timeout <= 0:
		return exit.Usagef("the timeout must be positive, not %v", o.Timeout)
	}
	return nil
}
