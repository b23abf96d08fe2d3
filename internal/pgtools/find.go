package pgtools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// versioned are the folders where distributions keep clients of several major
// versions side by side: Debian's, RHEL's, Homebrew's (Apple and Intel),
// Postgres.app's.
var versioned = []string{
	"/usr/lib/postgresql/*/bin/pg_dump",
	"/usr/pgsql-*/bin/pg_dump",
	"/opt/homebrew/opt/postgresql@*/bin/pg_dump",
	"/opt/homebrew/opt/libpq/bin/pg_dump",
	"/usr/local/opt/postgresql@*/bin/pg_dump",
	"/usr/local/opt/libpq/bin/pg_dump",
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin/pg_dump",
	"/Applications/Postgres.app/Contents/Versions/*/bin/pg_dump",
}

// FindHost returns the pg_dumps installed on this machine, none twice. If path
// is given it is the only one, and an error if it does not run.
func FindHost(ctx context.Context, path string) ([]Client, error) {
	if path != "" {
		client, err := probe(ctx, path)
		if err != nil {
			return nil, err
		}
		return []Client{client}, nil
	}
	var paths []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if dir != "" {
			paths = append(paths, filepath.Join(dir, "pg_dump"))
		}
	}
	for _, pattern := range versioned {
		found, _ := filepath.Glob(pattern) // the patterns are well-formed
		paths = append(paths, found...)
	}
	var clients []Client
	seen := map[string]bool{}
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			continue
		}
		// Debian's wrapper, which takes its time, picks one of the versioned programs:
		// these are candidates themselves.
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] || filepath.Base(real) == "pg_wrapper" {
			continue
		}
		seen[real] = true
		client, err := probe(ctx, path)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue // a broken installation is no candidate
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// probe asks the pg_dump at path for its version.
func probe(ctx context.Context, path string) (*hostClient, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("there is no pg_dump at %s", path)
		}
		return nil, fmt.Errorf("run %s --version: %w", path, err)
	}
	version, err := ParseVersion(string(out))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &hostClient{path: path, version: version}, nil
}

// ParseVersion reads the answer to --version, such as
// "pg_dump (PostgreSQL) 17.6 (Debian 17.6-1)" or "... 18beta1".
func ParseVersion(s string) (int, error) {
	_, rest, found := strings.Cut(s, "(PostgreSQL) ")
	var major, minor int
	if found {
		_, _ = fmt.Sscanf(rest, "%d.%d", &major, &minor)
	}
	if major == 0 {
		return 0, fmt.Errorf("no version of PostgreSQL in %q", strings.TrimSpace(s))
	}
	return major*10000 + minor, nil
}
