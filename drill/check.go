package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/session"
)

// A Status is what became of a check.
type Status string

// The outcomes of a check.
const (
	OK      Status = "passed"
	Bad     Status = "failed"
	Warned  Status = "warning" // something to know, that is not the backup's fault
	Skipped Status = "skipped"
)

// A Check is one question to the backup, and its answer.
type Check struct {
	Name     string        `json:"name"`
	Title    string        `json:"title"`
	Status   Status        `json:"status"`
	Expected string        `json:"expected,omitempty"`
	Found    string        `json:"found,omitempty"`
	Problems []string      `json:"problems,omitempty"` // each names an object
	More     int           `json:"more,omitempty"`     // problems that are not listed
	Elapsed  time.Duration `json:"elapsed_ns"`
}

// maxProblems is how many problems a check lists.
const maxProblems = 50

// fail notes a problem that rejects the backup.
func (c *Check) fail(found string, problems ...string) { c.note(Bad, found, problems) }

// warn notes a problem that does not.
func (c *Check) warn(problems ...string) { c.note(Warned, "", problems) }

func (c *Check) note(status Status, found string, problems []string) {
	if found != "" {
		c.Found = found
	}
	for _, p := range problems {
		if len(c.Problems) >= maxProblems {
			c.More++
			continue
		}
		c.Problems = append(c.Problems, p)
	}
	if c.Status != Bad {
		c.Status = status
	}
}

// problems is how many there are, listed or not.
func (c *Check) problems() int { return len(c.Problems) + c.More }

func (c *Check) skip(why string) { c.Status, c.Found = Skipped, why }

// check runs everything that is asked of the restored database, cheapest first.
func (d *drill) check(ctx context.Context) error {
	conn, err := d.connect(ctx, d.database)
	if err != nil {
		return d.blame(ctx, err)
	}
	defer session.HangUp(ctx, conn)
	for _, step := range []func(context.Context, *pgx.Conn) error{
		d.checkRoles, d.checkDefinitions, d.checkCollations, d.checkSequences, d.checkRows, d.checkLargeObjects,
		d.checkAssertions, d.checkSmoke, d.checkBtrees,
	} {
		if err := step(ctx, conn); err != nil {
			return d.blameCheck(ctx, err)
		}
	}
	return nil
}

// blameCheck is for an error that kept a check from being made. It says nothing about the backup.
func (d *drill) blameCheck(ctx context.Context, err error) error {
	if ctx.Err() == nil && session.IsBroken(err) {
		err = errors.Join(d.lastWords(ctx), err)
	}
	return infrastructure(fmt.Errorf("check the restored database: %w", err))
}

// timed runs a check and adds it to the report.
func (d *drill) timed(name, title string, do func(c *Check) error) error {
	c := Check{Name: name, Title: title, Status: OK}
	start := time.Now()
	err := do(&c)
	c.Elapsed = time.Since(start)
	if err == nil {
		d.report.add(c)
	}
	return err
}

// inSnapshot runs do in a read-only transaction, which it rolls back.
func inSnapshot(ctx context.Context, conn *pgx.Conn, do func() error) error {
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	err := do()
	_, rollback := conn.Exec(ctx, "ROLLBACK")
	if err != nil {
		return err
	}
	return rollback
}

// sqlError is what a server says of a statement, for a report.
func sqlError(err error) (string, bool) {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || session.Ends(server) {
		return "", false
	}
	return fmt.Sprintf("%s (%s)", server.Message, server.Code), true
}
