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

// turns counts how often sessions with a server wait for it: over a slow line that is the time they take.
type turns struct {
	mu       sync.Mutex
	sessions []*turnConn
	copies   bool // a COPY has begun
}

// dial is a DialFunc.
func (n *turns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &turnConn{Conn: conn, turns: n}
	n.sessions = append(n.sessions, c)
	return c, nil
}

// turnConn is one session.
type turnConn struct {
	net.Conn
	turns       *turns
	answered    bool
	before, all int // turns before the first COPY, and those of the whole run
	log         []string
}

func (c *turnConn) Write(b []byte) (int, error) {
	c.turns.mu.Lock()
	if bytes.Contains(b, []byte(" FROM stdin")) {
		c.turns.copies = true
	}
	if c.answered || c.all == 0 {
		c.all++
		if !c.turns.copies {
			c.before++
		}
		c.log = append(c.log, string(b[:min(len(b), 150)]))
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
COMMENT ON DATABASE `+db+` IS 'small';
GRANT CONNECT ON DATABASE `+db+` TO PUBLIC`)
	for name, replace := range map[string]bool{"new": false, "replace": true} {
		t.Run(name, func(t *testing.T) {
			if replace {
				dst.Exec(t, "postgres", "CREATE DATABASE "+db)
				dst.Exec(t, db, "CREATE TABLE old ()")
			}
			opts := options(t, src, dst, db)
			var n turns
			opts.To.Config.DialFunc = n.dial
			opts.Jobs, opts.Replace, opts.DropOld, opts.Verify = 1, replace, true, migrate.VerifyData
			run(t, dst, opts)
			for i, s := range n.sessions {
				t.Logf("session %d: %d turns before the first COPY, %d in all", i, s.before, s.all)
				for j, l := range s.log {
					t.Logf("   %d %q", j+1, l)
				}
			}
		})
	}
}
