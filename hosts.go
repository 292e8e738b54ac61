package gazoo

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// DefaultHosts is the connect string used when none is given.
const DefaultHosts = "127.0.0.1:2181"

// DefaultPort is the port of a host that names none.
const DefaultPort = 2181

// Host is one configured server: a name or an IP literal, never resolved here.
type Host struct {
	Name string // host name or IP literal, without brackets
	Port int
	TLS  TLSMode
}

// TLSMode says how a host is to be spoken to.
type TLSMode uint8

const (
	// TLSDefault uses TLS when [WithTLS] was given.
	TLSDefault TLSMode = iota
	// TLSRequired (written tls://host) uses TLS always, with the configuration of [WithTLS].
	TLSRequired
	// TLSOff (written tcp://host) uses none even when [WithTLS] was given.
	TLSOff
)

// Addr returns host:port, with IPv6 literals in brackets.
func (h Host) Addr() string { return net.JoinHostPort(h.Name, strconv.Itoa(h.Port)) }

// String returns the address, with the scheme when one was configured.
func (h Host) String() string {
	switch h.TLS {
	case TLSRequired:
		return "tls://" + h.Addr()
	case TLSOff:
		return "tcp://" + h.Addr()
	}
	return h.Addr()
}

// ParseHosts takes a connect string apart: hosts separated by commas, white space tolerated,
// a port on each host optional (2181), IPv6 literals in brackets (bare ones are accepted when
// they carry no port), an optional chroot from the first '/' on. A host may be preceded by
// tls:// or tcp://. The empty string means [DefaultHosts]. Every problem is reported at once,
// each an [*ArgumentError].
func ParseHosts(s string) (hosts []Host, chroot string, err error) {
	return parseHostList([]string{s})
}

// parseHostList parses a list whose elements are connect strings; a chroot may stand behind
// the last host or as the last element.
func parseHostList(list []string) (hosts []Host, chroot string, err error) {
	var problems []error
	joined := strings.TrimSpace(strings.Join(list, ","))
	hostPart, chroot := cutChroot(joined)
	if chroot != "" && chroot != "/" {
		if err := ValidatePath(chroot); err != nil {
			problems = append(problems, badArg("hosts", "chroot: %v", err))
		}
	}
	hostPart = strings.TrimSpace(hostPart)
	if chroot != "" {
		hostPart = strings.TrimSpace(strings.TrimSuffix(hostPart, ",")) // the chroot was an element of its own
	}
	if chroot == "/" {
		chroot = ""
	}
	if hostPart == "" {
		hostPart = DefaultHosts
	}
	for part := range strings.SplitSeq(hostPart, ",") {
		host, err := parseHost(strings.TrimSpace(part))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		hosts = append(hosts, host)
	}
	if len(problems) > 0 {
		return nil, "", errors.Join(problems...)
	}
	return hosts, chroot, nil
}

// cutChroot splits at the first '/' that is not part of a scheme.
func cutChroot(s string) (hosts, chroot string) {
	for i := 0; i < len(s); i++ {
		if s[i] != '/' {
			continue
		}
		if i > 0 && s[i-1] == ':' && strings.HasPrefix(s[i:], "//") {
			i++
			continue
		}
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

func parseHost(s string) (Host, error) {
	h := Host{Port: DefaultPort}
	if rest, ok := strings.CutPrefix(s, "tls://"); ok {
		h.TLS, s = TLSRequired, rest
	} else if rest, ok := strings.CutPrefix(s, "tcp://"); ok {
		h.TLS, s = TLSOff, rest
	}
	if s == "" {
		return h, badArg("hosts", "empty host")
	}
	name, port := s, ""
	switch {
	case s[0] == '[':
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return h, badArg("hosts", "%q lacks a closing bracket", s)
		}
		name = s[1:end]
		if addr, err := netip.ParseAddr(name); err != nil || !addr.Is6() {
			return h, badArg("hosts", "%q is no IPv6 address", name)
		}
		if rest := s[end+1:]; rest != "" {
			if rest[0] != ':' {
				return h, badArg("hosts", "%q has text behind the bracket", s)
			}
			port = cmp.Or(rest[1:], "missing")
		}
	case strings.Count(s, ":") > 1:
		// More than one colon and no brackets: an IPv6 literal without a port.
		if addr, err := netip.ParseAddr(s); err != nil || !addr.Is6() {
			return h, badArg("hosts", "%q is neither host:port nor an IPv6 address", s)
		}
	default:
		var colon bool
		if name, port, colon = strings.Cut(s, ":"); colon && port == "" {
			port = "missing"
		}
	}
	if _, err := netip.ParseAddr(name); err != nil && (name == "" || strings.ContainsAny(name, " \t\r\n\x00@\\?#%")) {
		return h, badArg("hosts", "%q is no host name", s)
	}
	h.Name = name
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return h, badArg("hosts", "%q: port is not a number from 1 to 65535", s)
		}
		h.Port = int(n)
	}
	return h, nil
}
