package archive

import "strings"

// RenameDatabase makes the SQL of a database-level entry speak of another database: the name
// after the keyword DATABASE is replaced in each statement, everything else stays byte for byte.
func RenameDatabase(sql, from, to string) string {
	var b strings.Builder
	copied := 0
	for _, tokens := range statements(sql) {
		t, ok := databaseToken(tokens, from)
		if !ok {
			continue
		}
		b.WriteString(sql[copied:t.start])
		b.WriteString(QuoteIdent(to))
		copied = t.end
	}
	b.WriteString(sql[copied:])
	return b.String()
}

func databaseToken(tokens []token, database string) (token, bool) {
	for i := 1; i < len(tokens); i++ {
		if name, ok := tokens[i].name(); ok && name == database && tokens[i-1].is("DATABASE") {
			return tokens[i], true
		}
	}
	return token{}, false
}

// WithoutTablespace removes the TABLESPACE option from a CREATE DATABASE statement.
func WithoutTablespace(sql string) string { return withoutOption(sql, "TABLESPACE") }

// WithoutLocaleProvider removes the LOCALE_PROVIDER option from a CREATE DATABASE
// statement. Servers before 15 do not know it; all of their databases are libc's.
func WithoutLocaleProvider(sql string) string { return withoutOption(sql, "LOCALE_PROVIDER") }

func withoutOption(sql, option string) string {
	tokens := tokenize(sql)
	for i := 1; i < len(tokens); i++ {
		if !tokens[i].is(option) {
			continue
		}
		value := i + 1
		if value < len(tokens) && tokens[value].is("=") {
			value++
		}
		if value >= len(tokens) {
			break
		}
		return sql[:tokens[i-1].end] + sql[tokens[value].end:]
	}
	return sql
}
