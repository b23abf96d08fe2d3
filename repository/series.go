package repository

import (
	"strings"

	"github.com/pgberth/pgberth/internal/human"
)

// A Series is the backups of one database: a folder of the repository, named after the database. Names that start with @ are
// pgberth's own. The zero value stands for all.
type Series string

// Globals is the series of what a whole server has besides its databases: roles, memberships, tablespaces.
const Globals Series = "@globals"

// Drills is the series of the reports of restore drills. It is among others only where it is named: what is kept of
// backups, and when there must be a new one, does not go for reports.
const Drills Series = "@drills"

const hexDigits = "0123456789ABCDEF"

// Database returns the series of a database. Every name has its own: bytes that could mean something to a
// file system, a bucket or a shell are escaped as in URLs.
func Database(name string) Series {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; isPlain(c) && (i > 0 || c != '.') {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return Series(b.String())
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_.-", c) >= 0
}

// IsOwn reports whether the series is not that of a database.
func (s Series) IsOwn() bool { return strings.HasPrefix(string(s), "@") }

// Name is the name of the database, or that of a series of pgberth's own with its @.
func (s Series) Name() string {
	name, ok := s.unescape()
	if s.IsOwn() || !ok {
		return string(s)
	}
	return name
}

// shown is Name for messages.
func (s Series) shown() string { return human.Name(s.Name()) }

func (s Series) unescape() (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

// parseSeries reads the name of a folder. Folders that pgberth would not make are somebody else's.
func parseSeries(folder string) (Series, bool) {
	s := Series(folder)
	if name, own := strings.CutPrefix(folder, "@"); own {
		return s, name != "" && string(Database(name)) == name
	}
	name, ok := s.unescape()
	return s, ok && name != "" && Database(name) == s
}
