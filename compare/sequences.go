package compare

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// sequencesAtOnce bounds a query that reads sequences, each a table to it.
const sequencesAtOnce = 200

// compareSequences compares the values of the sequences that both sides have.
// They are not part of the snapshot: a sequence has no past.
func (c *comparison) compareSequences(ctx context.Context) error {
	from, err := c.pair.from.sequences(ctx)
	if err != nil {
		return err
	}
	to, err := c.pair.to.sequences(ctx)
	if err != nil {
		return err
	}
	both := make(map[string]bool, len(to))
	for _, name := range to {
		both[name] = true
	}
	names := slices.DeleteFunc(from, func(name string) bool { return !both[name] })
	for chunk := range slices.Chunk(names, sequencesAtOnce) {
		sql := make([]string, len(chunk))
		for i, name := range chunk {
			sql[i] = fmt.Sprintf(`SELECT 'sequence' AS kind, %s AS object, last_value AS "last value", is_called AS "is called" FROM %s`,
				literal(name), name)
		}
		all := strings.Join(sql, "\nUNION ALL\n")
		m := merge{pair: c.pair, gone: c.gone, facts: true}
		if err := m.run(ctx, c.pair.from.leader, c.pair.to.leader, all, all); err != nil {
			return fmt.Errorf("compare values of sequences: %w", err)
		}
		c.add(m)
	}
	return nil
}

func (s *side) sequences(ctx context.Context) ([]string, error) {
	sql, err := s.dialect.Render("sequence_names")
	if err != nil {
		return nil, err
	}
	rows, err := s.leader.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the sequences of %s: %w", s.endpoint.Name, err)
	}
	return names, nil
}
