package containerpg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

func TestResolveByEveryName(t *testing.T) {
	t.Parallel()
	project := strings.ToLower(pgtest.NewName("project"))
	e, pg := container17(t, pgtest.Published(), pgtest.Env("POSTGRES_USER", "app"), pgtest.Env("POSTGRES_DB", "shop"),
		label(labelProject, project), label(labelService, "db"))
	byName := resolve(t, e, Selector{Name: pg.Container})

	for _, sel := range []Selector{
		{Name: byName.ID[:12]},
		{Name: byName.ID},
		{Name: "db", Project: project},
		{Name: pg.Container, Project: project},
		{Project: project}, // the only one there
		{Port: int(pg.Port)},
	} {
		if s := resolve(t, e, sel); s.ID != byName.ID {
			t.Errorf("%+v is %s, want %s", sel, s.Name, pg.Container)
		}
	}
	s := byName
	if s.Name != pg.Container || s.Image != pg.Image || s.Project != project || s.Service != "db" {
		t.Errorf("%+v", s)
	}
	if s.User != "app" || !s.Superuser || s.Database != "shop" || s.VersionNum/10000 != 17 || !strings.HasPrefix(s.Version, "17.") {
		t.Errorf("%+v", s)
	}
	if b := resolve(t, only(e, ViaBridge), Selector{Name: pg.Container}); b.Port != 5432 || !strings.HasPrefix(b.Via, "address on network ") || b.Path != ViaBridge {
		t.Errorf("%+v", b)
	}
	if s.Path == "" || s.Problem != "" || s.ShmSize != 64<<20 {
		t.Errorf("%+v", s)
	}
	if len(s.Published) != 1 || s.Published[0] != (Published{"127.0.0.1", int(pg.Port), 5432}) {
		t.Errorf("published: %+v", s.Published)
	}
	if identifier := pg.Row(t, "shop", "select system_identifier from pg_control_system()"); s.SystemIdentifier != identifier {
		t.Errorf("system identifier %s, want %s", s.SystemIdentifier, identifier)
	}
	if !slices.ContainsFunc(s.Databases, func(d Database) bool { return d.Name == "shop" && d.Bytes > 1<<20 }) {
		t.Errorf("databases: %+v", s.Databases)
	}
	mustAnswer(t, s, "shop")

	if s := resolve(t, e, Selector{Name: pg.Container, Database: "to_be_made"}); s.Database != "to_be_made" {
		t.Errorf("database %q", s.Database)
	}
	if free, err := e.FreeDisk(t.Context(), s); err != nil || free < 1<<20 {
		t.Errorf("free disk: %d, %v", free, err)
	}
	eventually(t, func() error { // others that locate what there is may be in it for a moment
		if n := tunnelsIn(t, e, s.ID); n > 0 {
			return fmt.Errorf("%d processes were left in the container", n)
		}
		return nil
	})

	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%s %+v", asJSON, s); strings.Contains(shown, pg.Password) {
		t.Errorf("the password shows in %s", shown)
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	unpublished := pgtest.Container(t, 17, pgtest.NoWait())
	e, pg := container17(t, pgtest.Published())
	direct := resolve(t, e, Selector{Name: pg.Container})
	e.docker = remote{e.docker}

	s := resolve(t, e, Selector{Name: pg.Container})
	if s.Host != "127.0.0.1" || s.Port != int(pg.Port) || s.Via != "published port" || s.Path != ViaPort || s.SystemIdentifier != direct.SystemIdentifier {
		t.Errorf("%+v", s)
	}
	mustAnswer(t, s, "postgres")

	s = resolve(t, e, Selector{Name: unpublished.Container})
	if s.Path != ViaExec || s.Host != "" || s.Address != "/var/run/postgresql" {
		t.Errorf("%+v", s)
	}
	mustAnswer(t, s, "postgres")

	outside := only(e, ViaBridge)
	_, err := outside.Resolve(t.Context(), Selector{Name: unpublished.Container})
	wantError[*UnreachableError](t, err, "192.0.2.1:5432 (address on network bridge)", "leave out --via")
	servers, err := outside.Locate(t.Context(), Selector{Name: unpublished.Container})
	if err != nil || len(servers) != 1 || !strings.Contains(servers[0].Problem, "cannot be reached") || servers[0].ConnConfig("") != nil {
		t.Errorf("%+v, %v", servers, err)
	}
}

// A forwarded engine's containers publish their ports on another machine; what
// answers at the same port of this one is not the server that was asked for.
func TestReachRefusesAnotherServer(t *testing.T) {
	pgtest.Long(t)
	e, pg := container17(t)
	other := pgtest.Container(t, 17, pgtest.Env("POSTGRES_PASSWORD", pg.Password))
	b, err := e.inspect(t.Context(), resolve(t, e, Selector{Name: pg.Container}).ID)
	if err != nil {
		t.Fatal(err)
	}
	v := &visit{e: e, box: b}
	master, ok := e.readPostmaster(t.Context(), b, nil)
	if !ok {
		t.Fatal("postmaster.pid was not read")
	}
	logins, err := v.logins(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.tryAddress(t.Context(), address{kind: ViaBridge, host: pg.Host, port: 5432, dial: bridgeDial}, logins, master); err != nil {
		t.Errorf("its own address: %v", err)
	}
	if _, err := v.tryAddress(t.Context(), address{kind: ViaBridge, host: other.Host, port: 5432, dial: bridgeDial}, logins, master); !errors.Is(err, errOtherServer) {
		t.Errorf("another server's address: %v", err)
	}
}

// inMemory keeps a cluster off a slow disk.
var inMemory = map[string]string{"/var/lib/postgresql/data": ""}

// everyWay are the ways to a container of this machine that publishes nothing.
var everyWay = []Via{ViaSocket, ViaBridge, ViaExec}

func TestReachUnusualNetworks(t *testing.T) {
	pgtest.Long(t)
	e := openEngine(t)
	t.Run("another port", func(t *testing.T) {
		pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.Settings("port=5433"))
		for _, via := range everyWay {
			if s := resolve(t, only(e, via), Selector{Name: pg.Container}); s.ConnConfig("").Port != 5433 {
				t.Errorf("port %d", s.ConnConfig("").Port)
			}
		}
	})
	t.Run("loopback only", func(t *testing.T) {
		pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.Settings("listen_addresses=localhost"))
		_, err := only(e, ViaBridge).Resolve(t.Context(), Selector{Name: pg.Container})
		wantError[*UnreachableError](t, err, "connection refused")
		mustAnswer(t, resolve(t, only(e, ViaExec), Selector{Name: pg.Container}), "postgres")
	})
	t.Run("no network", func(t *testing.T) {
		pg := pgtest.Container(t, 17, pgtest.NoNetwork())
		_, err := only(e, ViaPort).Resolve(t.Context(), Selector{Name: pg.Container})
		wantError[*UnreachableError](t, err, "it publishes no port and has no address")
		mustAnswer(t, resolve(t, only(e, ViaExec), Selector{Name: pg.Container}), "postgres")
		if s := resolve(t, e, Selector{Name: pg.Container}); s.Via != "socket in a mounted folder" || s.Address != pg.SocketDir {
			t.Errorf("%s, %s", s.Via, s.Address)
		}
	})
	t.Run("under an init", func(t *testing.T) {
		pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.DockerArgs("--init"))
		for _, via := range everyWay {
			mustAnswer(t, resolve(t, only(e, via), Selector{Name: pg.Container}), "postgres")
		}
		s := resolve(t, only(e, ViaExec), Selector{Name: pg.Container})
		for _, direction := range directions {
			killWhileCopying(t, e, s, pg, direction, 0)
		}
		neverRestarted(t, pg)
	})
	t.Run("published on another address", func(t *testing.T) {
		pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.DockerArgs("--publish", "127.0.0.3::5432"))
		s := resolve(t, only(e, ViaPort), Selector{Name: pg.Container})
		if s.Host != "127.0.0.3" || len(s.Published) != 1 || s.Port != s.Published[0].HostPort {
			t.Errorf("%s, published %+v", s.Address, s.Published)
		}
		mustAnswer(t, s, "postgres")
	})
	t.Run("internal network with IPv6", func(t *testing.T) {
		network := pgtest.NewName("network")
		prefix := fmt.Sprintf("fd5a:%x:%x", rand.Uint32N(1<<16), rand.Uint32N(1<<16))
		if out, err := exec.Command("docker", "network", "create", "--internal", "--ipv6", "--subnet", prefix+"::/64", network).CombinedOutput(); err != nil {
			pgtest.Unavailable(t, "no network with IPv6: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if err := e.docker.NetworkRemove(context.WithoutCancel(t.Context()), network); err != nil {
				t.Error(err)
			}
		})
		both := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.DockerArgs("--network", network))
		six := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.DockerArgs("--network", network), pgtest.Settings("listen_addresses=::"))
		for name, want := range map[string]string{both.Container: "address on network " + network, six.Container: "IPv6 address on network " + network} {
			s := resolve(t, only(e, ViaBridge), Selector{Name: name})
			if s.Via != want || strings.Contains(s.Host, ":") != strings.HasPrefix(want, "IPv6") {
				t.Errorf("%s via %s, want %s", s.Address, s.Via, want)
			}
			mustAnswer(t, s, "postgres")
			mustAnswer(t, resolve(t, only(e, ViaExec), Selector{Name: name}), "postgres")
		}
	})
	server := func(words ...string) *container.Config {
		return &container.Config{Image: pgtest.Image(17), Cmd: append([]string{"postgres"}, words...), Env: []string{"POSTGRES_PASSWORD=x"}}
	}
	t.Run("host network", func(t *testing.T) {
		name := start(t, e, server("-c", "port=54987", "-c", "listen_addresses=127.0.0.1"), &container.HostConfig{NetworkMode: "host", Tmpfs: inMemory})
		s := resolve(t, only(e, ViaBridge), Selector{Name: name})
		if s.Address != "127.0.0.1:54987" || s.Via != "host network" {
			t.Errorf("%s via %s", s.Address, s.Via)
		}
		mustAnswer(t, resolve(t, e, Selector{Name: name}), "postgres")
		if byPort := resolve(t, e, Selector{Port: 54987}); byPort.ID != s.ID {
			t.Errorf("port 54987 is %s", byPort.Name)
		}
	})
	t.Run("another container's network", func(t *testing.T) {
		owner := pgtest.Container(t, 17)
		guest := start(t, e, server("-p", "5434"), &container.HostConfig{NetworkMode: container.NetworkMode("container:" + owner.Container), Tmpfs: inMemory})
		shared := resolve(t, only(e, ViaBridge), Selector{Name: guest})
		if shared.Host != owner.Host || shared.Port != 5434 {
			t.Errorf("%s, want port 5434 of %s", shared.Address, owner.Host)
		}
		for _, via := range everyWay {
			if s := resolve(t, only(e, via), Selector{Name: guest}); s.SystemIdentifier != shared.SystemIdentifier {
				t.Errorf("by %s: another server", via)
			}
		}
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	e := openEngine(t)
	t.Run("from files", func(t *testing.T) {
		t.Parallel()
		secrets := t.TempDir()
		if err := os.Chmod(secrets, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"user": "keeper\n", "password": "in a file\n", "db": "vault"} {
			if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.DockerArgs("--volume", secrets+":/run/secrets:ro"),
			pgtest.Env("POSTGRES_USER_FILE", "/run/secrets/user"), pgtest.Env("POSTGRES_PASSWORD_FILE", "/run/secrets/password"),
			pgtest.Env("POSTGRES_DB_FILE", "/run/secrets/db"))
		s := resolve(t, e, Selector{Name: pg.Container})
		if s.User != "keeper" || s.Database != "vault" || s.ConnConfig("").Password != "in a file" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("trust", func(t *testing.T) {
		t.Parallel()
		pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.Env("POSTGRES_PASSWORD", ""), pgtest.Env("POSTGRES_HOST_AUTH_METHOD", "trust"))
		if s := resolve(t, e, Selector{Name: pg.Container}); s.User != "postgres" {
			t.Errorf("%+v", s)
		}
	})
}

// The password of the container's environment is that of its first start.
func TestCredentialsThatChanged(t *testing.T) {
	e := openEngine(t)
	pg := pgtest.Container(t, 17, pgtest.Env("POSTGRESQL_ADMIN_PASSWORD_FILE", "/no/such/file"))
	inside, e := resolve(t, only(e, ViaExec), Selector{Name: pg.Container}), only(e, ViaBridge)
	pg.Exec(t, "postgres", "create role bob login password 'bobs'; alter role postgres password 'changed'")
	initial := pg.Password
	byName := Selector{Name: pg.Container}
	_, err := e.Resolve(t.Context(), byName)
	wantError[*AuthError](t, err, `password authentication failed for user "postgres"`, "tried POSTGRES_PASSWORD)", "could not read POSTGRESQL_ADMIN_PASSWORD_FILE: read /no/such/file: ", "first start", "PGPASSWORD or ~/.pgpass")
	if strings.Contains(err.Error(), initial) {
		t.Errorf("the password shows in: %v", err)
	}
	servers, err := e.Locate(t.Context(), byName)
	if err != nil || len(servers) != 1 || !strings.Contains(servers[0].Problem, "password authentication failed") {
		t.Errorf("%+v, %v", servers, err)
	}

	// Inside, the image's pg_hba.conf asks for no password.
	mustAnswer(t, inside, "postgres")
	_, err = e.Resolve(t.Context(), Selector{Name: pg.Container, User: "bob"})
	wantError[*AuthError](t, err, `user "bob"`, "no password is known")
	_, err = e.Resolve(t.Context(), Selector{Name: pg.Container, User: "nobody"})
	wantError[*AuthError](t, err, `user "nobody"`)

	if s := resolve(t, e, Selector{Name: pg.Container, User: "bob", Password: "bobs"}); s.User != "bob" || s.ConnConfig("").Password != "bobs" {
		t.Errorf("a password that was given: %+v", s)
	}
	_, err = e.Resolve(t.Context(), Selector{Name: pg.Container, User: "bob", Password: "none"})
	wantError[*AuthError](t, err, `user "bob"`, "tried the password that was given)")
	t.Setenv("PGPASSWORD", "changed")
	if s := resolve(t, e, byName); s.ConnConfig("").Password != "changed" {
		t.Error("PGPASSWORD was not used")
	}
	t.Setenv("PGPASSWORD", "")
	passfile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passfile, []byte(pg.Container+":*:*:bob:bobs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSFILE", passfile)
	if s := resolve(t, e, Selector{Name: pg.Container, User: "bob"}); s.User != "bob" || s.Superuser {
		t.Errorf("%+v", s)
	}
}

// A server may insist on TLS; its certificate is its own, as a container's is.
func TestTLSOnly(t *testing.T) {
	pgtest.Long(t)
	const serverUser = 999 // of the image; a private key must be its own
	e := openEngine(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err := os.Chown(filepath.Join(dir, "key.pem"), serverUser, serverUser); err != nil {
		t.Skipf("cannot give a file to the server's user: %v", err)
	}
	pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.DockerArgs("--volume", dir+":/tls:ro"),
		pgtest.InitScript("10-hba.sh", `sed -i 's/^host all all all/hostssl all all all/' "$PGDATA/pg_hba.conf"`),
		pgtest.Settings("ssl=on", "ssl_cert_file=/tls/cert.pem", "ssl_key_file=/tls/key.pem"))
	s := resolve(t, only(e, ViaBridge), Selector{Name: pg.Container})
	config := s.ConnConfig("")
	if config.TLSConfig == nil || len(config.Fallbacks) != 0 {
		t.Errorf("TLS %v, %d fallbacks", config.TLSConfig != nil, len(config.Fallbacks))
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	session.HangUp(t.Context(), conn)
}

func TestResolveErrors(t *testing.T) {
	t.Parallel()
	project := strings.ToLower(pgtest.NewName("project"))
	second := pgtest.Container(t, 17, pgtest.NoWait(), label(labelProject, project), label(labelService, "db"))
	e, first := container17(t, label(labelProject, project), label(labelService, "db"))
	resolve(t, e, Selector{Name: second.Container}) // waits for it

	t.Run("ambiguous", func(t *testing.T) {
		for _, sel := range []Selector{{Name: "db", Project: project}, {Project: project}} {
			_, err := e.Resolve(t.Context(), sel)
			wantError[*AmbiguousError](t, err, first.Container+" (pgberth/postgres:17, service "+project+"/db)", second.Container)
		}
		servers, err := e.Locate(t.Context(), Selector{Project: project})
		if err != nil || len(servers) != 2 || servers[0].Problem+servers[1].Problem != "" {
			t.Errorf("%+v, %v", servers, err)
		}
	})
	t.Run("one service name in two projects", func(t *testing.T) {
		other := strings.ToLower(pgtest.NewName("project"))
		third := pgtest.Container(t, 17, pgtest.NoWait(), label(labelProject, other), label(labelService, "db"))
		_, err := e.Resolve(t.Context(), Selector{Name: "db"})
		wantError[*AmbiguousError](t, err, "service "+project+"/db)", third.Container+" (pgberth/postgres:17, service "+other+"/db)", "--project")
		if s := resolve(t, e, Selector{Name: "db", Project: other}); s.Name != third.Container {
			t.Errorf("resolved %s", s.Name)
		}
	})
	t.Run("not there", func(t *testing.T) {
		_, err := e.Resolve(t.Context(), Selector{Name: "no_such_container"})
		wantError[*NotFoundError](t, err, `"no_such_container"`, first.Container)
		if !errors.Is(err, ErrNotFound) {
			t.Error("not an ErrNotFound")
		}
		_, err = e.Resolve(t.Context(), Selector{Name: project, Database: "db"})
		wantError[*NotFoundError](t, err, "is a Compose project: name a service of it, docker://SERVICE with --project "+project)
		if _, err := e.Locate(t.Context(), Selector{Name: "no_such_container"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("locate: %v", err)
		}
		_, err = e.Resolve(t.Context(), Selector{Port: 1})
		wantError[*NotFoundError](t, err, "publishing port 1")
		empty := Selector{Project: "no_such_project"}
		_, err = e.Resolve(t.Context(), empty)
		wantError[*NotFoundError](t, err, "no Postgres container is running", "no_such_project")
		if servers, err := e.Locate(t.Context(), empty); err != nil || len(servers) != 0 {
			t.Errorf("locate: %v, %v", servers, err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		first.Kill(t)
		_, err := e.Resolve(t.Context(), Selector{Name: first.Container})
		wantError[*StoppedError](t, err, "is exited (137)", "docker start "+first.Container)
		// The other replica is the one that is meant now.
		if s := resolve(t, e, Selector{Name: "db", Project: project}); s.Name != second.Container {
			t.Errorf("resolved %s", s.Name)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Resolve(ctx, Selector{Name: second.Container}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
