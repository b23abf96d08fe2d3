package pgtools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// endDelay is how long a client that was told to end may take.
var endDelay = 5 * time.Second

// hostClient is a pg_dump of this machine.
type hostClient struct {
	path    string
	version int
}

func (c *hostClient) Version() int { return c.version }

func (c *hostClient) String() string {
	return fmt.Sprintf("%s (%s)", c.path, FormatVersion(c.version))
}

func (c *hostClient) Dump(ctx context.Context, req Request) error {
	// --no-password: fail instead of asking on the terminal.
	args := append([]string{"--dbname=" + req.Conninfo, "--no-password"}, req.Args...)
	cmd := exec.CommandContext(ctx, c.path, args...)
	env := append(environment(), "LC_MESSAGES=C")
	if err := isolate(cmd, req.Peer); err != nil {
		return err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if req.Peer != nil {
		uid, gid = int(req.Peer.UID), int(req.Peer.GID)
		cmd.Dir = "/" // the current folder may be closed to that user
	}
	if req.PassFile != "" {
		name, done, err := passFile(cmd, req.PassFile, uid, gid)
		if err != nil {
			return err
		}
		defer done()
		env = append(env, "PGPASSFILE="+name)
	}
	var stderr Tail
	cmd.Env, cmd.Stdout, cmd.Stderr = env, req.Stdout, &stderr
	cmd.Cancel = func() error {
		// Only now: a pg_dump that has ended may have left output that is
		// read much later, when the rows have moved.
		cmd.WaitDelay = endDelay
		return cmd.Process.Signal(os.Interrupt)
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &ExitError{Client: c.String(), Code: exit.ExitCode(), Stderr: stderr.String()}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", c, err)
	}
	return nil
}

// environment is the current one without libpq's variables: Request says all
// there is to say about the server, and they may be about another.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "PG_")
	})
}

// Tail is a writer that keeps the last few kB of what a client prints.
type Tail struct{ b []byte }

const tailLen = 4 << 10

// Write never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailLen {
		t.b = append(t.b[:0], t.b[len(t.b)-tailLen:]...)
	}
	return len(p), nil
}

func (t *Tail) String() string { return strings.TrimSpace(string(t.b)) }
