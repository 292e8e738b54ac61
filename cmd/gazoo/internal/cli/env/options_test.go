package env

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// resolve parses flags and reads variables as the root command does.
func resolve(t *testing.T, variables map[string]string, args ...string) (*Env, error) {
	t.Helper()
	e := New(Streams{}, func(name string) (string, bool) { value, ok := variables[name]; return value, ok })
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	e.Options.AddTo(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return e, e.Resolve(fs)
}

func TestOptionsComeFromFlagThenEnvironmentThenDefault(t *testing.T) {
	variables := map[string]string{
		"GAZOO_SERVERS": "env:1", "GAZOO_TIMEOUT": "2s", "GAZOO_OUTPUT": "json", "GAZOO_AUTH_FILE": "env-auth", "GAZOO_TLS": "true",
		"GAZOO_TLS_CA": "env-ca", "GAZOO_TLS_CERT": "env-cert", "GAZOO_TLS_KEY": "env-key", "GAZOO_TLS_SERVER_NAME": "env-name",
	}
	flags := []string{
		"--servers=flag:1", "--timeout=3s", "--output=text", "--auth-file=flag-auth", "--tls=false",
		"--tls-ca=flag-ca", "--tls-cert=flag-cert", "--tls-key=flag-key", "--tls-server-name=flag-name",
	}
	empty := map[string]string{}
	for name := range variables {
		empty[name] = ""
	}
	tests := []struct {
		name      string
		variables map[string]string
		flags     []string
		want      Options
	}{
		{"nothing", nil, nil, Options{Servers: gazoo.DefaultHosts, Timeout: 10 * time.Second, Output: "text"}},
		{"empty variables", empty, nil, Options{Servers: gazoo.DefaultHosts, Timeout: 10 * time.Second, Output: "text"}},
		{"variables", variables, nil, Options{
			Servers: "env:1", ServersGiven: true, Timeout: 2 * time.Second, Output: "json", AuthFile: "env-auth",
			TLS: TLSOptions{true, "env-ca", "env-cert", "env-key", "env-name"},
		}},
		{"flags", variables, flags, Options{
			Servers: "flag:1", ServersGiven: true, Timeout: 3 * time.Second, Output: "text", AuthFile: "flag-auth",
			TLS: TLSOptions{false, "flag-ca", "flag-cert", "flag-key", "flag-name"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := resolve(t, tt.variables, tt.flags...)
			if err != nil || *e.Options != tt.want {
				t.Errorf("options are %+v, %v; want %+v", *e.Options, err, tt.want)
			}
		})
	}
}

func TestBadOptionsAreUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		variables map[string]string
		flags     []string
		says      string
	}{
		{nil, []string{"--output=xml"}, "xml"},
		{nil, []string{"--timeout=0s"}, "positive"},
		{map[string]string{"GAZOO_TIMEOUT": "soon"}, nil, "$GAZOO_TIMEOUT"},
		{map[string]string{"GAZOO_TLS": "perhaps"}, nil, "$GAZOO_TLS"},
	} {
		_, err := resolve(t, tt.variables, tt.flags...)
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Resolve with %v, %v = %v; want a usage error about %q", tt.variables, tt.flags, err, tt.says)
		}
	}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "auth")
	tests := []struct {
		name, variable, file string
		want                 []string
		says                 string // of the error
	}{
		{name: "none"},
		{name: "variable", variable: "digest me:pass word", want: []string{"digest|me:pass word"}},
		{name: "file", file: "# us\n\n digest me:x \nsasl\tyou\n", want: []string{"digest|me:x", "sasl|you"}},
		{name: "both", variable: "digest a:1", file: "digest b:2", want: []string{"digest|a:1", "digest|b:2"}},
		{name: "no scheme", variable: "hunter2", says: "$GAZOO_AUTH: want a scheme"},
		{name: "no user", variable: "digest hunter2", says: "$GAZOO_AUTH: a digest credential"},
		{name: "bad line", file: "digest me:x\nhunter2\n", says: "auth:2: want a scheme"},
		{name: "empty file", file: "# nobody\n", says: "no credential in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := &Options{credential: tt.variable}
			if tt.file != "" {
				o.AuthFile = file
				if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			list, err := o.credentials()
			if tt.says != "" {
				if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("credentials() failed with %v; want a usage error with %q and no secret", err, tt.says)
				}
				return
			}
			var got []string
			for _, c := range list {
				got = append(got, c.scheme+"|"+string(c.secret))
			}
			if err != nil || strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("credentials() = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestPath(t *testing.T) {
	tests := []struct {
		cwd, arg, want string // an empty want is a usage error
	}{
		{"", "/", "/"},
		{"", "/a/b/", "/a/b"},
		{"", "//a//b", "/a/b"},
		{"", "/ü x", "/ü x"},
		{"", "a", ""},
		{"", "", ""},
		{"", "/a/../b", ""},
		{"", "/a/./b", ""},
		{"", "/a\x01", ""},
		{"/home", "a", "/home/a"},
		{"/home", "/a", "/a"},
		{"/", "a/b", "/a/b"},
	}
	for _, tt := range tests {
		e := New(Streams{}, nil)
		e.Cwd = tt.cwd
		got, err := e.Path(tt.arg)
		if tt.want == "" {
			if exit.Code(err) != exit.Usage {
				t.Errorf("Path(%q) in %q = %q, %v; want a usage error", tt.arg, tt.cwd, got, err)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("Path(%q) in %q = %q, %v; want %q", tt.arg, tt.cwd, got, err, tt.want)
		}
	}
}
