package drill_test

import (
	"strings"
	"testing"

	"github.com/pgberth/pgberth/drill"
)

const goodAssertions = `
checks:
  - name: clients
    sql: SELECT count(*) FROM shop.clients
    min: 500
    max: 500
  - sql: SELECT * FROM shop.orders WHERE total < 0
    rows: 0
  - name: total
    sql: SELECT sum(total) FROM shop.orders
    value: 2001000
  - name: names
    sql: SELECT name FROM shop.clients ORDER BY id LIMIT 1
    matches: ^client \d+$
  - name: recent
    sql: SELECT max(at) FROM shop.log
    within: 1h
  - name: another database
    database: elsewhere
    sql: SELECT nonsense
    rows: 1
`

func assertions(t testing.TB, text string) []drill.Assertion {
	t.Helper()
	list, err := drill.ReadAssertions(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestReadAssertions(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "empty",
		"checks: []":                          "no check",
		"check: []":                           "line 1: field check not found",
		"checks:\n  - sql: SELECT 1":          "line 2: check 1: say what it must give",
		"checks:\n  - rows: 1":                "line 2: check 1: sql is missing",
		"checks:\n  - sql: x\n    row: 1":     `line 3: there is no key "row"`,
		"checks:\n  - sql: x\n    rows: many": "line 3: cannot unmarshal",
		"checks:\n  - sql: x\n    rows: 1\n    value: 2":     "one of",
		"checks:\n  - sql: x\n    min: few":                  "min: not a number",
		"checks:\n  - sql: x\n    matches: '('":              "matches:",
		"checks:\n  - sql: x\n    within: soon":              "within: not a duration",
		"checks:\n  - sql: x\n    rows: 1\n    timeout: -1s": "timeout: not a duration",
		"checks:\n  - SELECT 1":                              "line 2: a check is",
	} {
		if _, err := drill.ReadAssertions(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
