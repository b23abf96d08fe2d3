package conninfo_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// Every form leads where psql goes with it, and what children get leads there too.
func TestLikeLibpq(t *testing.T) {
	host := pgtest.Host(t)
	clean(t)
	const password = `p?w:d/ '\x%`
	host.Exec(t, "postgres", `CREATE ROLE "us er" LOGIN PASSWORD `+catalog.Literal(password))
	t.Cleanup(func() { host.Exec(t, "postgres", `DROP ROLE "us er"`) })
	in := place(host, password)
	enc, kw := url.PathEscape(password), strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password)
	for _, test := range []struct{ form, env string }{
		{form: "postgres://us%20er:" + enc + "@HOST:PORT/postgres"},
		{form: "postgresql://us%20er:" + enc + "@HOST:PORT/postgres?application_name=x%20y%3Dz"},
		{form: "postgres://us%20er:" + strings.ReplaceAll(enc, "%3F", "?") + "@HOST:PORT/postgres?application_name=a@b"},
		{form: "postgres://HOST:PORT/postgres?user=us%20er&pass%77ord=" + enc},
		{form: "postgres://HOST/template1?port=PORT", env: "PGUSER=us er PGPASSWORD=" + password},
		{form: "postgres:///postgres?host=DIR&port=PORT&user=postgres"},
		{form: "postgres://postgres@ENC:PORT/postgres"},
		{form: "postgres://postgres@ENC:PORT"},
		{form: "postgres://postgres@/postgres?host=ENC&port=PORT&ssl=true"},
		{form: "postgres://postgres@/postgres?port=PORT", env: "PGHOST=DIR"},
		{form: "postgres://postgres@:PORT/", env: "PGHOST=DIR"},
		{form: "postgres://us%20er:" + enc + "@127.0.0.9:1,HOST:PORT/postgres"},
		{form: "postgres://postgres@ENC:1,ENC:PORT/template1"},
		{form: "postgres://postgres@ENC,ENC/template1?port=PORT"},
		{form: "postgres://postgres@ENC:PORT/post%67res?options=-c%20search_path%3Dx"},
		{form: "postgres://us%20er:" + enc + "@some.name.invalid:PORT/postgres?hostaddr=HOST"},
		{form: "host=DIR port=PORT user=postgres dbname=postgres"},
		{form: "  host = DIR\tport\n=\nPORT user= 'postgres'dbname='postgres' "},
		{form: `host=HOST port=PORT user=us\ er password='` + kw + `' dbname=postgres`},
		{form: `host=HOST port=PORT user='us er' password='x' password='` + kw + `' dbname='post\gres' application_name='it\'s \\ a://b'`},
		{form: `user=postgres dbname=postgres application_name=a://b`, env: "PGHOST=DIR PGPORT=PORT"},
		{form: `dbname=postgres user=postgres host='' port=''`, env: "PGHOST=DIR PGPORT=PORT"}, // fails: the defaults, not the environment
		{form: `hostaddr=HOST port=PORT user='us er' dbname=postgres`, env: "PGPASSWORD=" + password},
		{form: `host=DIR user='us er' port=PORT`, env: "PGHOSTADDR=HOST PGDATABASE=postgres PGPASSWORD=" + password},
		{form: `keepalives=1 keepalives_idle=5 tcp_user_timeout=100 gssencmode=disable client_encoding=UTF8 connect_timeout=5 host=DIR port=PORT user=postgres`},
		{form: `fallback_application_name=x channel_binding=disable sslmode=prefer host=DIR port=PORT user=postgres dbname=template1`},
		{form: "dbname=postgres", env: "PGHOST=DIR PGPORT=PORT PGUSER=postgres PGOPTIONS=-c%20application_name=e"},
		{form: "", env: "PGHOST=DIR PGPORT=PORT PGUSER=postgres PGDATABASE=template1"},
		{form: "", env: "PGHOST=DIR PGPORT=PORT PGUSER=postgres"},
		{form: "postgres://us%20er:" + enc + "@HOST:PORT/postgres", env: "PGSSLMODE=require"}, // the server has no TLS
		{form: "postgres://us%20er:" + enc + "@HOST:PORT/postgres?sslmode=prefer", env: "PGSSLMODE=require PGCHANNELBINDING=disable"},
		{form: "postgres://us%20er:" + enc + "@HOST:PORT/postgres", env: "PGCHANNELBINDING=require PGCONNECT_TIMEOUT=5"}, // nor this without
		// Neither takes these.
		{form: "postgres://postgres@ENC:PORT/postgres?schema=public"},
		{form: "postgres://postgres@ENC:PORT/postgres?application_name"},
		{form: "postgres://postgres@ENC:PORT/postg%6zres"},
		{form: "postgres://postgres@ENC:PORT/postgres%00"},
		{form: "postgres://postgres@[::1/postgres"},
		{form: "postgres://postgres@[]:PORT/postgres"},
		{form: "postgres://postgres@[::1]PORT/postgres"},
		{form: "postgres://postgres@ENC:1,ENC:2,ENC:PORT/postgres?port=1,2"},
		{form: "postgres://postgres@ENC:70000/postgres"},
		{form: "host=DIR port=PORT user=postgres dbname=postgres search_path=public"},
		{form: "host=DIR port=PORT user = post gres"},
		{form: "host=DIR port=PORT user='postgres"},
		{form: `host=DIR port=PORT user='postgres\'`},
		{form: "host=DIR port=PORT user=postgres dbname"},
		{form: "host=DIR port=PORT =postgres"},
		{form: "host=HOST,HOST hostaddr=HOST port=PORT user=postgres"},
	} {
		t.Run(test.form, func(t *testing.T) {
			for _, v := range strings.Fields(strings.ReplaceAll(test.env, "us er", "us%20er")) {
				name, value, _ := strings.Cut(v, "=")
				if name == "PGPASSWORD" {
					value = password
				}
				t.Setenv(name, strings.ReplaceAll(in.Replace(value), "%20", " "))
			}
			if strings.Contains(test.env, "PGPASSWORD") {
				t.Setenv("PGPASSWORD", password)
			}
			form := in.Replace(test.form)
			want, libpqErr := psql(t, form)
			got, err := ours(t, form)
			if (err == nil) != (libpqErr == nil) || got != want {
				t.Fatalf("we get to %q (%v), psql to %q (%v)", got, err, want, libpqErr)
			}
			if err != nil {
				return
			}
			e, err := conninfo.Parse(form)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(e.Name+e.Libpq(), password) || strings.Contains(e.Name+e.Libpq(), kw) {
				t.Errorf("the password is in %q or %q", e.Name, e.Libpq())
			}
			clean(t) // children get nothing of the environment
			if len(e.Hosts()) > 1 {
				e = e.Hosts()[1]
			}
			if got, err := child(t, e); err != nil || !sameButApp(got, want) {
				t.Errorf("children get to %q (%v), we to %q", got, err, want)
			}
		})
	}
}

// Passwords reach the server by every way there is, unchanged.
func TestPasswords(t *testing.T) {
	host := pgtest.Host(t)
	home := clean(t)
	role := pgtest.NewName("role")
	host.Exec(t, "postgres", "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() { host.Exec(t, "postgres", "DROP ROLE "+role) })
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for _, password := range []string{
		"plain", "pass:word", `back\slash`, `\`, `\:`, `:`, `q'uo"te`, "  blanks  ", "#hash", "*", "ünïcode", "%41", "a=b&c?d#e/f@g", "$PATH;x",
	} {
		t.Run(password, func(t *testing.T) {
			host.Exec(t, "postgres", "ALTER ROLE "+role+" PASSWORD "+catalog.Literal(password))
			address := "host=" + host.Host + " port=" + strconv.Itoa(int(host.Port)) + " dbname=postgres user=" + role
			for way, s := range map[string]string{
				"URI":     "postgres://" + url.UserPassword(role, password).String() + "@" + place(host, "").Replace("HOST:PORT") + "/postgres",
				"keyword": address + " password='" + quote.Replace(password) + "'",
				"env":     address,
				"file":    address,
			} {
				os.Unsetenv("PGPASSWORD")
				os.Remove(filepath.Join(home, ".pgpass"))
				switch way {
				case "env":
					t.Setenv("PGPASSWORD", password)
				case "file":
					e, err := conninfo.Parse(address + " password='" + quote.Replace(password) + "'")
					if err != nil {
						t.Fatal(err)
					}
					write(t, filepath.Join(home, ".pgpass"), "# comment\n\nx:1:y:z:other\n"+e.PassFile())
				}
				want, err := psql(t, s)
				if err != nil {
					t.Fatalf("%s: psql does not get in", way)
				}
				if got, err := ours(t, s); got != want || err != nil {
					t.Errorf("%s: %q: %v", way, got, err)
				}
				e, err := conninfo.Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				os.Unsetenv("PGPASSWORD")
				if got, err := child(t, e); got != want || err != nil {
					t.Errorf("%s: a child gets %q: %v", way, got, err)
				}
			}
		})
	}
}

// The password file's lines are matched as libpq matches them.
func TestPassFile(t *testing.T) {
	host := pgtest.Host(t)
	home := clean(t)
	const password = `a\c `
	role := "ro:le" + pgtest.NewName(`\`)
	quoted := catalog.Quote(role)
	host.Exec(t, "postgres", "CREATE ROLE "+quoted+" LOGIN PASSWORD "+catalog.Literal(password))
	t.Cleanup(func() { host.Exec(t, "postgres", "DROP ROLE "+quoted) })
	in := place(host, strings.ReplaceAll(password, `\`, `\\`))
	field := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(role)
	s := in.Replace("postgres://HOST:PORT/postgres?user=" + url.QueryEscape(role))
	for _, lines := range []string{
		"HOST:PORT:postgres:ROLE:PW\n",
		"HOST:PORT:postgres:ROLE:PW\r\n",
		"*:*:*:*:PW",
		"\n\nHOST:PORT:template1:ROLE:wrong\nHOST:PORT:postgres:ROLE:PW\nHOST:PORT:postgres:ROLE:later\n",
		"HOST:PORT:postgres:ROLE:wrong\nHOST:PORT:postgres:ROLE:PW\n",
		"#HOST:PORT:postgres:ROLE:PW\n",
		"HOST:PORT:postgres:ROLE:PW:more\n",
		"HOST:PORT:postgres:ROLE\n",
		"HOST:PORT:postgres\n:\n\\\n",
		"HOST:PORT:post:ROLE:PW\n",
		"HOST:PORT:*postgres:ROLE:PW\n",
		"localhost:PORT:postgres:ROLE:PW\n",
	} {
		write(t, filepath.Join(home, ".pgpass"), in.Replace(strings.ReplaceAll(lines, "ROLE", field)))
		_, libpqErr := psql(t, s)
		if _, err := ours(t, s); (err == nil) != (libpqErr == nil) {
			t.Errorf("%q: we get %v, psql %v", lines, err, libpqErr)
		}
	}
	// Elsewhere than at home, for a database named after the role, and for the second host only.
	os.Remove(filepath.Join(home, ".pgpass"))
	other := filepath.Join(home, "other")
	write(t, other, in.Replace("HOST:PORT:"+field+":"+field+":PW\n"))
	host.Exec(t, "postgres", "CREATE DATABASE "+quoted)
	t.Cleanup(func() { host.DropDB(t, role) })
	t.Setenv("PGPASSFILE", other)
	for _, s := range []string{
		in.Replace("postgres://HOST:PORT/?user=" + url.QueryEscape(role)),
		in.Replace("postgres://HOST:PORT/?passfile=" + url.QueryEscape(other) + "&user=" + url.QueryEscape(role)),
		in.Replace("postgres://127.0.0.9:1,HOST:PORT/?user=" + url.QueryEscape(role)),
	} {
		if _, err := psql(t, s); err != nil {
			t.Errorf("psql does not get in by %q", s)
		}
		e, err := conninfo.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		hosts := e.Hosts()
		if _, err := connect(t, hosts[len(hosts)-1]); err != nil {
			t.Errorf("we do not get in by %q: %v", s, err)
		}
	}
}

func TestServices(t *testing.T) {
	host := pgtest.Host(t)
	home := clean(t)
	in := place(host, "")
	write(t, filepath.Join(home, ".pg_service.conf"), in.Replace(`
# comment
[first]
dbname=template1
[mine]
host=DIR
port=PORT
user=postgres
dbname=template1
application_name=first one
application_name=second one
keepalives_idle=30
client_encoding=UTF8
`))
	write(t, filepath.Join(home, "broken"), in.Replace("[first]\nhost=DIR\nport=PORT\nuser=postgres\n[second]\nnonsense\n[third]\nhots=x\n"))
	write(t, filepath.Join(home, "pg_service.conf"), in.Replace("[system]\nhostaddr=HOST\nhost=name.invalid\nport=PORT\nuser=postgres\npassword="+host.Password+"\n"))
	for _, test := range []struct{ form, env string }{
		{"service=mine", ""},
		{"service=mine dbname=postgres", ""},
		{"postgres:///?service=mine", ""},
		{"postgres:///postgres?service=system", ""},
		{"service=mine", "PGSERVICE=system"},
		{"", "PGSERVICE=mine"},
		{"dbname=postgres", "PGSERVICE=system"},
		{"service=first host=DIR port=PORT user=postgres", "PGDATABASE=postgres"},
		{"service=missing", ""},
		{"service=first", "PGSERVICEFILE=" + home + "/broken"},
		{"service=second", "PGSERVICEFILE=" + home + "/broken"},
		{"service=third", "PGSERVICEFILE=" + home + "/broken"},
		{"", "PGSERVICE=missing"},
		{"service=mine", "PGSERVICEFILE=/nowhere"},
	} {
		t.Run(test.form+" "+test.env, func(t *testing.T) {
			if name, value, found := strings.Cut(test.env, "="); found {
				t.Setenv(name, value)
			}
			form := in.Replace(test.form)
			want, libpqErr := psql(t, form)
			got, err := ours(t, form)
			if (err == nil) != (libpqErr == nil) || got != want {
				t.Fatalf("we get to %q (%v), psql to %q (%v)", got, err, want, libpqErr)
			}
			if err != nil {
				return
			}
			e, err := conninfo.Parse(form)
			if err != nil {
				t.Fatal(err)
			}
			// A child needs none of the files.
			os.Unsetenv("PGSERVICE")
			t.Setenv("HOME", t.TempDir())
			t.Setenv("PGSYSCONFDIR", t.TempDir())
			if _, err := child(t, e); err != nil {
				t.Errorf("a child does not get in by %q", e.Libpq())
			}
		})
	}
}
