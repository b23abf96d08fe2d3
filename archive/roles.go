package archive

import (
	"maps"
	"slices"
	"strings"
)

// RolesNamed returns, sorted, the roles that the entries need to exist: owners, grantors and
// grantees, the roles of policies, user mappings and default privileges, and those with settings
// of their own in the database. What the options leave out names no role, and neither
// PUBLIC and its like nor the server's own pg_* roles are returned.
func RolesNamed(entries []*Entry, opts RestoreOptions) []string {
	found := make(roleSet)
	for _, e := range entries {
		if opts.Skips(e) {
			continue
		}
		if !opts.NoOwner {
			found.add(e.Owner.String)
		}
		switch e.Desc {
		case DescACL, DescACLLanguage, DescDefaultACL, DescPolicy, DescUserMapping, DescDatabaseProperties:
			for _, statement := range statements(e.Defn.String) {
				found.statement(statement)
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

type roleSet map[string]bool

func (s roleSet) add(name string) {
	if name != "" && name != "public" && !strings.HasPrefix(name, "pg_") {
		s[name] = true
	}
}

// token adds the role a token names.
func (s roleSet) token(t token) {
	if t.kind == tokenString {
		s.add(strings.ReplaceAll(strings.Trim(t.text, "'"), "''", "'"))
		return
	}
	if t.is("CURRENT_USER") || t.is("CURRENT_ROLE") || t.is("SESSION_USER") || t.is("DEFAULT") {
		return
	}
	if name, ok := t.name(); ok {
		s.add(name)
	}
}

// list adds the roles of a comma-separated list.
func (s roleSet) list(tokens []token) {
	for i := 0; i < len(tokens); i += 2 {
		if tokens[i].is("GROUP") {
			i++
		}
		if i < len(tokens) {
			s.token(tokens[i])
		}
		if i+1 >= len(tokens) || !tokens[i+1].is(",") {
			return
		}
	}
}

// statement adds the roles that a GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, SET SESSION AUTHORIZATION,
// CREATE POLICY, CREATE USER MAPPING or ALTER ROLE names.
func (s roleSet) statement(tokens []token) {
	switch {
	case hasWords(tokens, "SET", "SESSION", "AUTHORIZATION"):
		s.list(tokens[3:])
	case hasWords(tokens, "ALTER", "ROLE"):
		s.list(tokens[2:])
	case hasWords(tokens, "CREATE", "USER", "MAPPING", "FOR"):
		s.list(tokens[4:])
	case hasWords(tokens, "CREATE", "POLICY"):
		s.after(tokens, "TO")
	case hasWords(tokens, "GRANT"):
		s.after(tokens, "TO")
		s.after(tokens, "GRANTED", "BY")
	case hasWords(tokens, "REVOKE"):
		s.after(tokens, "FROM")
		s.after(tokens, "GRANTED", "BY")
	case hasWords(tokens, "ALTER", "DEFAULT", "PRIVILEGES"):
		s.after(tokens, "FOR", "ROLE")
		s.after(tokens, "FOR", "USER")
		s.after(tokens, "TO")
		s.after(tokens, "FROM")
	}
}

// after adds the list that follows the first of some keywords outside parentheses.
func (s roleSet) after(tokens []token, words ...string) {
	parens := 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			parens++
		case t.is(")"):
			parens--
		case parens == 0 && hasWords(tokens[i:], words...):
			s.list(tokens[i+len(words):])
			return
		}
	}
}

// GrantedRole returns the role that a statement makes another role a member of, if it does.
func GrantedRole(sql string) (string, bool) {
	tokens := tokenize(sql)
	if len(tokens) < 4 || !tokens[0].is("GRANT") || !tokens[2].is("TO") {
		return "", false
	}
	return tokens[1].name()
}
