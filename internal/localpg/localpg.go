// Package localpg finds the server programs of this host, and whom they run as.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Programs are the server programs of a version.
type Programs struct {
	Dir   string
	Major int
}

// patterns are the folders of distributions: Debian's, RHEL's, Homebrew's (Apple and Intel).
var patterns = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"}

// Find lists the server programs of this host, newest first.
func Find(ctx context.Context) []Programs {
	var dirs []string
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		dirs = append(dirs, found...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	var list []Programs
	for _, dir := range dirs {
		if major := Major(ctx, dir); major > 0 {
			list = append(list, Programs{dir, major})
		}
	}
	slices.SortStableFunc(list, func(a, b Programs) int { return b.Major - a.Major })
	return list
}

// Major is the version of the server program in a folder, 0 if none runs there.
func Major(ctx context.Context, dir string) int {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	return parseMajor(string(out))
}

// parseMajor reads the 15 in "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", and 18 in "18beta1".
func parseMajor(version string) int {
	_, rest, _ := strings.Cut(version, "(PostgreSQL) ")
	if end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		rest = rest[:end]
	}
	major, _ := strconv.Atoi(rest) // what is no number is no version
	return major
}

// Unprivileged returns whom a server runs as: nil for the caller, or for root an account that is not.
func Unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("root may not run a server, and there is no user postgres or nobody to run it")
}
