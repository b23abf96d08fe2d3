package drill

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
)

// setval reads an entry that sets a sequence: SELECT pg_catalog.setval('public.games_id_seq', 198000, true);
var setval = regexp.MustCompile(`(?s)setval\((?:E)?'((?:[^']|'')*)'(?:::regclass)?, (-?\d+), (true|false)\)`)

// isMissing reports whether a server says that something is not there.
func isMissing(err error) bool {
	return session.HasCode(err, "42P01", "3F000", "42703") // table, schema, column
}

// checkSequences compares the values of sequences with the archive's, and with the columns that they fill.
func (d *drill) checkSequences(ctx context.Context, conn *pgx.Conn) error {
	return d.timed("sequences", "Sequences have their values, and none is behind its column", func(c *Check) error {
		entries := d.source.archive.TOC().Find(archive.DescSequenceSet)
		c.Expected, c.Found = human.Count(len(entries), "sequence", "sequences"), "the same"
		for _, e := range entries {
			if err := checkSequence(ctx, conn, c, e); err != nil {
				return err
			}
		}
		behind, err := sequencesBehind(ctx, conn)
		if err != nil {
			return err
		}
		// With the value it has in the archive it was so at the source.
		c.warn(behind...)
		if len(behind) == 0 && c.Status == Warned {
			c.Status = OK
		}
		if c.Status == Bad {
			c.Found = human.Count(c.problems(), "problem", "problems")
		}
		return nil
	})
}

func checkSequence(ctx context.Context, conn *pgx.Conn, c *Check, e *archive.Entry) error {
	m := setval.FindStringSubmatch(e.Defn.String)
	if m == nil {
		return fmt.Errorf("the archive's entry %s cannot be read", e.Name())
	}
	name := strings.ReplaceAll(m[1], "''", "'")
	if strings.Contains(e.Defn.String, "(E'") {
		name = strings.ReplaceAll(name, `\\`, `\`)
	}
	want, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return fmt.Errorf("the archive's entry %s cannot be read: %w", e.Name(), err)
	}
	shown := e.Namespace.String + "." + e.Tag
	var value int64
	var called bool
	err = conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+name, pgx.QueryExecModeExec).Scan(&value, &called)
	switch {
	case isMissing(err):
		c.fail("", "sequence "+shown+" is missing")
	case err != nil:
		return fmt.Errorf("read sequence %s: %w", shown, err)
	case value != want || called != (m[3] == "true"):
		how := ""
		if called != (m[3] == "true") {
			how = ", which is to be given out next"
			if called {
				how = ", which was given out"
			}
		}
		c.fail("", fmt.Sprintf("sequence %s is at %d%s, was at %d", shown, value, how, want))
	}
	return nil
}

// sequencesBehind finds sequences whose next value a row of their column has, or has passed.
func sequencesBehind(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `
SELECT pg_catalog.format('%I.%I', sn.nspname, s.relname), pg_catalog.format('%I.%I', tn.nspname, t.relname), pg_catalog.quote_ident(a.attname), q.seqincrement > 0
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid AND NOT q.seqcycle
JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list the sequences that fill columns: %w", err)
	}
	type owned struct {
		sequence, table, column string
		up                      bool
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o owned, err error) {
		return o, row.Scan(&o.sequence, &o.table, &o.column, &o.up)
	})
	if err != nil {
		return nil, fmt.Errorf("list the sequences that fill columns: %w", err)
	}
	var behind []string
	for _, o := range list {
		extreme, passed := "max", ">"
		if !o.up {
			extreme, passed = "min", "<"
		}
		var text *string
		if err := conn.QueryRow(ctx, fmt.Sprintf(`
SELECT pg_catalog.format('%%s, where the column reaches %%s', s.last_value, m.v) FROM %s s, (SELECT %s(%s) AS v FROM %s) m
WHERE m.v %s s.last_value OR m.v = s.last_value AND NOT s.is_called
UNION ALL SELECT NULL LIMIT 1`, o.sequence, extreme, o.column, o.table, passed), pgx.QueryExecModeExec).Scan(&text); err != nil {
			return nil, fmt.Errorf("compare sequence %s with its column: %w", o.sequence, err)
		}
		if text != nil {
			behind = append(behind, fmt.Sprintf("sequence %s is behind %s.%s: it is at %s", o.sequence, o.table, o.column, *text))
		}
	}
	return behind, nil
}
