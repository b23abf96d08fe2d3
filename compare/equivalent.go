package compare

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/pgberth/pgberth/internal/definitions"
)

// equivalent reports whether two texts that differ mean the same.
func (m *merge) equivalent(aspect, from, to string) bool {
	from, to = definitions.Canonical(from), definitions.Canonical(to)
	if from == to {
		return true
	}
	switch aspect {
	case "column order":
		return sameOrder(strings.Split(from, ", "), strings.Split(to, ", "))
	case "definition":
		return m.sameDefinition(from, to)
	}
	return false
}

// inArgument is how pg_get_functiondef starts an input argument of a procedure
// from 14 on, and only of one that has output arguments below.
var inArgument = regexp.MustCompile(`([(,] ?)IN `)

func (m *merge) sameDefinition(from, to string) bool {
	if m.straddles(14) && inArgument.ReplaceAllString(from, "$1") == inArgument.ReplaceAllString(to, "$1") {
		return true
	}
	// From 16 on, pg_get_viewdef leaves out the table's name before the
	// columns of a view of one table.
	return m.straddles(16) && (unqualified(from, to) || unqualified(to, from))
}

// sameOrder reports whether what is in both lists stands in the same order. A
// column that only one side has is a difference of its own.
func sameOrder(from, to []string) bool {
	only := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(other, s) })
	}
	return slices.Equal(only(from, to), only(to, from))
}

// unqualified reports whether short is long without the qualifiers of the
// columns of one table.
func unqualified(long, short string) bool {
	a, b := tokens(long), tokens(short)
	table := ""
	for len(a) > 0 && len(b) > 0 {
		qualified := len(a) > 2 && isName(a[0]) && a[1] == "."
		kept := qualified && len(b) > 2 && a[0] == b[0] && b[1] == "."
		switch {
		case qualified && !kept && (table == "" || table == a[0]):
			table = a[0]
			a = a[2:]
		case a[0] == b[0]:
			a, b = a[1:], b[1:]
		default:
			return false
		}
	}
	return len(a) == 0 && len(b) == 0
}

// tokens cuts SQL, as a server deparses it, into names, strings and single
// other characters, without white space.
func tokens(sql string) []string {
	var list []string
	for i := 0; i < len(sql); {
		start := i
		switch c := rune(sql[i]); {
		case unicode.IsSpace(c):
			i++
			continue
		case c == '"' || c == '\'':
			// A doubled quote ends one token and starts the next, on both sides.
			for i++; i < len(sql) && rune(sql[i]) != c; i++ {
			}
			i = min(i+1, len(sql))
		case isWord(c):
			for i < len(sql) && isWord(rune(sql[i])) {
				i++
			}
		default:
			i++
		}
		list = append(list, sql[start:i])
	}
	return list
}

// isWord takes every byte above ASCII for a part of a word.
func isWord(c rune) bool {
	return c == '_' || c == '$' || c >= 0x80 || unicode.IsLetter(c) || unicode.IsDigit(c)
}

func isName(token string) bool {
	c := rune(token[0])
	return c == '"' || isWord(c) && !unicode.IsDigit(c)
}
