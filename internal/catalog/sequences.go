package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Sequence is a sequence with its state.
type Sequence struct {
	OID          uint32
	Schema, Name string
	Extension    string // set for configuration sequences of an extension
	Last         int64
	Called       bool
}

// SetSQL restores the state.
func (s *Sequence) SetSQL() string {
	name := strings.ReplaceAll(QuoteQualified(s.Schema, s.Name), "'", "''")
	if strings.Contains(name, `\`) {
		name = "E'" + strings.ReplaceAll(name, `\`, `\\`) + "'"
	} else {
		name = "'" + name + "'"
	}
	return fmt.Sprintf("SELECT pg_catalog.setval(%s, %d, %t);\n", name, s.Last, s.Called)
}

// Sequences returns every sequence of the database that the current role may
// read, and the names of those it may not. A standby has no values of unlogged
// sequences, and leaves them out.
func Sequences(ctx context.Context, conn *pgx.Conn) (sequences []*Sequence, unreadable []string, err error) {
	rows, err := conn.Query(ctx, `
SELECT c.oid, n.nspname::text, c.relname::text,
  COALESCE((SELECT e.extname::text FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig)), ''),
  pg_catalog.has_sequence_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT (c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery())
ORDER BY c.oid`)
	if err != nil {
		return nil, nil, fmt.Errorf("read the sequences: %w", err)
	}
	var oid uint32
	var schema, name, extension string
	var readable bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &schema, &name, &extension, &readable}, func() error {
		if !readable {
			unreadable = append(unreadable, schema+"."+name)
			return nil
		}
		sequences = append(sequences, &Sequence{OID: oid, Schema: schema, Name: name, Extension: extension})
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the sequences: %w", err)
	}
	const batch = 200 // sequences read by one statement
	for rest := sequences; len(rest) > 0; {
		n := min(batch, len(rest))
		if err := readStates(ctx, conn, rest[:n]); err != nil {
			return nil, nil, err
		}
		rest = rest[n:]
	}
	return sequences, unreadable, nil
}

// readStates reads last_value and is_called, which only the sequence itself has.
func readStates(ctx context.Context, conn *pgx.Conn, sequences []*Sequence) error {
	selects := make([]string, len(sequences))
	for i, s := range sequences {
		selects[i] = fmt.Sprintf("SELECT %d, last_value, is_called FROM %s", i, QuoteQualified(s.Schema, s.Name))
	}
	rows, err := conn.Query(ctx, strings.Join(selects, " UNION ALL "), pgx.QueryExecModeExec)
	if err != nil {
		return fmt.Errorf("read the values of the sequences: %w", err)
	}
	var i int
	var last int64
	var called bool
	_, err = pgx.ForEachRow(rows, []any{&i, &last, &called}, func() error {
		sequences[i].Last, sequences[i].Called = last, called
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the values of the sequences: %w", err)
	}
	return nil
}
