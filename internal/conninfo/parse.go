package conninfo

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrSyntax is wrapped by every error about the form of a connection string.
// The errors never quote the string: a misplaced password may be anywhere in it.
var ErrSyntax = errors.New("invalid connection string")

func syntaxError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSyntax, fmt.Sprintf(format, args...))
}

// isURI reports whether s has the form of a connection URI.
func isURI(s string) bool {
	return strings.HasPrefix(s, "postgresql://") || strings.HasPrefix(s, "postgres://")
}

// known are the parameters of libpq.
var known = set(`service user password passfile channel_binding connect_timeout dbname host hostaddr port
	client_encoding options application_name fallback_application_name
	keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout
	sslmode sslnegotiation sslcompression sslcert sslkey sslcertmode sslpassword sslrootcert sslcrl sslcrldir sslsni
	requirepeer require_auth ssl_min_protocol_version ssl_max_protocol_version min_protocol_version max_protocol_version
	gssencmode krbsrvname gsslib gssdelegation replication target_session_attrs load_balance_hosts`)

func set(names string) map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(names) {
		m[name] = true
	}
	return m
}

// parse reads a connection string into its parameters, by the rules of libpq
// ("Connection Strings" in the documentation of libpq). A bare word, which psql
// takes for a database, is refused: it may as well be meant for a container, and
// rows would go to another server.
func parse(s string) (map[string]string, error) {
	scheme, _, hasScheme := strings.Cut(s, "://")
	switch {
	case strings.Contains(s, "\x00"):
		return nil, syntaxError("it holds a NUL byte")
	case isURI(s):
		return parseURI(s)
	case hasScheme && strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+.-") == "":
		return nil, syntaxError("unknown scheme %q: use postgres://, docker:// or a keyword string such as \"host=... dbname=...\"", scheme)
	case strings.Contains(s, "="):
		return parseKeywords(s)
	case strings.ContainsAny(s, ":/@"):
		return nil, syntaxError("neither a postgres:// URI, a docker:// name nor a keyword string")
	case s == "":
		return map[string]string{}, nil
	}
	return nil, syntaxError("a bare word could be a database or a container: write dbname=NAME, or docker://NAME")
}

// parseURI reads scheme://[user[:password]@][host[:port][,...]][/dbname][?name=value[&...]].
func parseURI(s string) (map[string]string, error) {
	_, rest, _ := strings.Cut(s, "://")
	params := map[string]string{}

	// An "@" before any "/" ends the user and password: the last one, for no
	// host has an "@" and many a password does.
	if at := strings.IndexAny(rest, "@/"); at >= 0 && rest[at] == '@' {
		hosts, _ := cutAny(rest[at+1:], "/?")
		at += 1 + strings.LastIndex(hosts, "@")
		user, password, _ := strings.Cut(rest[:at], ":")
		rest = rest[at+1:]
		if err := decode(params, "user", user); err != nil {
			return nil, err
		}
		if err := decode(params, "password", password); err != nil {
			return nil, err
		}
	}
	hosts, path := cutAny(rest, "/?")
	path, query, _ := strings.Cut(path, "?")
	dbname := strings.TrimPrefix(path, "/")
	if strings.Contains(dbname, "@") {
		return nil, syntaxError("the database has an \"@\" (a \"/\" in a password is written %%2F, an \"@\" anywhere %%40)")
	}
	if err := decode(params, "dbname", dbname); err != nil {
		return nil, err
	}
	if err := parseHosts(params, hosts); err != nil {
		return nil, err
	}
	return params, parseQuery(params, query)
}

// cutAny cuts s before the first of the bytes in any.
func cutAny(s, any string) (before, rest string) {
	if i := strings.IndexAny(s, any); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func parseQuery(params map[string]string, query string) error {
	for i, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return syntaxError("a parameter after \"?\" has no \"=\"")
		}
		if name == "ssl" && value == "true" {
			name, value = "sslmode", "require"
		}
		if decoded, err := url.PathUnescape(name); err == nil {
			name = decoded
		}
		if !known[name] {
			return syntaxError("libpq does not know parameter %d after the \"?\"", i+1)
		}
		if err := decode(params, name, value); err != nil {
			return err
		}
	}
	return nil
}

func parseHosts(params map[string]string, authority string) error {
	var hosts, ports []string
	for _, part := range strings.Split(authority, ",") {
		var host, port string
		if strings.HasPrefix(part, "[") {
			end := strings.Index(part, "]")
			if end < 0 {
				return syntaxError("an IPv6 address lacks its closing bracket")
			}
			var after string
			host, after = part[1:end], part[end+1:]
			if port = strings.TrimPrefix(after, ":"); host == "" || after != "" && port == after {
				return syntaxError("what is not an address and port follows \"[\"")
			}
		} else {
			host, port, _ = strings.Cut(part, ":")
		}
		if strings.Trim(port, "0123456789") != "" {
			return syntaxError("a port is not a number (an \"@\", \":\" or \"/\" in a password is written %%40, %%3A, %%2F)")
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if joined := strings.Join(hosts, ","); joined != "" {
		if err := decode(params, "host", joined); err != nil {
			return err
		}
	}
	if strings.Join(ports, "") != "" {
		params["port"] = strings.Join(ports, ",")
	}
	return nil
}

// decode stores a percent-encoded value. An empty one counts as not given.
func decode(params map[string]string, name, encoded string) error {
	if encoded == "" {
		return nil
	}
	value, err := url.PathUnescape(encoded)
	if err != nil || strings.Contains(value, "\x00") {
		return syntaxError("the %s holds an invalid percent-encoding", name)
	}
	params[name] = value
	return nil
}

// parseKeywords reads name = value pairs; a value with blanks stands in single
// quotes, in which quotes and backslashes are escaped by a backslash.
func parseKeywords(s string) (map[string]string, error) {
	params := map[string]string{}
	const blank = " \t\r\n\v\f"
	s = strings.TrimLeft(s, blank)
	for n := 1; s != ""; n++ {
		name, rest, found := strings.Cut(s, "=")
		name = strings.TrimRight(name, blank)
		if !found || name == "" || strings.ContainsAny(name, blank) {
			return nil, syntaxError("missing \"=\" after a keyword")
		}
		value, rest, err := keywordValue(strings.TrimLeft(rest, blank))
		if err != nil {
			return nil, err
		}
		if !known[name] {
			return nil, syntaxError("libpq does not know keyword %d (a value with blanks stands in single quotes)", n)
		}
		params[name] = value
		s = strings.TrimLeft(rest, blank)
	}
	return params, nil
}

func keywordValue(s string) (value, rest string, err error) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i < len(s) { // one at the very end protects nothing
				b.WriteByte(s[i])
			}
		case quoted && c == '\'':
			return b.String(), s[i+1:], nil
		case !quoted && strings.IndexByte(" \t\r\n\v\f", c) >= 0:
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", syntaxError("a quoted value has no closing quote")
	}
	return b.String(), "", nil
}
