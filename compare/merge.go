package compare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/definitions"
)

// A merge compares the rows that a query returns on both sides. A row is an
// object: its kind, its name, perhaps the parent it hangs on, and its aspects,
// each named by its column. Memory does not depend on the number of rows.
type merge struct {
	pair
	gone  map[string]bool // see comparison
	facts bool            // see definitions.Topic

	differences []Difference
	objects     map[string]int
}

// run reads a query's rows on both sides at once. "" stands for no rows.
func (m *merge) run(ctx context.Context, fromConn, toConn *pgx.Conn, fromSQL, toSQL string) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	from, to := query(ctx, m.from, fromConn, fromSQL), query(ctx, m.to, toConn, toSQL)
	defer func() {
		if err != nil {
			cancel() // do not read on to the end
		}
		from.close()
		to.close()
		cancel()
	}()
	m.objects = make(map[string]int)
	if err := from.start(); err != nil {
		return err
	}
	if err := to.start(); err != nil {
		return err
	}
	if from.columns != nil && to.columns != nil && !slices.Equal(from.columns, to.columns) {
		return fmt.Errorf("the sides' columns differ: %q, %q", from.columns, to.columns)
	}
	for from.more || to.more {
		order := compareRows(from, to)
		m.object(from, to, order)
		if order <= 0 {
			if err := from.next(); err != nil {
				return err
			}
		}
		if order >= 0 {
			if err := to.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareRows says which side's object comes first. A side that has ended
// comes last.
func compareRows(from, to *cursor) int {
	switch {
	case !to.more:
		return -1
	case !from.more:
		return 1
	}
	return from.row.compare(to.row)
}

// object compares the objects the cursors stand on: both, or the one that
// comes first.
func (m *merge) object(from, to *cursor, order int) {
	some := from
	if order > 0 {
		some = to
	}
	r := some.row
	m.objects[r.kind]++
	if m.gone[r.parent] || m.gone[r.key()] {
		if order != 0 && !m.facts {
			m.gone[r.key()], m.gone[r.object] = true, true
		}
		return
	}
	if order != 0 && !m.facts {
		m.gone[r.key()], m.gone[r.object] = true, true
		d := Difference{Kind: r.kind, Object: r.object, Aspect: aspectPresence, From: valuePresent, To: valueMissing}
		if order > 0 {
			d.From, d.To = d.To, d.From
		}
		if some.invalid() {
			d.Note = "an invalid index, which pg_dump leaves out; REINDEX INDEX or DROP INDEX where it is"
		}
		m.differences = append(m.differences, d)
		return
	}
	for i, aspect := range some.columns {
		if some.isKey(i) {
			continue
		}
		var a, b value
		if order <= 0 {
			a = from.row.values[i]
		}
		if order >= 0 {
			b = to.row.values[i]
		}
		if a == b || a.valid && b.valid && m.equivalent(aspect, a.text, b.text) {
			continue
		}
		m.differences = append(m.differences, difference(r, aspect, a, b))
		if r.kind == "extension" {
			// Another version has other members, another schema renames them.
			m.gone[r.object] = true
		}
	}
}

func difference(r row, aspect string, from, to value) Difference {
	d := Difference{Kind: r.kind, Object: r.object, Aspect: aspect, From: from.String(), To: to.String()}
	if name, found := strings.CutPrefix(aspect, definitions.Hidden); found {
		d.Aspect, d.From, d.To = name, valueHidden, valueHidden
		if !from.valid {
			d.From = valueNone
		}
		if !to.valid {
			d.To = valueNone
		}
	}
	return d
}

// row is an object as one side has it.
type row struct {
	kind, object, parent string
	values               []value
}

func (r row) key() string { return r.kind + "\x00" + r.object }

func (r row) compare(other row) int {
	return cmp.Or(strings.Compare(r.kind, other.kind), strings.Compare(r.object, other.object))
}

// value is a text, or the null value.
type value struct {
	text  string
	valid bool
}

func (v value) String() string {
	if !v.valid {
		return valueNone
	}
	return v.text
}

// cursor steps through the rows of a query as they arrive.
type cursor struct {
	side    *side
	results *pgconn.MultiResultReader
	reader  *pgconn.ResultReader
	columns []string
	row     row
	more    bool // row is one
}

// query sends a query. Its rows come ordered as Go compares strings.
func query(ctx context.Context, side *side, conn *pgx.Conn, sql string) *cursor {
	c := &cursor{side: side}
	if sql != "" {
		c.results = conn.PgConn().Exec(ctx, definitions.Ordered(sql))
	}
	return c
}

// start waits for the first row.
func (c *cursor) start() error {
	if c.results == nil {
		return nil
	}
	if !c.results.NextResult() {
		return c.fail(c.results.Close())
	}
	c.reader = c.results.ResultReader()
	for _, field := range c.reader.FieldDescriptions() {
		c.columns = append(c.columns, field.Name)
	}
	return c.next()
}

func (c *cursor) next() error {
	if !c.reader.NextRow() {
		c.more = false
		_, err := c.reader.Close()
		return c.fail(err)
	}
	r := row{values: make([]value, len(c.columns))}
	for i, bytes := range c.reader.Values() {
		r.values[i] = value{string(bytes), bytes != nil}
		switch c.columns[i] {
		case "kind":
			r.kind = string(bytes)
		case "object":
			r.object = string(bytes)
		case "parent":
			r.parent = string(bytes)
		}
	}
	if c.more && c.row.compare(r) >= 0 {
		return c.fail(fmt.Errorf("%s %s after %s: %w", r.kind, r.object, c.row.object, errOrder))
	}
	c.row, c.more = r, true
	return nil
}

func (c *cursor) fail(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", c.side.endpoint.Name, err)
}

// isKey reports whether a column says which object it is.
func (c *cursor) isKey(i int) bool {
	return slices.Contains([]string{"kind", "object", "parent"}, c.columns[i])
}

// invalid reports whether it stands on an index that is not valid, as CREATE INDEX CONCURRENTLY leaves it when it fails.
func (c *cursor) invalid() bool {
	i := slices.Index(c.columns, "valid")
	return c.row.kind == "index" && i >= 0 && c.row.values[i].text == "f"
}

func (c *cursor) close() {
	if c.results != nil {
		_ = c.results.Close() // what ended it early was met before
	}
}
