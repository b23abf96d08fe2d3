package conninfo

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// socketDirs are the folders where the servers of distributions keep their
// sockets. In a password file they go by the name localhost.
var socketDirs = []string{"/var/run/postgresql", "/run/postgresql", "/private/tmp", "/tmp"}

// passFilePath is where libpq looks for passwords.
func passFilePath(params map[string]string) string {
	path := cmp.Or(params["passfile"], os.Getenv("PGPASSFILE"))
	if home, err := os.UserHomeDir(); path == "" && err == nil {
		path = filepath.Join(home, ".pgpass")
	}
	return path
}

// filePassword looks a password up as libpq does. A file that cannot be read,
// or that others may read, holds none.
func filePassword(path, host, port, dbname, user string) string {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o077 != 0 {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		rest, ok := matchField(line, host)
		if !ok && slices.Contains(socketDirs, host) {
			rest, ok = matchField(line, "localhost")
		}
		for _, want := range []string{port, dbname, user} {
			if ok {
				rest, ok = matchField(rest, want)
			}
		}
		if ok {
			password, _, _ := cutField(rest)
			return password
		}
	}
	return ""
}

// matchField compares a line's first field with what is wanted, and returns
// what follows it.
func matchField(line, want string) (rest string, ok bool) {
	if rest, ok := strings.CutPrefix(line, "*:"); ok {
		return rest, true
	}
	field, rest, found := cutField(line)
	return rest, found && field == want
}

// cutField cuts s at its first colon. A backslash protects what follows it.
func cutField(s string) (field, rest string, found bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ':':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), "", false
}
