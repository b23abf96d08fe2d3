package containerpg

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/owner"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

func TestMain(m *testing.M) {
	if os.Getenv(copyForever) != "" {
		mainCopyForever()
		return
	}
	if os.Getenv(runForever) != "" {
		mainRunForever()
	}
	forgetPG()
	pgtest.Main(m)
}

// forgetPG keeps the developer's own settings out of the tests, but for those about tests.
func forgetPG() {
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "PGBERTH_TEST_") {
			_ = os.Unsetenv(name) // a name that the environment has is a good one
		}
	}
	_ = os.Setenv("PGPASSFILE", "/no/such/pgpass")
}

// openEngine opens the machine's docker engine. pgtest has made sure of it where
// the test has started a container already.
func openEngine(t *testing.T) *Engine {
	t.Helper()
	e, err := Open(t.Context(), Options{})
	if err != nil {
		pgtest.Unavailable(t, "%v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// only makes the engine take one way to servers.
func only(e *Engine, via Via) *Engine {
	other := *e
	other.Via = via
	return &other
}

// container17 starts a container like pgtest.Container, after the engine was opened.
func container17(t *testing.T, options ...pgtest.Option) (*Engine, *pgtest.Server) {
	t.Helper()
	e := openEngine(t)
	return e, pgtest.Container(t, 17, options...)
}

func label(name, value string) pgtest.Option {
	return pgtest.DockerArgs("--label", name+"="+value)
}

func resolve(t *testing.T, e *Engine, sel Selector) *Server {
	t.Helper()
	s, err := e.Resolve(t.Context(), sel)
	if err != nil {
		t.Fatalf("resolve %+v: %v", sel, err)
	}
	return s
}

// mustAnswer asserts that a server's configuration connects, and to which database.
func mustAnswer(t *testing.T, s *Server, database string) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), s.ConnConfig(database))
	if err != nil {
		t.Fatal(err)
	}
	defer session.HangUp(t.Context(), conn)
	var got string
	if err := conn.QueryRow(t.Context(), "select current_database()").Scan(&got); err != nil || got != database {
		t.Errorf("connected to %q, %v; want %q", got, err, database)
	}
}

// wantError asserts that err is an E whose text holds each of the words.
func wantError[E error](t *testing.T, err error, words ...string) E {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Fatalf("error %T: %v; want %T", err, err, want)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
	return want
}

// remote is an engine whose containers' own addresses cannot be routed to, as
// they are when containers run in a virtual machine.
type remote struct{ docker }

func (r remote) ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error) {
	info, err := r.docker.ContainerInspect(ctx, id)
	if info.State != nil {
		info.State.Pid = 0 // nor are their processes here
	}
	if info.NetworkSettings != nil {
		for _, endpoint := range info.NetworkSettings.Networks {
			endpoint.IPAddress = "192.0.2.1" // TEST-NET-1: nobody is there
		}
	}
	return info, err
}

// sideContainers lists the containers that Run has made and not yet removed.
func sideContainers(t *testing.T, e *Engine) []string {
	t.Helper()
	list, err := e.docker.ContainerList(context.WithoutCancel(t.Context()), container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", labelRun+"="+owner.Self())),
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

// writeCertificate makes a certificate that vouches for itself.
func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		mode := os.FileMode(0o644)
		if file == keyFile {
			mode = 0o600
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(block), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually retries f until it succeeds or a while has passed.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		if err := pause(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}
