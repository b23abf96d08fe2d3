package migrate_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/migrate"
)

// turns counts how often each session with a server waits for it: over a slow line that is what the time goes into.
type turns struct {
	mu       sync.Mutex
	sessions []*turnConn // in the order they were opened
	copying  bool        // a COPY has begun
}

// dial is a DialFunc.
func (n *turns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &turnConn{Conn: conn, turns: n, answered: true}
	n.sessions = append(n.sessions, c)
	return c, nil
}

// turnConn is one session.
type turnConn struct {
	net.Conn
	turns       *turns
	answered    bool
	copies      bool // rows went in
	before, all int  // turns before the first COPY, and those of the whole run
}

func (c *turnConn) Write(b []byte) (int, error) {
	c.turns.mu.Lock()
	if bytes.Contains(b, []byte(" FROM stdin")) {
		c.copies, c.turns.copying = true, true
	}
	if c.answered {
		c.all++
		if !c.turns.copying {
			c.before++
		}
	}
	c.answered = false
	c.turns.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *turnConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.turns.mu.Lock()
	defer c.turns.mu.Unlock()
	c.answered = c.answered || n > 0
	return n, err
}

// TestTurns bounds how often a migration of a small database waits for the target, of which it holds two sessions for
// long: one outside the new database, and one that fills it.
func TestTurns(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := src.CreateDB(t)
	src.Exec(t, db, `
CREATE TABLE games (id bigserial PRIMARY KEY, name text NOT NULL);
CREATE TABLE scores (game bigint REFERENCES games, points int);
INSERT INTO games (name) SELECT 'game ' || i FROM generate_series(1, 100) i;
INSERT INTO scores SELECT i, i * i FROM generate_series(1, 100) i;
CREATE INDEX ON scores (points);
ALTER DATABASE `+db+` SET work_mem = '8MB';
COMMENT ON DATABASE `+db+` IS 'small'`)
	for name, test := range map[string]struct {
		replace    bool
		admin      int // turns of the session outside
		fill, copy int // those of the other, and those it has before it copies
	}{
		"new":     {false, 21, 22, 7},
		"replace": {true, 24, 22, 7},
	} {
		t.Run(name, func(t *testing.T) {
			if test.replace {
				dst.Exec(t, "postgres", "CREATE DATABASE "+db)
				dst.Exec(t, db, "CREATE TABLE old ()")
			}
			opts := options(t, src, dst, db)
			var n turns
			opts.To.Config.DialFunc = n.dial
			opts.Jobs, opts.Replace, opts.DropOld, opts.Verify = 1, test.replace, true, migrate.VerifyData
			run(t, dst, opts)
			assertSame(t, src, dst, db)
			n.mu.Lock()
			defer n.mu.Unlock()
			atMost := func(what string, got, want int) {
				t.Logf("%s: %d turns", what, got)
				if got > want {
					t.Errorf("%s: %d turns, want at most %d", what, got, want)
				}
			}
			admin, copies := n.sessions[0], 0
			atMost("outside, before the first COPY", admin.before, 17)
			atMost("outside, in all", admin.all, test.admin)
			for _, s := range n.sessions {
				if s.copies {
					copies++
					atMost("filling, before the first COPY", s.before, test.copy)
					atMost("filling, in all", s.all, test.fill)
				}
			}
			if copies != 1 {
				t.Errorf("rows went in through %d sessions, want 1", copies)
			}
		})
	}
}
