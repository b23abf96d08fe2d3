package copywire_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
)

var formats = []struct {
	name   string
	with   string
	binary bool
}{
	{"text", "", false},
	{"binary", " WITH (FORMAT binary)", true},
}

func TestRelay(t *testing.T) {
	host, container := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	sourceDB, targetDB := host.CreateDB(t), container.CreateDB(t)
	noLeaks(t)
	for _, test := range []struct {
		name, columns, insert string
		rows                  int64
	}{
		{"empty", "a int, b text", "", 0},
		{"no columns", "", "INSERT INTO t SELECT FROM generate_series(1, 3)", 3},
		{"nulls and specials", "a int, b text, c bytea",
			`INSERT INTO t VALUES (1, NULL, NULL), (NULL, '', ''), (3, E'\\N\t\n\r\\.\\', '\x000a5c09'), (4, E'\\.', '\xffff')`, 4},
		{"100,000 small rows", "a int, b text", "INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 100000) g", 100000},
		{"rows as long as a buffer", "a int, b text", "INSERT INTO t SELECT g, repeat(chr(97 + g % 26), 262125 + g) FROM generate_series(1, 20) g", 20},
	} {
		for _, format := range formats {
			t.Run(test.name+"/"+format.name, func(t *testing.T) {
				for _, side := range []struct {
					s  *pgtest.Server
					db string
				}{{host, sourceDB}, {container, targetDB}} {
					side.s.Exec(t, side.db, "DROP TABLE IF EXISTS t; CREATE TABLE t ("+test.columns+")")
				}
				host.Exec(t, sourceDB, test.insert)
				from, to := host.Connect(t, sourceDB).PgConn(), container.Connect(t, targetDB).PgConn()
				out, in := "COPY t TO STDOUT"+format.with, "COPY t FROM STDIN"+format.with

				tally, stored, err := relay(t.Context(), from, to, out, in, copywire.NewRowHash(format.binary))
				if err != nil || tally.Rows != test.rows || stored != test.rows {
					t.Fatalf("relay: sent %d rows, stored %d, want %d: %v", tally.Rows, stored, test.rows, err)
				}
				const content = `SELECT md5(COALESCE(string_agg(t::text, '|' ORDER BY t::text COLLATE "C"), '')) FROM t`
				if have, want := container.Row(t, targetDB, content), host.Row(t, sourceDB, content); have != want {
					t.Errorf("the tables differ: %s, want %s", have, want)
				}

				// The same connections again: the target is read back, the source for the naive hash.
				back, err := copywire.Out(t.Context(), to, out, nil, copywire.NewRowHash(format.binary))
				if err != nil || back != tally {
					t.Errorf("the target holds %+v, want %+v: %v", back, tally, err)
				}
				var rows collector
				if _, err := copywire.Out(t.Context(), from, out, &rows, nil); err != nil {
					t.Fatal(err)
				}
				sum, bytes := naive(payloads(t, rows.frames), format.binary)
				if tally.Hash != sum || tally.Bytes != bytes {
					t.Errorf("the hash is %x of %d bytes, want %x of %d", tally.Hash, tally.Bytes, sum, bytes)
				}
				usable(t, from)
				usable(t, to)
			})
		}
	}
}

func TestRelayHugeRow(t *testing.T) {
	const size = 200 << 20
	host, container := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := container.CreateDB(t)
	container.Exec(t, db, "CREATE UNLOGGED TABLE huge (a bytea); ALTER TABLE huge ALTER a SET STORAGE EXTERNAL")
	from, to := host.Connect(t, "postgres").PgConn(), container.Connect(t, db).PgConn()
	out := fmt.Sprintf("COPY (SELECT convert_to(repeat('x', %d), 'UTF8')) TO STDOUT WITH (FORMAT binary)", size)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tally, stored, err := relay(t.Context(), from, to, out, "COPY huge FROM STDIN WITH (FORMAT binary)", copywire.NewRowHash(true))
	runtime.ReadMemStats(&after)
	if err != nil || stored != 1 || tally.Bytes < size {
		t.Fatalf("relay: %+v, stored %d: %v", tally, stored, err)
	}
	if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 10 {
		t.Errorf("the relay of a row of %d MB allocated %d MB", size>>20, allocated)
	}
	if got := container.Row(t, db, "SELECT length(a), a = convert_to(repeat('x', 209715200), 'UTF8') FROM huge"); got != "209715200|t" {
		t.Errorf("the row arrived as %s", got)
	}
}

func TestHashProperties(t *testing.T) {
	servers := []*pgtest.Server{pgtest.Host(t), pgtest.SharedContainer(t, 17)}
	if os.Getenv("PGBERTH_TEST_MATRIX") != "" {
		servers = append(servers, pgtest.SharedContainer(t, 13), pgtest.SharedContainer(t, 18))
	}
	for _, format := range formats {
		var first copywire.Tally
		for _, s := range servers {
			whole := hashProperties(t, s.Connect(t, "postgres").PgConn(), format.with, format.binary)
			if first.Rows == 0 {
				first = whole
			} else if whole != first {
				t.Errorf("%s: version %d says %+v, want %+v", format.name, s.Major, whole, first)
			}
		}
	}
}

func hashProperties(t *testing.T, conn *pgconn.PgConn, with string, binary bool) copywire.Tally {
	t.Helper()
	sum := func(query string) copywire.Tally {
		t.Helper()
		tally, err := copywire.Out(t.Context(), conn, "COPY ("+query+") TO STDOUT"+with, nil, copywire.NewRowHash(binary))
		if err != nil {
			t.Fatal(err)
		}
		return tally
	}
	const rows = "SELECT g, md5(g::text) FROM generate_series(1, 1000) g"
	whole := sum(rows)
	if other := sum(rows + " ORDER BY 2 DESC"); other != whole {
		t.Errorf("in another order %+v, want %+v%s", other, whole, with)
	}
	if other := sum(rows + " UNION ALL SELECT 7, md5('7') UNION ALL SELECT 7, md5('7')"); other.Hash == whole.Hash {
		t.Errorf("a row that is there three times goes unseen%s", with)
	}
	if other := sum(strings.Replace(rows, "SELECT g", "SELECT g % 999", 1)); other.Hash == whole.Hash {
		t.Errorf("a changed value goes unseen%s", with)
	}
	a, b, none := sum(rows+" WHERE g < 300"), sum(rows+" WHERE g >= 300"), sum(rows+" WHERE g < 0")
	if a.Hash+b.Hash+none.Hash != whole.Hash || a.Rows+b.Rows != whole.Rows || none.Hash != 0 {
		t.Errorf("the parts %+v, %+v and %+v do not add up to %+v%s", a, b, none, whole, with)
	}
	return whole
}

func TestWrite(t *testing.T) {
	container := pgtest.SharedContainer(t, 17)
	db := container.CreateDB(t)
	container.Exec(t, db, "CREATE TABLE t (a int, b text)")
	to := container.Connect(t, db).PgConn()
	noLeaks(t)
	data := strings.Repeat("1\tone\n2\t\\N\n", 40000) + "3\t" + strings.Repeat("x", 500000) + "\n"
	for _, size := range []int{1, 777, 1 << 20} { // the smallest gathers in the buffer, the largest passes it by
		in, err := copywire.OpenIn(t.Context(), to, "COPY t FROM STDIN")
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; rest != ""; {
			n, err := in.Write([]byte(rest[:min(size, len(rest))]))
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if rows, err := in.Finish(); err != nil || rows != 80001 {
			t.Errorf("writes of %d bytes: %d rows: %v", size, rows, err)
		}
		usable(t, to)
		if got := container.Row(t, db, "SELECT count(b), sum(length(b)), sum(a) FROM t"); got != "40001|620000|120003" {
			t.Errorf("writes of %d bytes: the table holds %s", size, got)
		}
		container.Exec(t, db, "TRUNCATE t")
	}
}

func TestWarnings(t *testing.T) {
	container := pgtest.SharedContainer(t, 17)
	db := container.CreateDB(t)
	container.Exec(t, db, `CREATE TABLE t (a int);
		CREATE FUNCTION speak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'row %', NEW.a; RETURN NEW; END $$;
		CREATE TRIGGER speak BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION speak()`)
	to := container.Connect(t, db).PgConn()
	for _, test := range []struct {
		rows, warnings int
		last           string
	}{
		{2, 2, "WARNING: row 2"},
		{1000, 21, "980 more warnings"}, // kept in bounds
	} {
		in, err := copywire.OpenIn(t.Context(), to, "COPY t FROM STDIN")
		if err != nil {
			t.Fatal(err)
		}
		for i := range test.rows {
			if _, err := fmt.Fprintln(in, i+1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := in.Finish(); err != nil {
			t.Fatal(err)
		}
		got := in.Warnings()
		if len(got) != test.warnings || got[0] != "WARNING: row 1" || got[len(got)-1] != test.last {
			t.Errorf("%d rows: warnings %q", test.rows, got)
		}
	}
}
