package archive

import "strings"

type tokenKind int

const (
	tokenWord   tokenKind = iota // keyword or unquoted identifier
	tokenQuoted                  // "quoted identifier"
	tokenString                  // literal of any kind, dollar quotes included
	tokenParam                   // $1
	tokenNumber
	tokenSymbol // one character of anything else
)

// A token is a piece of SQL text; white space and comments are not tokens.
type token struct {
	kind       tokenKind
	start, end int
	text       string // as written
}

// is reports whether the token is a keyword, given in upper case, or a symbol.
func (t token) is(s string) bool {
	return (t.kind == tokenWord || t.kind == tokenSymbol) && strings.EqualFold(t.text, s)
}

// name is the identifier the token stands for, if it is one.
func (t token) name() (string, bool) {
	switch t.kind {
	case tokenWord:
		return lowerASCII(t.text), true
	case tokenQuoted:
		if len(t.text) < 2 || t.text[0] != '"' {
			return "", false // U&"..." is never written by pg_dump
		}
		return strings.ReplaceAll(t.text[1:len(t.text)-1], `""`, `"`), true
	}
	return "", false
}

// A lexer cuts SQL into tokens the way the server does with standard_conforming_strings on.
// It never fails: what is not closed extends to the end of the text.
type lexer struct {
	sql string
	pos int
}

func tokenize(sql string) []token {
	l := lexer{sql: sql}
	var tokens []token
	for {
		t, ok := l.next()
		if !ok {
			return tokens
		}
		tokens = append(tokens, t)
	}
}

func (l *lexer) next() (token, bool) {
	l.skipBlanks()
	if l.pos >= len(l.sql) {
		return token{}, false
	}
	start := l.pos
	kind := l.scan()
	return token{kind: kind, start: start, end: l.pos, text: l.sql[start:l.pos]}, true
}

func (l *lexer) scan() tokenKind {
	switch c := l.peek(0); {
	case c == '\'':
		l.quoted('\'', false)
		return tokenString
	case c == '"':
		l.quoted('"', false)
		return tokenQuoted
	case l.prefixed():
		return l.scanPrefixed()
	case isIdentStart(c):
		l.while(isIdentPart)
		return tokenWord
	case c >= '0' && c <= '9':
		l.while(func(c byte) bool { return isIdentPart(c) && c != '$' || c == '.' })
		return tokenNumber
	case c == '$':
		return l.dollar()
	}
	l.pos++
	return tokenSymbol
}

// prefixed reports whether a literal such as E'...' or U&"..." starts here.
func (l *lexer) prefixed() bool {
	switch l.peek(0) | 0x20 {
	case 'e', 'b', 'x', 'n':
		return l.peek(1) == '\''
	case 'u':
		return l.peek(1) == '&' && (l.peek(2) == '\'' || l.peek(2) == '"')
	}
	return false
}

func (l *lexer) scanPrefixed() tokenKind {
	escapes := l.peek(0)|0x20 == 'e'
	l.pos++
	if l.peek(0) == '&' {
		l.pos++
	}
	if l.peek(0) == '"' {
		l.quoted('"', false)
		return tokenQuoted
	}
	l.quoted('\'', escapes)
	return tokenString
}

// quoted moves behind the closing quote; a doubled quote stands for itself.
func (l *lexer) quoted(quote byte, escapes bool) {
	for l.pos++; l.pos < len(l.sql); l.pos++ {
		switch c := l.sql[l.pos]; {
		case escapes && c == '\\':
			l.pos++
		case c == quote && l.peek(1) == quote:
			l.pos++
		case c == quote:
			l.pos++
			return
		}
	}
	l.pos = len(l.sql)
}

// dollar scans $tag$ ... $tag$, $1, or a lone dollar sign.
func (l *lexer) dollar() tokenKind {
	start := l.pos
	l.pos++
	if c := l.peek(0); c >= '0' && c <= '9' {
		l.while(func(c byte) bool { return c >= '0' && c <= '9' })
		return tokenParam
	}
	if isIdentStart(l.peek(0)) {
		l.while(func(c byte) bool { return isIdentPart(c) && c != '$' })
	}
	if l.peek(0) != '$' {
		l.pos = start + 1
		return tokenSymbol
	}
	l.pos++
	tag := l.sql[start:l.pos]
	if i := strings.Index(l.sql[l.pos:], tag); i >= 0 {
		l.pos += i + len(tag)
	} else {
		l.pos = len(l.sql)
	}
	return tokenString
}

func (l *lexer) skipBlanks() {
	for l.pos < len(l.sql) {
		switch c := l.sql[l.pos]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			l.pos++
		case c == '-' && l.peek(1) == '-':
			if i := strings.IndexAny(l.sql[l.pos:], "\r\n"); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.sql)
			}
		case c == '/' && l.peek(1) == '*':
			l.blockComment()
		default:
			return
		}
	}
}

// blockComment skips a comment with the comments inside it.
func (l *lexer) blockComment() {
	depth := 0
	for l.pos < len(l.sql) {
		switch {
		case l.peek(0) == '/' && l.peek(1) == '*':
			depth++
			l.pos += 2
		case l.peek(0) == '*' && l.peek(1) == '/':
			depth--
			l.pos += 2
			if depth == 0 {
				return
			}
		default:
			l.pos++
		}
	}
}

func (l *lexer) while(in func(byte) bool) {
	for l.pos < len(l.sql) && in(l.sql[l.pos]) {
		l.pos++
	}
}

func (l *lexer) peek(ahead int) byte {
	if i := l.pos + ahead; i < len(l.sql) {
		return l.sql[i]
	}
	return 0
}

func isIdentStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isIdentPart(c byte) bool {
	return isIdentStart(c) || c >= '0' && c <= '9' || c == '$'
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// SplitStatements cuts SQL at the semicolons that end statements. The pieces come without
// the semicolon and without surrounding blanks and comments; empty ones are left out.
func SplitStatements(sql string) []string {
	var out []string
	for _, statement := range statements(sql) {
		first, last := statement[0], statement[len(statement)-1]
		out = append(out, sql[first.start:last.end])
	}
	return out
}

// statements groups tokens by statement. Semicolons inside parentheses (rules) and
// inside BEGIN ATOMIC ... END (function bodies) end nothing.
func statements(sql string) [][]token {
	var (
		out     [][]token
		current []token
		parens  int
		blocks  int
	)
	end := func() {
		if len(current) > 0 {
			out = append(out, current)
		}
		current, parens, blocks = nil, 0, 0
	}
	for _, t := range tokenize(sql) {
		switch {
		case t.is("("):
			parens++
		case t.is(")"):
			parens = max(parens-1, 0)
		case t.is(";") && parens == 0 && blocks == 0:
			end()
			continue
		case parens == 0 && createsRoutine(current):
			switch {
			case t.is("BEGIN"), t.is("CASE") && blocks > 0:
				blocks++
			case t.is("END"):
				blocks = max(blocks-1, 0)
			}
		}
		current = append(current, t)
	}
	end()
	return out
}

func createsRoutine(tokens []token) bool {
	i := 1
	if hasWords(tokens, "CREATE", "OR", "REPLACE") {
		i = 3
	} else if !hasWords(tokens, "CREATE") {
		return false
	}
	return len(tokens) > i && (tokens[i].is("FUNCTION") || tokens[i].is("PROCEDURE"))
}

// hasWords reports whether tokens start with keywords.
func hasWords(tokens []token, words ...string) bool {
	if len(tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if !tokens[i].is(w) {
			return false
		}
	}
	return true
}

// QuoteIdent writes a name as an SQL identifier, in quotes always.
func QuoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// QuoteLiteral writes a value as an SQL string literal that reads the same whatever
// standard_conforming_strings is.
func QuoteLiteral(value string) string {
	quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
	if strings.Contains(value, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
