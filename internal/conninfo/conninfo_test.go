package conninfo_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/conninfo"
)

const canary = "c4n4ry"

// However a password is misplaced, the error does not repeat it.
func TestErrorsHideThePassword(t *testing.T) {
	clean(t)
	for _, s := range []string{
		"postgres://u:c4n4ry@h:port/db",
		"postgres://u:c4n4ry@h:70000/db",
		"postgres://u:c4n4ry@h:1:2/db",
		"postgres://u:c4n4ry@[::1/db",
		"postgres://u:c4n4ry@[::1]c4n4ry/db",
		"postgres://u:c4n4ry@h:1,h:2,h/db?port=1,2",
		"postgres://u:c4n4ry%@h/db",
		"postgres://u:%zzc4n4ry@h/db",
		"postgres://u:%00c4n4ry@h/db",
		"postgres://u:c4n4ry@h/db?password",
		"postgres://u:c4n4ry@h/db?c4n4ry=x",
		"postgres://u:c4n4ry@h/db?sslmode=c4n",
		"postgres://u:c4n4ry@h/db?connect_timeout=x",
		"postgres://u:c4n4ry@h/db?target_session_attrs=x",
		"postgres://u:c4n4ry@h/db?sslrootcert=/nowhere",
		"postgres://u:c4n4ry@h/db?sslpassword=c4n4ry",
		"postgres://u:c4n4ry@h/db?hostaddr=1.2.3.4,1.2.3.5",
		"postgres://u:c4n4ry@h/db?service=missing",
		"postgres://u:c4n4ry@h/db?password=%c4n4ry%z",
		"postgres://u:c4n4ry:2/x@h/db",
		"postgres://u:c4n4ry/x@h/db",
		"postgres://u:1/c4n4ry@h/db",
		"postgres://u:1/2?c4n4ry@h/db",
		"postgres://u:1/2?c4n4ry=3@h/db",
		"postgres:/u:c4n4ry@h/db",
		"postgres//u:c4n4ry@h/db",
		"Postgres://u:c4n4ry@h/db",
		"postgre://u:c4n4ry@h/db",
		"mysql://u:c4n4ry@h/db?a=b",
		"jdbc:postgresql://h/db?user=u&password=c4n4ry",
		"//u:c4n4ry@h/db",
		"u:c4n4ry@h/db",
		"u:c4n4ry@h/db?sslmode=disable",
		"host=h password=c4n4ry dbname",
		"host=h password=c4n4ry c4n4ry user=u",
		"host=h password=c4n4ry c4n4ry=x",
		"host=h password=first c4n4ry",
		"host=h password='c4n4ry",
		`host=h password='c4n4ry\'`,
		"host=h password='c4n4ry'c4n4ry user=u",
		"host=h passwd=c4n4ry",
		"host=h:5432 pw:c4n4ry",
		"host=h port=x password=c4n4ry",
		"host=h sslmode=x password=c4n4ry",
		"host=h,i port=1,2,3 password='`: c4n4ry'",
		"password=c4n4ry\x00",
		"=c4n4ry",
	} {
		e, err := conninfo.Parse(s)
		switch {
		case err == nil:
			t.Errorf("%q is taken for %s", s, e.Name)
		case strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), canary):
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := conninfo.Parse("a=b=c"); !errors.Is(err, conninfo.ErrSyntax) {
		t.Errorf("no ErrSyntax: %v", err)
	}
}

func TestHosts(t *testing.T) {
	clean(t)
	for _, test := range []struct {
		conninfo string
		want     string // host:port and the fallbacks of each
	}{
		{"postgres://u@a/db?sslmode=disable", "a:5432 plain"},
		{"postgres://u@a/db", "a:5432 tls plain"},
		{"postgres://u@a/db?sslmode=allow", "a:5432 plain tls"},
		{"postgres://u@a:1,b,c:3/db?sslmode=prefer", "a:1 tls plain, b:5432 tls plain, c:3 tls plain"},
		{"postgres://u@a,b/db?port=7&sslmode=require", "a:7 tls, b:7 tls"},
		{"postgres://u@a:1,a:2/db?sslmode=disable", "a:1 plain, a:2 plain"},
		{"postgres://u@[::1]:1,[fe80::1]/db?sslmode=disable", "::1:1 plain, fe80::1:5432 plain"},
		{"host=/s,b port=1,2 user=u", "/s:1 plain, b:2 tls plain"},
		{"host=/s user=u", "/s:5432 plain"},
	} {
		e, err := conninfo.Parse(test.conninfo)
		if err != nil {
			t.Errorf("%s: %v", test.conninfo, err)
			continue
		}
		var all []string
		for _, one := range e.Hosts() {
			wire := func(tls bool) string {
				if tls {
					return " tls"
				}
				return " plain"
			}
			s := fmt.Sprintf("%s:%d", one.Config.Host, one.Config.Port) + wire(one.Config.TLSConfig != nil)
			for _, f := range one.Config.Fallbacks {
				if f.Host != one.Config.Host || f.Port != one.Config.Port {
					t.Errorf("%s: a fallback to %s:%d", test.conninfo, f.Host, f.Port)
				}
				s += wire(f.TLSConfig != nil)
			}
			all = append(all, s)
			if !strings.Contains(one.Libpq(), fmt.Sprintf("host='%s' port='%d'", one.Config.Host, one.Config.Port)) ||
				!strings.Contains(one.Name, one.Config.Host) {
				t.Errorf("%s: a host is shown as %s, and children get %s", test.conninfo, one.Name, one.Libpq())
			}
		}
		if got := strings.Join(all, ", "); got != test.want {
			t.Errorf("%s: %s, want %s", test.conninfo, got, test.want)
		}
	}
}

func TestNames(t *testing.T) {
	clean(t)
	for _, test := range []struct{ conninfo, name, other, socketDir string }{
		{"postgres://u:pw@a/db", "postgres://u@a:5432/db", "postgres://u@a:5432/x y", ""},
		{"postgres://u@[::1]:7", "postgres://u@[::1]:7/u", "postgres://u@[::1]:7/x y", ""},
		{"host=/s user=u dbname=db", "postgres://u@/db?host=/s", "postgres://u@/x y?host=/s", "/s"},
		{"host=/s port=7 user=u", "postgres://u@/u?host=/s&port=7", "postgres://u@/x y?host=/s&port=7", "/s"},
	} {
		e, err := conninfo.Parse(test.conninfo)
		if err != nil {
			t.Fatal(err)
		}
		other := e.WithDatabase("x y")
		if e.Name != test.name || other.Name != test.other || other.Database() != "x y" || e.SocketDir() != test.socketDir {
			t.Errorf("%s: %q, %q, %q", test.conninfo, e.Name, other.Name, e.SocketDir())
		}
		if !strings.Contains(other.Libpq(), "dbname='x y'") || e.Config.Database == "x y" {
			t.Errorf("%s: the databases are %s and %s", test.conninfo, e.Libpq(), other.Libpq())
		}
		container := &conninfo.Endpoint{Name: "docker://web/app", Config: e.Config}
		if got := container.WithDatabase("b").Name; got != "docker://web/b" {
			t.Errorf("a container's other database is %s", got)
		}
	}
}

// Parse and what comes of it never show a password, wherever it stands.
func FuzzParse(f *testing.F) {
	for _, s := range [][2]string{
		{"postgres://u:", "@h/db"}, {"postgres://u:", "@h,i:7/db?sslmode=disable"}, {"host=h password=", " user=u"},
		{"host=h password='", "' user=u"}, {"postgres://h?password=", "&user=u"}, {"u:", "@[::1]/%41"}, {"postgres://u:1/", "@h"},
	} {
		f.Add(s[0], s[1])
	}
	clean(f)
	f.Fuzz(func(t *testing.T, before, after string) {
		e, err := conninfo.Parse(before + canary + after)
		if err != nil {
			// The names of files and services may be told.
			if strings.Contains(err.Error(), canary) && !strings.Contains(before, "ssl") && !strings.Contains(before, "service") {
				t.Errorf("%q: %v", before+canary+after, err)
			}
			return
		}
		if e.Config.Password == canary && strings.Contains(e.Name+e.Libpq()+fmt.Sprint(e.Hosts()[0].Name), canary) && strings.Count(before+after, canary) == 0 {
			t.Errorf("%q: %s, %s", before+canary+after, e.Name, e.Libpq())
		}
	})
}

// A container's name without its docker:// must not become a database of
// whatever server the environment names.
func TestBareWord(t *testing.T) {
	if e, err := conninfo.Parse("bullion-db"); !errors.Is(err, conninfo.ErrSyntax) || !strings.Contains(err.Error(), "docker://") {
		t.Errorf("%v, %v", e, err)
	}
}

// libpq does not read a password file that others may read.
func TestOpenPasswordFile(t *testing.T) {
	clean(t)
	path := filepath.Join(t.TempDir(), "pgpass")
	for mode, want := range map[os.FileMode]string{0o600: "secret", 0o644: "", 0o640: ""} {
		if err := os.WriteFile(path, []byte("*:*:*:*:secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		e, err := conninfo.Parse("host=127.0.0.1 user=u dbname=d passfile=" + path)
		if err != nil {
			t.Fatal(err)
		}
		if e.Config.Password != want {
			t.Errorf("mode %o: %q, want %q", mode, e.Config.Password, want)
		}
	}
}
