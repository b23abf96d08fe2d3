package containerpg

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// A Client is a pg_dump found in an image.
type Client struct {
	Path    string `json:"path"`
	Version string `json:"version"` // such as 17.6
}

// listClients prints the path and version of every pg_dump in the places where
// images keep them. Debian's pg_wrapper, which would choose among them by rules
// of its own, is left out.
const listClients = `IFS=:
for d in $PATH /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin /opt/bitnami/postgresql/bin /usr/local/bin; do
	f=$d/pg_dump
	[ -x "$f" ] || continue
	f=$(readlink -f "$f") || continue
	case $f in */pg_wrapper) continue ;; esac
	v=$("$f" --version) && printf '%s\t%s\n' "$f" "$v"
done
exit 0
`

// ClientVersions answers the pg_dump programs in an image, those on its PATH
// first.
func (e *Engine) ClientVersions(ctx context.Context, image string) ([]Client, error) {
	var out bytes.Buffer
	spec := RunSpec{Image: image, Cmd: []string{"/bin/sh", "-c", listClients}, Network: "none", Stdout: &out}
	if err := e.Run(ctx, spec); err != nil {
		return nil, fmt.Errorf("look for pg_dump in %s: %w", image, err)
	}
	return parseClients(out.String()), nil
}

func parseClients(text string) []Client {
	var clients []Client
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		path, version, ok := strings.Cut(strings.TrimSpace(line), "\t")
		// As in "pg_dump (PostgreSQL) 17.6 (Debian 17.6-1.pgdg13+1)".
		_, version, named := strings.Cut(version, "(PostgreSQL) ")
		version, _, _ = strings.Cut(version, " ")
		if !ok || !named || version == "" || seen[path] {
			continue
		}
		seen[path] = true
		clients = append(clients, Client{Path: path, Version: version})
	}
	return clients
}
