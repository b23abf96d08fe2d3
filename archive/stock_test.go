package archive

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// carry copies a file or directory into a server's container, and returns its path there.
func carry(t testing.TB, s *pgtest.Server, path string) string {
	t.Helper()
	name := "/tmp/" + strconv.FormatInt(carried.Add(1), 10)
	docker(t, "cp", path, s.Container+":"+name)
	return name
}

var carried atomic.Int64

// stock runs the stock pg_restore of a server's container over an archive there.
func stock(t testing.TB, s *pgtest.Server, args ...string) string {
	t.Helper()
	program := "/usr/lib/postgresql/" + strconv.Itoa(s.Major) + "/bin/pg_restore"
	return docker(t, append([]string{"exec", s.Container, program, "-U", s.User}, args...)...)
}

func docker(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return stdout.String()
}

// scripts are archives as pg_restore prints them, which does not depend on how they are stored.
func scripts(t testing.TB, s *pgtest.Server, dir string, names []string) []string {
	t.Helper()
	const each = `program=$0 dir=$1; shift; for name; do "$program" --restrict-key=test --create --clean --if-exists -f - "$dir/$name" || exit 1; printf '\001'; done`
	program := "/usr/lib/postgresql/" + strconv.Itoa(s.Major) + "/bin/pg_restore"
	text := docker(t, append([]string{"exec", s.Container, "sh", "-c", each, program, dir}, names...)...)
	list := strings.Split(strings.TrimSuffix(text, "\001"), "\001")
	if len(list) != len(names) {
		t.Fatalf("%d scripts of %d archives", len(list), len(names))
	}
	for i, script := range list {
		if len(script) < 5000 {
			t.Fatalf("%s: script of %d bytes", names[i], len(script))
		}
	}
	return list
}

// listing is pg_restore -l without the header, which names the format.
func listing(text string) string {
	_, entries, _ := strings.Cut(text, "; Selected TOC Entries:\n")
	return entries
}

// What we write, stock pg_restore reads as it reads what pg_dump wrote.
func TestStockReadsOurs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		major  int
		golden string
		codecs []Codec
	}{
		{13, "13-custom.dump", []Codec{{}, {Compression: CompressionGzip}}},
		{15, "15-custom.dump", []Codec{{}, {Compression: CompressionGzip}}},
		{17, "17-directory-zstd", codecs()},
		{18, "18-custom.dump", []Codec{{Compression: CompressionZstd}}},
	} {
		if !hasMajor(t, c.major) {
			continue
		}
		s := pgtest.SharedContainer(t, c.major)
		from := filepath.Join(golden, c.golden)
		at := carry(t, s, from)
		want := scripts(t, s, filepath.Dir(at), []string{filepath.Base(at)})[0]
		list, err := os.ReadFile(from + ".list")
		if err != nil {
			t.Fatal(err)
		}
		for _, codec := range c.codecs {
			dir := t.TempDir()
			rewriteDirectory(t, open(t, from), filepath.Join(dir, "directory"), codec)
			f, err := os.Create(filepath.Join(dir, "custom"))
			if err != nil {
				t.Fatal(err)
			}
			rewriteCustom(t, open(t, from), f, f, codec)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			var piped bytes.Buffer
			rewriteCustom(t, open(t, from), &piped, nil, codec)
			if err := os.WriteFile(filepath.Join(dir, "piped"), piped.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			inside := carry(t, s, dir)
			kinds := []string{"directory", "custom", "piped"}
			for i, got := range scripts(t, s, inside, kinds) {
				if kind := kinds[i]; got != want {
					t.Errorf("pg_restore %d reads our %s with %s otherwise than %s:\n%s", c.major, kind, codec, c.golden, firstDifference(got, want))
				}
			}
			if got := listing(stock(t, s, "-l", inside+"/directory")); got != listing(string(list)) {
				t.Errorf("pg_restore %d -l with %s:\n%s", c.major, codec, firstDifference(got, listing(string(list))))
			}
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "line " + strconv.Itoa(i+1) + "\ngot  " + g[i] + "\nwant " + w[i]
		}
	}
	return strconv.Itoa(len(g)) + " lines, want " + strconv.Itoa(len(w))
}

// createRoles makes the roles an archive names.
func createRoles(t testing.TB, s *pgtest.Server, toc *TOC) {
	t.Helper()
	for _, role := range RolesNamed(toc.Entries, RestoreOptions{}) {
		if len(s.Rows(t, "postgres", "SELECT 1 FROM pg_roles WHERE rolname = "+QuoteLiteral(role))) == 0 {
			s.Exec(t, "postgres", "CREATE ROLE "+QuoteIdent(role))
		}
	}
}

// Down-converted archives are restored by the versions they were converted for.
func TestStockRestoresConverted(t *testing.T) {
	t.Parallel()
	for _, major := range []int{13, 15} {
		if !hasMajor(t, major) {
			continue
		}
		s := pgtest.SharedContainer(t, major)
		toc, err := open(t, filepath.Join(golden, "17-custom.dump")).TOC().Convert(LayoutFor(major))
		if err != nil {
			t.Fatal(err)
		}
		createRoles(t, s, toc)
		path := filepath.Join(t.TempDir(), "converted")
		writeConverted(t, open(t, filepath.Join(golden, "17-custom.dump")), toc, path)
		db := s.CreateDB(t, "TEMPLATE template0")
		stock(t, s, "-j4", "--exit-on-error", "-d", db, carry(t, s, path))
		checkDatabase(t, s, db)
	}
}

// checkDatabase looks at what the golden archives put into a database.
func checkDatabase(t testing.TB, s *pgtest.Server, db string) {
	t.Helper()
	for sql, want := range map[string]string{
		`SELECT count(*) || ' ' || sum(chips) FROM "high stakes".players`:                                                              "65 1949",
		`SELECT string_agg(oid || ' ' || pg_get_userbyid(lomowner), ',' ORDER BY oid) FROM pg_largeobject_metadata`:                    "100001 dealer,100002 dealer,100003 postgres,3000000000 dealer",
		`SELECT md5(lo_get(3000000000)) = md5(repeat('chips ', 300)::bytea)`:                                                           "t",
		`SELECT convert_from(lo_get(100001), 'UTF8') || length(lo_get(100002))`:                                                        "a large object0",
		`SELECT lomacl::text FROM pg_largeobject_metadata WHERE oid = 100002`:                                                          `{dealer=rw/dealer,"\"Pit Boss\"=r/dealer"}`,
		`SELECT obj_description(100001, 'pg_largeobject')`:                                                                             "the first",
		`SELECT last_value || ' ' || is_called FROM "high stakes".tickets`:                                                             "5 true",
		`SELECT total::text FROM "high stakes".totals`:                                                                                 "1949",
		`SELECT obj_description(oid, 'pg_event_trigger') FROM pg_event_trigger`:                                                        "watches",
		`SELECT string_agg(relname || ' ' || pg_get_userbyid(relowner), ',') FROM pg_class WHERE relname LIKE 'Hands%name' || chr(10)`: oddName + " dealer",
	} {
		got := s.Rows(t, db, sql)
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

// restoreOurs restores an archive over one connection by what this package says is to be done.
func restoreOurs(t testing.TB, s *pgtest.Server, db string, a Archive) {
	t.Helper()
	conn := s.Connect(t, db)
	toc := a.TOC()
	session := NewSession(toc, RestoreOptions{})
	execute(t, conn, session.Preamble(s.Major))
	var rest []*Entry
	for _, e := range toc.Entries {
		switch {
		case e.IsDatabaseLevel():
		case toc.Section(e) != SectionPreData || e.Pass() != PassMain:
			rest = append(rest, e)
		default:
			restoreEntry(t, conn, session, a, e)
		}
	}
	g := NewGraph(toc, rest, a.DataSize)
	for e := g.Next(); e != nil; e = g.Next() {
		restoreEntry(t, conn, session, a, e)
		g.Done(e)
	}
	if g.Len() != 0 {
		t.Errorf("%d entries were never ready", g.Len())
	}
}

func restoreEntry(t testing.TB, conn *pgx.Conn, session *Session, a Archive, e *Entry) {
	t.Helper()
	ctx := context.Background()
	statements, err := session.Statements(e)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, conn, statements)
	switch {
	case e.Desc == DescTableData:
		r, err := a.TableData(ctx, e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.PgConn().CopyFrom(ctx, r, e.CopyStmt.String); err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	case e.Desc == DescBlobs:
		eachObject(t, a, e, func(oid uint32, content io.Reader) error {
			data, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			_, err = conn.Exec(ctx, "SELECT lo_put($1, 0, $2)", oid, data)
			return err
		})
	}
}

// hasMajor reports whether this run tests with servers of a major version.
func hasMajor(t testing.TB, major int) bool { return slices.Contains(pgtest.Majors(t), major) }

func execute(t testing.TB, conn *pgx.Conn, statements []string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
			t.Fatalf("%s\n%v", sql, err)
		}
	}
}

func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// What a Session and a Graph make of an archive is what stock pg_restore makes of it.
func TestSessionRestoresAsStock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		major  int
		golden string
	}{
		{17, "13-directory"}, {17, "15-custom.dump"}, {17, "17-tar.tar"}, {17, "17-piped.dump"}, {18, "18-statistics.dump"},
	} {
		if !hasMajor(t, c.major) {
			continue
		}
		t.Run(c.golden, func(t *testing.T) {
			s := pgtest.SharedContainer(t, c.major)
			path := filepath.Join(golden, c.golden)
			a := open(t, path)
			createRoles(t, s, a.TOC())
			theirs, ours := s.CreateDB(t, "TEMPLATE template0"), s.CreateDB(t, "TEMPLATE template0")
			stock(t, s, "--exit-on-error", "-d", theirs, carry(t, s, path))
			restoreOurs(t, s, ours, a)
			checkDatabase(t, s, ours)
			// Which partition a row is in depends on the oids of an enum, so lines may trade places.
			if got, want := sortedLines(s.Dump(t, ours)), sortedLines(s.Dump(t, theirs)); got != want {
				t.Error(firstDifference(got, want))
			}
		})
	}
}
