package ensemble

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/internal/testcert"
)

const log4jProperties = `log4j.rootLogger=INFO, OUT
log4j.appender.OUT=org.apache.log4j.ConsoleAppender
log4j.appender.OUT.layout=org.apache.log4j.PatternLayout
log4j.appender.OUT.layout.ConversionPattern=%d{ISO8601} %-5p [%t:%C{1}@%L] %m%n
`

// The files of one server, all in its folder.
const (
	configFile     = "zoo.cfg"
	logFile        = "server.log"
	jaasFile       = "jaas.conf"
	confDir        = "conf"
	dataDir        = "data"
	keyStoreFile   = "key.pem"
	trustStoreFile = "trust.pem"
)

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// writeFiles writes everything a server reads at its start. Its data is not touched.
func (s *Server) writeFiles() error {
	for _, dir := range []string{confDir, dataDir} {
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		filepath.Join(confDir, "log4j.properties"): log4jProperties,
		filepath.Join(dataDir, "myid"):             strconv.Itoa(s.id) + "\n",
		configFile:                                 s.zooCfg(),
	}
	if s.e.cfg.JAAS != "" {
		files[jaasFile] = s.e.cfg.JAAS
	}
	for name, text := range files {
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if tls := s.e.cfg.TLS; tls != nil {
		_, certPEM, keyPEM := tls.CA.Server(s.host, "localhost")
		if err := testcert.WriteKeyStore(s.path(keyStoreFile), certPEM, keyPEM); err != nil {
			return err
		}
		return tls.CA.WriteTrustStore(s.path(trustStoreFile))
	}
	return nil
}

// zooCfg returns the server's configuration file.
func (s *Server) zooCfg() string {
	c, ports := s.e.cfg, s.e.addrs.ports
	lines := map[string]string{
		"tickTime":                millis(c.TickTime),
		"dataDir":                 s.path(dataDir),
		"clientPort":              strconv.Itoa(ports.client),
		"clientPortAddress":       s.host,
		"maxClientCnxns":          "0",
		"maxSessionTimeout":       millis(c.MaxSessionTimeout),
		"4lw.commands.whitelist":  "*",
		"admin.enableServer":      "false",
		"admin.serverAddress":     s.host,
		"admin.serverPort":        strconv.Itoa(ports.admin),
		"reconfigEnabled":         strconv.FormatBool(c.ReconfigEnabled),
		"localSessionsEnabled":    strconv.FormatBool(c.LocalSessions),
		"initLimit":               strconv.Itoa(c.ticks(4*time.Second, 8)),
		"syncLimit":               strconv.Itoa(c.ticks(3*time.Second, 5)),
		"autopurge.purgeInterval": "0",
	}
	if c.MinSessionTimeout > 0 {
		lines["minSessionTimeout"] = millis(c.MinSessionTimeout)
	}
	if c.LocalSessions {
		lines["localSessionsUpgradingEnabled"] = "true"
	}
	if c.AuthProviderX509 {
		lines["authProvider.x509"] = "org.apache.zookeeper.server.auth.X509AuthenticationProvider"
	}
	if tls := c.TLS; tls != nil {
		lines["serverCnxnFactory"] = "org.apache.zookeeper.server.NettyServerCnxnFactory"
		lines["secureClientPort"] = strconv.Itoa(ports.secure)
		lines["secureClientPortAddress"] = s.host
		lines["ssl.clientAuth"] = string(tls.ClientAuth)
		lines["ssl.keyStore.location"] = s.path(keyStoreFile)
		lines["ssl.trustStore.location"] = s.path(trustStoreFile)
	}
	if c.Servers > 1 {
		for _, other := range s.e.servers {
			role := "participant"
			if other.observer() {
				role = "observer"
			}
			lines["server."+strconv.Itoa(other.id)] = s.peerAddrs(other) + ":" + role
		}
		if s.observer() {
			lines["peerType"] = "observer"
		}
	}
	maps.Copy(lines, c.Properties)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "%s=%s\n", key, lines[key])
	}
	return b.String()
}

// peerAddrs returns where this server finds the quorum and the election port of one of the servers, itself included,
// as "host:port:port".
//
// With proxies between them each server has its own view: the others are the proxies that lead to them, and itself is
// the wildcard address. The latter is what keeps the election behind the proxies: of two servers the one with the
// lower id must not call, so when it does, the other hangs up and calls back, at the address that the caller
// announced from its own line of zoo.cfg. Only a wildcard address is ignored there, in favour of the own view.
func (s *Server) peerAddrs(other *Server) string {
	a := s.e.addrs
	switch {
	case !s.e.cfg.QuorumProxies:
		return fmt.Sprintf("%s:%d:%d", other.host, a.ports.quorum, a.ports.election)
	case other == s:
		quorum, election := a.wildcardPorts(s.id)
		return fmt.Sprintf("0.0.0.0:%d:%d", quorum, election)
	default:
		return fmt.Sprintf("%s:%d:%d", a.proxy(s.id, other.id), a.ports.quorum, a.ports.election)
	}
}

// command returns the arguments of java that run the server.
func (s *Server) command(classpath string) []string {
	c := s.e.cfg
	system := map[string]string{
		"zookeeper.extendedTypesEnabled":               strconv.FormatBool(!c.NoExtendedTypes),
		"zookeeper.jmx.log4j.disable":                  "true",
		"zookeeper.preAllocSize":                       "4096", // KiB; 64 MiB per log file otherwise
		"zookeeper.fastleader.maxNotificationInterval": "1000", // a minute otherwise, in which a healed server stays out
		"java.net.preferIPv4Stack":                     "true",
	}
	if !c.ForceSync {
		system["zookeeper.forceSync"] = "no"
	}
	if c.ReadOnlyMode {
		system["readonlymode.enabled"] = "true"
	}
	if c.SuperDigest != "" {
		system["zookeeper.DigestAuthenticationProvider.superDigest"] = c.SuperDigest
	}
	if c.JAAS != "" {
		system["java.security.auth.login.config"] = s.path(jaasFile)
	}
	maps.Copy(system, c.SystemProperties)

	args := slices.Clone(c.JVM)
	if args == nil {
		args = []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData"}
	}
	for _, key := range slices.Sorted(maps.Keys(system)) {
		args = append(args, "-D"+key+"="+system[key])
	}
	return append(args,
		"-cp", s.path(confDir)+string(os.PathListSeparator)+classpath,
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", s.path(configFile))
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
