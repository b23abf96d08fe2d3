package definitions

import "strings"

// Canonical writes SQL that a server has deparsed as the same server deparses it
// after it was read once more. A server that reads the cast of an array
// constructor casts its elements instead: of a column of type varchar, IN ('a', 'b')
// is shown as ANY ((ARRAY['a'::varchar, 'b'::varchar])::text[]), and once it was
// dumped and restored as ANY (ARRAY[('a'::varchar)::text, ('b'::varchar)::text]).
func Canonical(sql string) string {
	const opening = "(ARRAY["
	for from := 0; ; {
		at := strings.Index(sql[from:], opening)
		if at < 0 {
			return sql
		}
		at += from
		from = at + len(opening)
		elements, end := arrayElements(sql, from)
		if end < 0 {
			continue
		}
		element, rest, found := castToArray(sql[end:])
		if !found {
			continue
		}
		for i, e := range elements {
			elements[i] = "(" + e + ")::" + element
		}
		// The elements may hold such casts themselves: go on right behind "ARRAY[".
		sql = sql[:at] + "ARRAY[" + strings.Join(elements, ", ") + "]" + rest
		from = at + len("ARRAY[")
	}
}

// castToArray reads ")::TYPE[]", the cast of an array in parentheses, and returns
// the type of its elements and what follows.
func castToArray(sql string) (element, rest string, found bool) {
	sql, found = strings.CutPrefix(sql, ")::")
	if !found {
		return "", "", false
	}
	element, rest, found = strings.Cut(sql, "[]")
	return element, rest, found && !strings.ContainsAny(element, "[]=<>;:'")
}

// arrayElements cuts what follows "ARRAY[" at its commas and returns where its
// closing bracket ends, or -1.
func arrayElements(sql string, from int) (elements []string, end int) {
	depth, start := 0, from
	for i := from; i < len(sql); i++ {
		switch c := sql[i]; c {
		case '\'', '"':
			closing := strings.IndexByte(sql[i+1:], c) // a doubled one opens the next
			if closing < 0 {
				return nil, -1
			}
			i += 1 + closing
		case '(', '[':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				elements = append(elements, sql[start:i])
				start = i + len(", ")
			}
		case ']':
			if depth == 0 {
				return append(elements, sql[start:i]), i + 1
			}
			depth--
		}
	}
	return nil, -1
}
