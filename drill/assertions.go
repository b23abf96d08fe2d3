package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.yaml.in/yaml/v3"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
)

// An Assertion is a query of the user's, and what it must give.
type Assertion struct {
	Name     string
	SQL      string
	Database string // the only one it is about; "" is every one
	As       string // role; "" is the superuser
	Timeout  time.Duration

	rows    *int64         // number of rows
	value   *string        // first column of the first row, as text
	alike   string         // or this
	min     *big.Rat       // it is a number, not below
	max     *big.Rat       // nor above
	matches *regexp.Regexp // its text matches
	within  time.Duration  // it is a time, at most so long before the snapshot
}

const assertionTimeout = time.Minute

// ReadAssertions reads a file of assertions:
//
//	checks:
//	  - name: players
//	    sql: SELECT count(*) FROM players
//	    min: 1000
//
// Its errors say in which line.
func ReadAssertions(r io.Reader) ([]Assertion, error) {
	dec := yaml.NewDecoder(r)
	var document, second yaml.Node
	if err := dec.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty, where a list named checks is wanted")
	} else if err != nil {
		return nil, inYAML(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, fmt.Errorf("line %d: a second document begins here, and the file is to be one", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, inYAML(err)
	}
	if err := knownKeys(document.Content[0], []string{"checks"}); err != nil {
		return nil, err
	}
	var file struct {
		Checks []assertionYAML `yaml:"checks"`
	}
	if err := document.Decode(&file); err != nil {
		return nil, inYAML(err)
	}
	if len(file.Checks) == 0 {
		return nil, errors.New("there is no check in it, where a list named checks is wanted")
	}
	list := make([]Assertion, len(file.Checks))
	for i, c := range file.Checks {
		a, err := c.assertion()
		if err != nil {
			return nil, fmt.Errorf("line %d: check %d: %w", c.line, i+1, err)
		}
		list[i] = a
	}
	return list, nil
}

// inYAML is an error of the library's, in a line.
func inYAML(err error) error {
	return errors.New(strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:")), " "))
}

// knownKeys refuses keys that there are not. A node that is no mapping is left to its decoder.
func knownKeys(node *yaml.Node, known []string) error {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; !slices.Contains(known, key.Value) {
			return fmt.Errorf("line %d: unknown key %q; known are %s", key.Line, key.Value, strings.Join(known, ", "))
		}
	}
	return nil
}

// assertionYAML is an assertion as it is written.
type assertionYAML struct {
	fields struct {
		Name     string    `yaml:"name"`
		SQL      string    `yaml:"sql"`
		Database string    `yaml:"database"`
		As       string    `yaml:"as"`
		Timeout  string    `yaml:"timeout"`
		Rows     *int64    `yaml:"rows"`
		Value    yaml.Node `yaml:"value"`
		Min      yaml.Node `yaml:"min"`
		Max      yaml.Node `yaml:"max"`
		Matches  *string   `yaml:"matches"`
		Within   *string   `yaml:"within"`
	}
	line int
}

// assertionKeys are all there are.
var assertionKeys = []string{"name", "sql", "database", "as", "timeout", "rows", "value", "min", "max", "matches", "within"}

// UnmarshalYAML implements [yaml.Unmarshaler].
func (a *assertionYAML) UnmarshalYAML(node *yaml.Node) error {
	a.line = node.Line
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a check is name:, sql: and what it must give", node.Line)
	}
	if err := knownKeys(node, assertionKeys); err != nil {
		return err
	}
	return node.Decode(&a.fields)
}

func (a *assertionYAML) assertion() (Assertion, error) {
	f := &a.fields
	out := Assertion{Name: f.Name, SQL: strings.TrimSpace(f.SQL), Database: f.Database, As: f.As, Timeout: assertionTimeout, rows: f.Rows}
	if out.SQL == "" {
		return out, errors.New("sql is missing")
	}
	if out.Name == "" {
		out.Name = shorten(out.SQL)
	}
	var err error
	if f.Timeout != "" {
		if out.Timeout, err = parseDuration(f.Timeout); err != nil {
			return out, fmt.Errorf("timeout: %w", err)
		}
		if out.Timeout < time.Millisecond { // which the server would take for none
			return out, errors.New("timeout: at least 1ms is needed")
		}
	}
	expectations := 0
	if f.Rows != nil {
		expectations++
		if *f.Rows < 0 {
			return out, errors.New("rows: no query gives fewer than 0")
		}
	}
	if !f.Value.IsZero() {
		expectations++
		if f.Value.Kind != yaml.ScalarNode {
			return out, errors.New("value: is not a text or a number")
		}
		out.value = &f.Value.Value
		switch f.Value.ShortTag() {
		case "!!bool": // which a server writes t and f
			out.alike = strings.ToLower(f.Value.Value)[:1]
		case "!!null":
			return out, errors.New("value: is null; ask for it with IS NULL, and let the value be true")
		}
	}
	if !f.Min.IsZero() || !f.Max.IsZero() {
		expectations++
		if out.min, err = number(&f.Min); err != nil {
			return out, fmt.Errorf("min: %w", err)
		}
		if out.max, err = number(&f.Max); err != nil {
			return out, fmt.Errorf("max: %w", err)
		}
		if out.min != nil && out.max != nil && out.min.Cmp(out.max) > 0 {
			return out, errors.New("min is more than max, so that no number is within them")
		}
	}
	if f.Matches != nil {
		expectations++
		if out.matches, err = regexp.Compile(*f.Matches); err != nil {
			return out, fmt.Errorf("matches: %w", err)
		}
	}
	if f.Within != nil {
		expectations++
		if out.within, err = parseDuration(*f.Within); err != nil {
			return out, fmt.Errorf("within: %w", err)
		}
	}
	if expectations != 1 {
		return out, errors.New("say what it must give, by one of rows, value, min and max, matches, within")
	}
	return out, nil
}

func number(node *yaml.Node) (*big.Rat, error) {
	if node.IsZero() {
		return nil, nil
	}
	n, ok := new(big.Rat).SetString(node.Value)
	if !ok {
		return nil, errors.New("not a number")
	}
	return n, nil
}

// parseDuration reads a duration that is longer than none.
func parseDuration(s string) (time.Duration, error) {
	d, err := human.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errors.New("not a duration such as 30s, 24h or 8d")
	}
	return d, nil
}

// expectation says in words what the query must give.
func (a *Assertion) expectation() string {
	switch {
	case a.rows != nil:
		return human.Count(*a.rows, "row", "rows")
	case a.value != nil:
		return *a.value
	case a.min != nil && a.max != nil:
		return "between " + decimal(a.min) + " and " + decimal(a.max)
	case a.min != nil:
		return "at least " + decimal(a.min)
	case a.max != nil:
		return "at most " + decimal(a.max)
	case a.matches != nil:
		return "matches " + a.matches.String()
	}
	return "at most " + human.Duration(a.within) + " before the snapshot"
}

// decimal writes a number without needless zeros.
func decimal(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(12), "0")
}

// checkAssertions runs the user's queries.
func (d *drill) checkAssertions(ctx context.Context, _ *pgx.Conn) error {
	for i := range d.Assertions {
		a := &d.Assertions[i]
		if a.Database != "" && a.Database != d.database {
			continue
		}
		if err := d.timed("assertion: "+a.Name, a.Name, func(c *Check) error { return d.assert(ctx, a, c) }); err != nil {
			return err
		}
	}
	return nil
}

// graceful is how much longer than its timeout a check may take before its connection is cut. A server that ends a
// statement in time says so within it.
const graceful = 2 * time.Second

// assert runs a query in a session of its own, which it may spoil. What it writes is rolled back or refused.
func (d *drill) assert(ctx context.Context, a *Assertion, c *Check) error {
	c.Expected = a.expectation()
	conn, err := d.connect(ctx, d.database)
	if err != nil {
		return err
	}
	defer session.HangUp(ctx, conn)
	// As an application would write it: without schemas, in UTF-8.
	setup := "RESET search_path; SET row_security = on; SET client_encoding = 'UTF8'; SET default_transaction_read_only = on"
	if a.As != "" {
		setup += "; SET SESSION AUTHORIZATION " + archive.QuoteIdent(a.As)
	}
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, a.Timeout+graceful)
	defer cancel()
	if _, err = conn.PgConn().Exec(limited, setup).ReadAll(); err == nil {
		err = inSnapshot(limited, conn, func() error { return a.ask(limited, conn, c, d.report.Backup.Snapshot) })
	}
	late := time.Since(start) >= a.Timeout // also where each of several statements was in time
	tooLong := func() { c.fail("no answer", "it took longer than its timeout of "+human.Duration(a.Timeout)) }
	if err == nil && late {
		tooLong()
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	server, said := errors.AsType[*pgconn.PgError](err)
	timeout := limited.Err() != nil || said && server.Code == "57014" && late
	// What a statement raises may have any code, such as that of a connection of dblink's. Only a session that goes on says so.
	if !timeout && (!said || conn.IsClosed() || strings.HasPrefix(server.Code, "53")) {
		return err
	}
	if goneErr := d.gone(ctx); goneErr != nil {
		return errors.Join(goneErr, err)
	}
	if timeout {
		tooLong()
	} else {
		c.fail("an error", fmt.Sprintf("%s (%s)", server.Message, server.Code))
	}
	return nil
}

// ask runs the query and judges what it gives.
func (a *Assertion) ask(ctx context.Context, conn *pgx.Conn, c *Check, snapshot time.Time) error {
	begun := func() (at int64, err error) { // the transaction, which with the first query can no longer be made to write
		return at, conn.QueryRow(ctx, "SELECT (pg_catalog.date_part('epoch', pg_catalog.now()) * 1000000)::pg_catalog.int8", pgx.QueryExecModeSimpleProtocol).Scan(&at)
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", a.Timeout.Milliseconds())); err != nil {
		return err
	}
	before, err := begun()
	if err != nil {
		return err
	}
	results := conn.PgConn().Exec(ctx, a.SQL)
	var n int64
	var first *string
	null := false
	for results.NextResult() {
		rows := results.ResultReader()
		n, first, null = 0, nil, false // the last statement counts
		for rows.NextRow() {
			if values := rows.Values(); n == 0 && len(values) > 0 {
				text := string(values[0])
				first, null = &text, values[0] == nil
			}
			n++
		}
		if _, err := rows.Close(); err != nil {
			_ = results.Close()
			return err
		}
	}
	if err := results.Close(); err != nil {
		return err
	}
	if after, err := begun(); err != nil {
		return err
	} else if after != before {
		c.fail("another transaction", "it ended the transaction that it runs in, in which nothing can be written; leave COMMIT, ROLLBACK and the like out")
		return nil
	}
	a.judge(c, n, first, null, snapshot)
	return nil
}

func (a *Assertion) judge(c *Check, rows int64, first *string, null bool, snapshot time.Time) {
	if a.rows != nil {
		c.Found = human.Count(rows, "row", "rows")
		if rows != *a.rows {
			c.fail("", "it gave "+c.Found)
		}
		return
	}
	switch {
	case first == nil:
		c.fail("no row", "the query gave no row")
		return
	case null:
		c.fail("NULL", "the query gave NULL")
		return
	}
	c.Found = shorten(*first)
	switch {
	case a.value != nil:
		if *first != *a.value && (a.alike == "" || *first != a.alike) {
			c.fail("", "it gave "+shorten(*first))
		}
	case a.matches != nil:
		if !a.matches.MatchString(*first) {
			c.fail("", "it gave "+shorten(*first))
		}
	case a.within > 0:
		a.judgeTime(c, *first, snapshot)
	default:
		n, ok := new(big.Rat).SetString(*first)
		if !ok {
			c.fail("", "it gave no number: "+shorten(*first))
		} else if a.min != nil && n.Cmp(a.min) < 0 || a.max != nil && n.Cmp(a.max) > 0 {
			c.fail("", "it gave "+shorten(*first))
		}
	}
}

func (a *Assertion) judgeTime(c *Check, text string, snapshot time.Time) {
	for _, layout := range []string{"2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02"} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		age := snapshot.Sub(t)
		c.Found = human.Duration(age) + " before it: " + text
		if age < 0 {
			c.Found = "after it: " + text
		}
		if age > a.within {
			c.fail("", "the time is "+human.Duration(age)+" before the snapshot")
		}
		return
	}
	c.fail("", "it gave no time: "+shorten(text))
}
