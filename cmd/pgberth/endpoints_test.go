package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/progress"
)

func testResolver(env map[string]string) *resolver {
	lookup := func(name string) (string, bool) { value, found := env[name]; return value, found }
	return &resolver{cmd: &cobra.Command{Use: "test"}, c: &cli{env: lookup}, project: "shop", reporter: progress.Discard}
}

func clearLibpqEnv(t *testing.T) {
	t.Helper()
	for _, name := range append(libpqEnv, "PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSSLMODE") {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
}

func TestSourceDefaults(t *testing.T) {
	clearLibpqEnv(t)
	for name, test := range map[string]struct {
		arg  string
		env  map[string]string
		want string
	}{
		"flag":                   {"postgres://a@h/one", map[string]string{"DATABASE_URL": "postgres://b@h/two"}, "postgres://a@h:5432/one"},
		"DATABASE_URL":           {"", map[string]string{"DATABASE_URL": "postgres://b@h/two", "PGDATABASE": "three"}, "postgres://b@h:5432/two"},
		"an Ecto URL":            {"", map[string]string{"DATABASE_URL": "ecto://b:pw@h/two?pool_size=10&ssl=true"}, "postgres://b@h:5432/two"},
		"a bare name":            {"dbname=x host=h user=a", nil, "postgres://a@h:5432/x"},
		"libpq's own":            {"", map[string]string{"PGHOST": "h", "PGUSER": "a", "PGDATABASE": "three"}, "postgres://a@h:5432/three"},
		"empty counts as absent": {"", map[string]string{"DATABASE_URL": "", "PGHOST": "h", "PGUSER": "a", "PGDATABASE": "three"}, "postgres://a@h:5432/three"},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			ref, err := testResolver(test.env).source(test.arg)
			if err != nil {
				t.Fatal(err)
			}
			if ref.endpoint == nil || ref.endpoint.Name != test.want {
				t.Errorf("got %+v, want %s", ref, test.want)
			}
		})
	}
}

func TestNoSource(t *testing.T) {
	clearLibpqEnv(t)
	_, err := testResolver(nil).source("")
	if err == nil || !strings.Contains(err.Error(), "no source: give --from") {
		t.Errorf("got %v", err)
	}
}

func TestContainerReferences(t *testing.T) {
	r := testResolver(nil)
	for arg, want := range map[string]containerpg.Selector{
		"":                       {Project: "shop"},
		"docker://db":            {Project: "shop", Name: "db"},
		"docker://app@:54320/x":  {Project: "shop", Port: 54320, User: "app", Database: "x"},
		"docker://db/two%2Fhalf": {Project: "shop", Name: "db", Database: "two/half"},
	} {
		ref, err := r.parse("--to", arg)
		if err != nil || ref.selector == nil || *ref.selector != want {
			t.Errorf("%q: got %+v, %v, want %+v", arg, ref.selector, err, want)
		}
	}
}

// TestEndpointErrorsKeepSecrets sees that no error repeats any part of an
// endpoint that may be a password.
func TestEndpointErrorsKeepSecrets(t *testing.T) {
	clearLibpqEnv(t)
	r := testResolver(nil)
	for _, arg := range []string{
		"postgres://app:hunter2@h:port/db",
		"postgres://app:hunter2/@h/db",
		"postgres://app:hunter2@h/db?sslmode",
		"postgres://app:hunter%zz2@h/db",
		"postgres://app@h/db?password=hunter2&sslmode=hunter2",
		"mysql://app:hunter2@h/db",
		"host=h password='hunter2",
		"host=h hunter2",
		"host=h password=hunter2 port=none",
		"docker://app:hunter2@db/x",
		"docker:hunter2",
		"docker://hunter2%zz@db",
		"ecto://app:hunter2@h:port/db",
	} {
		_, err := r.parse("--from", arg)
		if err == nil {
			t.Errorf("%q is taken", arg)
			continue
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: the error tells the password: %v", arg, err)
		}
		if !strings.HasPrefix(err.Error(), "--from: ") || exitCode(t.Context(), err) != exitUsage {
			t.Errorf("%q: %v (status %d), want a usage error of --from", arg, err, exitCode(t.Context(), err))
		}
	}
}

// TestLongNames: the server would cut a name of more than 63 bytes, and a run would replace another database.
func TestLongNames(t *testing.T) {
	clearLibpqEnv(t)
	r := testResolver(map[string]string{"PGDATABASE": "set"})
	fits, tooLong := strings.Repeat("é", 31)+"x", strings.Repeat("é", 32) // 63 and 64 bytes
	for _, form := range []string{"docker://db/%s", "postgres://a@h/%s", "host=h user=a dbname=%s"} {
		if _, err := r.parse("--to", fmt.Sprintf(form, fits)); err != nil {
			t.Errorf(form+": %v", fits, err)
		}
		_, err := r.parse("--to", fmt.Sprintf(form, tooLong))
		refusedAsLong(t, "--to", err)
	}
	t.Setenv("PGHOST", "h")
	t.Setenv("PGDATABASE", tooLong)
	_, err := r.source("")
	refusedAsLong(t, "PGDATABASE", err)

	ref, err := r.parse("--to", "docker://db")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.resolve(t.Context(), "target", ref, tooLong)
	refusedAsLong(t, "target", err)
}

func refusedAsLong(t *testing.T, where string, err error) {
	t.Helper()
	want := where + ": the database's name is longer than 63 bytes; PostgreSQL would cut it"
	if err == nil || err.Error() != want || exitCode(t.Context(), err) != exitUsage {
		t.Errorf("got %v, want a usage error: %s", err, want)
	}
}

func TestEctoURL(t *testing.T) {
	for in, want := range map[string]string{
		"ecto://u:p@h/db":                                "postgres://u:p@h/db",
		"ecto://u:p@h/db?pool_size=10":                   "postgres://u:p@h/db",
		"ecto://u:p@h/db?timeout=1&ssl=true&pool_size=2": "postgres://u:p@h/db?ssl=true",
		"postgres://u:p@h/db?pool_size=10":               "postgres://u:p@h/db?pool_size=10",
		"dbname=x":                                       "dbname=x",
	} {
		if got := ectoURL(in); got != want {
			t.Errorf("ectoURL(%q) = %q, want %q", in, got, want)
		}
	}
}
