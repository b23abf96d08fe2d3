package containerpg

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A Selector says which container, user and database are meant. The zero value
// means the only running Postgres container.
type Selector struct {
	// Name is a container's name, a Compose service, or a prefix of a container's ID.
	Name string
	// Project, if set, is the Compose project the container must belong to.
	Project string
	// Port, if not 0, is a host port the container publishes. Name is then empty.
	Port int

	User     string // empty: as the container's environment says
	Database string // empty: as the container's environment says
	Password string // of the user, to try before any other; it is never shown
}

const urlForm = "docker://[USER@]NAME[/DBNAME] or docker://[USER@]:PORT[/DBNAME]"

// IsURL says whether an endpoint is written as a docker URL, well formed or not.
func IsURL(s string) bool {
	return len(s) >= len("docker:") && strings.EqualFold(s[:len("docker:")], "docker:")
}

// ParseURL reads a docker URL. Each of its parts may be percent-encoded. A
// password is refused, and no error repeats any part of a URL that could hold one.
func ParseURL(s, project string) (Selector, error) {
	if !IsURL(s) || !strings.HasPrefix(s[len("docker:"):], "//") {
		return Selector{}, errors.New("not a docker URL; want " + urlForm)
	}
	rest := s[len("docker://"):]
	// Where there is an @, any part before it may be a password, encoded or not.
	show := func(part string) string {
		if strings.Contains(rest, "@") {
			return ""
		}
		return fmt.Sprintf(" %q", part)
	}

	authority, database, _ := strings.Cut(rest, "/")
	user, name, hasUser := cutLast(authority, "@")
	if strings.Contains(user, ":") {
		return Selector{}, errors.New("docker URL holds a password; leave it out and use PGPASSWORD or ~/.pgpass, want " + urlForm)
	}
	if strings.ContainsAny(rest, "?#") {
		return Selector{}, errors.New("docker URL holds ? or #; parameters are not supported, and in a name they are written %3F and %23")
	}
	if strings.Contains(database, "/") {
		return Selector{}, fmt.Errorf("docker URL: database%s holds a slash; write it as %%2F, and give a Compose project with --project", show(database))
	}

	sel := Selector{Project: project}
	var err error
	if sel.User, err = url.PathUnescape(user); err != nil || hasUser && user == "" {
		return Selector{}, errors.New("docker URL: malformed user; want " + urlForm)
	}
	if sel.Database, err = url.PathUnescape(database); err != nil {
		return Selector{}, fmt.Errorf("docker URL: malformed database%s; want %s", show(database), urlForm)
	}
	if port, ok := strings.CutPrefix(name, ":"); ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Selector{}, fmt.Errorf("docker URL: malformed port%s; want a published port from 1 to 65535", show(port))
		}
		sel.Port = int(n)
		return sel, nil
	}
	if strings.Contains(name, ":") {
		return Selector{}, fmt.Errorf("docker URL:%s is both a name and a port; give the container's name alone, or :PORT for the container that publishes that port", show(name))
	}
	if sel.Name, err = url.PathUnescape(name); err != nil {
		return Selector{}, fmt.Errorf("docker URL: malformed container name%s; want %s", show(name), urlForm)
	}
	if sel.Name == "" && name != "" || strings.ContainsRune(sel.User+sel.Name+sel.Database, 0) {
		return Selector{}, errors.New("docker URL: malformed name; want " + urlForm)
	}
	return sel, nil
}

// what says which container is meant, after the word container.
func (s Selector) what() string {
	if s.Port != 0 {
		return fmt.Sprintf("publishing port %d", s.Port)
	}
	return fmt.Sprintf("with the name, Compose service or ID %q", s.Name)
}

// cutLast is strings.Cut at the last sep; without one, all of s is after.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}
