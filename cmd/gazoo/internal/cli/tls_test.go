package cli_test

import (
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/testcert"
)

func TestTLS(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{TLS: &ensemble.TLSConfig{ClientAuth: ensemble.ClientAuthNeed}})
	dir := t.TempDir()
	file := func(name string, pem []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, cert, key := e.CA().Client(pkix.Name{CommonName: "me"})
	ca, certFile, keyFile := file("ca.pem", e.CA().PEM()), file("cert.pem", cert), file("key.pem", key)
	strange := file("strange.pem", testcert.NewCA().PEM())

	servers := "--servers=" + e.TLSHosts()
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"right", []string{"--tls-ca", ca, "--tls-cert", certFile, "--tls-key", keyFile, "ls"}, exit.OK, ""},
		{"four-letter word", []string{"--tls-ca", ca, "--tls-cert", certFile, "--tls-key", keyFile, "ruok"}, exit.OK, ""},
		{"demo", []string{"--tls-ca", ca, "--tls-cert", certFile, "--tls-key", keyFile, "demo"}, exit.OK, ""},
		{"unknown authority", []string{"--tls-ca", strange, "--tls-cert", certFile, "--tls-key", keyFile, "ls"}, exit.Unreachable, "certificate"},
		{"system's authorities", []string{"--tls", "ls"}, exit.Unreachable, "certificate"},
		{"another name", []string{"--tls-ca", ca, "--tls-server-name", "other", "--tls-cert", certFile, "--tls-key", keyFile, "ls"}, exit.Unreachable, "other"},
		{"key is missing", []string{"--tls-cert", certFile, "ls"}, exit.Usage, "--tls-key"},
		{"no certificate in the file", []string{"--tls-ca", keyFile, "ls"}, exit.Usage, "no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, talk strings.Builder
			code := cli.Run(t.Context(), append(tt.args, servers), env.New(env.Streams{Out: &out, Err: &talk}, nil))
			if code != tt.code || !strings.Contains(talk.String(), tt.says) {
				t.Errorf("gazoo %q: exit code %d, said %q; want %d and %q", tt.args, code, talk.String(), tt.code, tt.says)
			}
		})
	}
}
