package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Pattern is a name pattern as psql and pg_dump read it ("Patterns" in psql's
// documentation), turned into regular expressions for the server.
type Pattern struct {
	Schema string // "" matches every schema
	Name   string
}

// ParsePattern reads a pattern for objects that live in schemas: * and ? are
// wildcards, quotes protect, a dot parts schema from name, and letters outside
// quotes are folded to lower case.
func ParsePattern(s string) (Pattern, error) {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' && quoted && i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
			if strings.IndexByte(`|*+?()[]{}.^$\`, c) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c - 'A' + 'a')
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteByte('.')
		case c == '.':
			parts = append(parts, b.String())
			b.Reset()
		case c == '$':
			b.WriteString(`\$`) // an ordinary letter in names
		case c == '[' && i+1 < len(s) && s[i+1] == ']':
			b.WriteString(`\[`) // an array rather than a set of no characters
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return Pattern{}, fmt.Errorf("pattern %s has an unclosed quote", s)
	}
	parts = append(parts, b.String())
	anchor := func(re string) string { return "^(" + re + ")$" }
	switch len(parts) {
	case 1:
		return Pattern{Name: anchor(parts[0])}, nil
	case 2:
		return Pattern{Schema: anchor(parts[0]), Name: anchor(parts[1])}, nil
	}
	return Pattern{}, fmt.Errorf("pattern %s has too many dots", s)
}

// Match returns the OIDs of the relations any of the patterns match. A pattern
// without a schema matches what the role's own search path shows, as in
// pg_dump. It must be called in a transaction.
func Match(ctx context.Context, conn *pgx.Conn, patterns []string) (map[uint32]bool, error) {
	matched := map[uint32]bool{}
	if len(patterns) == 0 {
		return matched, nil
	}
	if _, err := conn.Exec(ctx, "RESET search_path"); err != nil {
		return nil, fmt.Errorf("match patterns: %w", err)
	}
	for _, s := range patterns {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		rows, err := conn.Query(ctx, `
SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'S', 'v', 'f')
  AND c.relname OPERATOR(pg_catalog.~) $1 COLLATE pg_catalog."default"
  AND CASE WHEN $2 = '' THEN pg_catalog.pg_table_is_visible(c.oid)
    ELSE n.nspname OPERATOR(pg_catalog.~) $2 COLLATE pg_catalog."default" END`, p.Name, p.Schema)
		if err != nil {
			return nil, fmt.Errorf("match pattern %s: %w", s, err)
		}
		oids, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
		if err != nil {
			return nil, fmt.Errorf("match pattern %s: %w", s, err)
		}
		for _, oid := range oids {
			matched[oid] = true
		}
	}
	if _, err := conn.Exec(ctx, "SET search_path = ''"); err != nil {
		return nil, fmt.Errorf("match patterns: %w", err)
	}
	return matched, nil
}
