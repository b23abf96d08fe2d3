// Package pgtools finds and runs pg_dump.
package pgtools

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/preflight"
)

// Request is one run of pg_dump.
type Request struct {
	Conninfo string         // libpq keyword string without a password
	PassFile string         // text of a password file, "" for none
	Peer     *conninfo.Peer // the user to run as, nil for the current one
	Args     []string       // further arguments
	Stdout   io.Writer
}

// Client is a pg_dump that can be run: one of the host's, or one in an image.
type Client interface {
	// Version is the version as server_version_num counts: 170006 for 17.6.
	Version() int
	// String names the client for the user: its path or image, and version.
	String() string
	// Dump runs pg_dump and returns when it has exited and all of its output
	// was written. The error holds what it printed on stderr, and is an
	// *ExitError if it ended with another status than 0. The end of ctx ends
	// it.
	Dump(ctx context.Context, req Request) error
}

// ExitError is the failure of a client that ran.
type ExitError struct {
	Client string
	Code   int
	Stderr string // its last lines
}

func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("%s ended with status %d", e.Client, e.Code)
	}
	return fmt.Sprintf("%s ended with status %d: %s", e.Client, e.Code, e.Stderr)
}

// Major returns the major version of a server_version_num: 17 for 170006.
func Major(version int) int { return version / 10000 }

// FormatVersion writes a server_version_num as users know it: "17.6".
func FormatVersion(version int) string {
	return fmt.Sprintf("%d.%d", version/10000, version%10000)
}

// Rank returns the clients that can dump a server of major version from, for a
// server of major version to: that version first, since it writes what the
// target reads, then the nearest. If there is none it says what is missing.
func Rank(clients []Client, from, to int) ([]Client, *preflight.Problem) {
	var able []Client
	var found string
	for _, c := range clients {
		if Major(c.Version()) >= from {
			able = append(able, c)
		} else {
			found += "; found " + c.String()
		}
	}
	if len(able) == 0 {
		return nil, &preflight.Problem{Object: "pg_dump",
			Text:   fmt.Sprintf("none of version %d or later, which the source needs%s", from, found),
			Remedy: fmt.Sprintf("apt-get install postgresql-client-%d (or the like), or --pg-dump PATH", from)}
	}
	distance := func(c Client) int {
		d := Major(c.Version()) - to
		return max(d, -d)
	}
	slices.SortStableFunc(able, func(a, b Client) int {
		// Of one major version, the later minor release has fewer faults.
		return cmp.Or(cmp.Compare(distance(a), distance(b)), cmp.Compare(b.Version(), a.Version()))
	})
	return able, nil
}
