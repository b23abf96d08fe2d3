package containerpg

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fromEnv looks variables up as lookupEnv does, with files that exist.
func fromEnv(pairs ...string) func(string) (string, string) {
	env := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return func(name string) (string, string) { return env[name], name }
}

func TestAccounts(t *testing.T) {
	for _, test := range []struct {
		name string
		env  []string
		want []string // user:password@database
	}{
		{"official, least", []string{"POSTGRES_PASSWORD=x"}, []string{"postgres:x@postgres"}},
		{"official, all", []string{"POSTGRES_PASSWORD=x", "POSTGRES_USER=app", "POSTGRES_DB=shop"}, []string{"app:x@shop"}},
		{"official, database named like the user", []string{"POSTGRES_PASSWORD=x", "POSTGRES_USER=app"}, []string{"app:x@app"}},
		{"official, trust", []string{"POSTGRES_HOST_AUTH_METHOD=trust", "POSTGRES_USER=app"}, []string{"app:@app"}},
		{"nothing", nil, []string{"postgres:@postgres"}},
		{"bitnami, administrator and user",
			[]string{"POSTGRESQL_USERNAME=app", "POSTGRESQL_PASSWORD=x", "POSTGRESQL_DATABASE=shop", "POSTGRESQL_POSTGRES_PASSWORD=y"},
			[]string{"postgres:y@", "app:x@shop"}},
		{"bitnami, administrator only", []string{"POSTGRESQL_PASSWORD=x"}, []string{"postgres:x@postgres"}},
		{"sclorg", []string{"POSTGRESQL_USER=app", "POSTGRESQL_PASSWORD=x", "POSTGRESQL_DATABASE=shop", "POSTGRESQL_ADMIN_PASSWORD=y"},
			[]string{"postgres:y@", "app:x@shop"}},
		{"spilo", []string{"PGUSER_SUPERUSER=root", "PGPASSWORD_SUPERUSER=z"}, []string{"root:z@"}},
		{"kartoza", []string{"POSTGRES_USER=gis", "POSTGRES_PASS=x", "POSTGRES_DBNAME=maps"}, []string{"gis:x@maps"}},
	} {
		var got []string
		for _, a := range accounts(fromEnv(test.env...)) {
			got = append(got, fmt.Sprintf("%s:%s@%s", a.user, a.password, a.database))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestLoginOrder(t *testing.T) {
	container := []account{{login{"app", "env", "POSTGRES_PASSWORD"}, "shop"}}
	own := []login{{"app", "mine", "PGPASSWORD"}, {"app", "env", "the password file"}}
	for _, test := range []struct {
		name string
		sel  Selector
		own  []login
		want string
	}{
		{"container only", Selector{}, nil, "app:env"},
		{"own first, no password twice", Selector{}, own, "app:mine app:env"},
		{"another user has no password", Selector{User: "bob"}, nil, "bob:"},
		{"another user has own", Selector{User: "bob"}, []login{{"bob", "b", "PGPASSWORD"}}, "bob:b"},
	} {
		var got []string
		for _, l := range logins(test.sel, container, test.own) {
			got = append(got, l.user+":"+l.password)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestOwnPasswords(t *testing.T) {
	hosts := []hostPort{{"bullion-db", 5432}, {"172.17.0.2", 5432}, {"localhost", 54320}}
	if got, err := ownPasswords("app", "shop", hosts); err != nil || len(got) != 0 {
		t.Errorf("without any: %v, %v", got, err)
	}
	passfile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passfile, []byte("other:*:*:app:no\nlocalhost:54320:*:app:pub\\:lished\nbullion-db:*:shop:app:by name\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSFILE", passfile)
	want := []login{{"app", "by name", "the password file"}, {"app", "pub:lished", "the password file"}}
	got, err := ownPasswords("app", "shop", hosts)
	if err != nil || !cmp.Equal(want, got, cmp.AllowUnexported(login{})) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	t.Setenv("PGPASSWORD", "from the environment")
	want = []login{{"app", "from the environment", "PGPASSWORD"}}
	got, err = ownPasswords("app", "shop", hosts)
	if err != nil || !cmp.Equal(want, got, cmp.AllowUnexported(login{})) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// The environment of a migration often describes its source.
func TestParseConfigKeepsTheEnvironmentOut(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "source", "PGPORT": "1", "PGUSER": "me", "PGDATABASE": "mine", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/does/not/exist",
		"PGSSLCERT": "/does/not/exist", "PGSSLKEY": "/does/not/exist", "PGOPTIONS": "-c search_path=x", "PGTARGETSESSIONATTRS": "standby",
		"PGAPPNAME": "x", "PGREQUIREAUTH": "none", "PGCHANNELBINDING": "require", "PGSSLNEGOTIATION": "direct",
	} {
		t.Setenv(name, value)
	}
	config, err := parseConfig("fd00::2", 5433, `o'brien\`, "a 'b' c=d")
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "fd00::2" || config.Port != 5433 || config.User != `o'brien\` || config.Database != "a 'b' c=d" {
		t.Errorf("%s %d %s %s", config.Host, config.Port, config.User, config.Database)
	}
	if len(config.RuntimeParams) != 1 || config.ValidateConnect != nil || config.TLSConfig != nil || config.RequireAuth != "" ||
		config.ChannelBinding != "prefer" || config.SSLNegotiation != "postgres" {
		t.Errorf("the environment got in: %v, %q, %q, %q", config.RuntimeParams, config.RequireAuth, config.ChannelBinding, config.SSLNegotiation)
	}
}

func TestServerShowsNoPassword(t *testing.T) {
	config, err := parseConfig("127.0.0.1", 5432, "app", "shop")
	if err != nil {
		t.Fatal(err)
	}
	config.Password = "hunter2"
	s := &Server{Name: "db", conn: config}
	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %v", s, s, *s), fmt.Sprintf("%+v", []*Server{s}), string(asJSON)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("the password shows in %s", text)
		}
	}
	if got := s.ConnConfig("other"); got.Password != "hunter2" || got.Database != "other" || s.ConnConfig("").Database != "shop" {
		t.Error("ConnConfig does not hold what is needed to connect")
	}
}
