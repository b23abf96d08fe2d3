package drill_test

import (
	"strings"
	"testing"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
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
		"check: []":                           `line 1: unknown key "check"; known are checks`,
		"- sql: x":                            "line 1: cannot unmarshal",
		"checks: 'x":                          "found unexpected end of stream",
		"checks:\n  - sql: SELECT 1":          "line 2: check 1: say what it must give",
		"checks:\n  - rows: 1":                "line 2: check 1: sql is missing",
		"checks:\n  - sql: x\n    row: 1":     `line 3: unknown key "row"; known are name, sql, `,
		"checks:\n  - sql: x\n    rows: many": "line 3: cannot unmarshal",
		"checks:\n  - sql: x\n    rows: 1\n    value: 2":       "one of",
		"checks:\n  - sql: x\n    min: few":                    "min: not a number",
		"checks:\n  - sql: x\n    matches: '('":                "matches:",
		"checks:\n  - sql: x\n    within: soon":                "within: not a duration",
		"checks:\n  - sql: x\n    rows: 1\n    timeout: -1s":   "timeout: not a duration",
		"checks:\n  - SELECT 1":                                "line 2: a check is",
		"checks:\n  - sql: x\n    rows: 1\n    timeout: 0.9ms": "timeout: at least 1ms",
		"checks:\n  - sql: x\n    rows: -1":                    "rows: no query gives fewer than 0",
		"checks:\n  - sql: x\n    min: 2\n    max: 1.5":        "min is more than max",
		"checks:\n  - sql: x\n    value: null":                 "value: is null",
		"checks:\n  - sql: x\n    rows: 1\n---\nchecks: []":    "line 4: a second document",
	} {
		if _, err := drill.ReadAssertions(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// A check of the user's holds whatever its statements do: it ends, writes nothing, and what it raises is its own.
func TestAssertions(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, db, "CREATE TABLE t AS SELECT generate_series(1, 3) AS id")
	o := options(dumped(t, host, db))
	o.Assertions = assertions(t, `
checks:
  - {sql: SELECT true, value: true}
  - {sql: "SELECT 'true'", value: true}
  - {sql: "SET TimeZone = 'Asia/Tokyo'; SET DateStyle = German; SELECT false", value: False}
  - {name: slow, sql: SELECT pg_sleep(600), timeout: 20ms, rows: 1}
  - {name: slow for ever, sql: SET statement_timeout = 0; SELECT pg_sleep(600), timeout: 20ms, rows: 1}
  - {name: slow in all, sql: SELECT pg_sleep(0.15); SELECT pg_sleep(0.15); SELECT 1, timeout: 250ms, rows: 1}
  - {name: writes, sql: DELETE FROM t, rows: 0}
  - {name: makes it write, sql: SET TRANSACTION READ WRITE; DELETE FROM t, rows: 0}
  - {name: ends it and writes, sql: COMMIT; DELETE FROM t, rows: 0}
  - {name: ends it, sql: COMMIT; BEGIN; SELECT 1, value: 1}
  - {name: far, sql: "DO $$ BEGIN RAISE EXCEPTION 'no such host' USING ERRCODE = '08001'; END $$", rows: 0}
  - {sql: SELECT count(*) FROM t, value: 3}
`)
	r := run(t, o)
	if r.Verdict != drill.Rejected {
		t.Fatalf("%s: %s", r.Verdict, r.Reason)
	}
	const want = `assertion: slow: it took longer than its timeout of 20ms
assertion: slow for ever: it took longer than its timeout of 20ms
assertion: slow in all: it took longer than its timeout of 250ms
assertion: writes: cannot execute DELETE in a read-only transaction (25006)
assertion: makes it write: transaction read-write mode must be set before any query (25001)
assertion: ends it and writes: cannot execute DELETE in a read-only transaction (25006)
assertion: ends it: it ended the transaction that it runs in, in which nothing can be written; leave COMMIT, ROLLBACK and the like out
assertion: far: no such host (08001)
`
	if got := failures(r); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
