//go:build unix

package copywire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// encrypted starts a server that speaks TLS.
func encrypted(t *testing.T) *pgtest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.NewHost(t)
	data := s.Row(t, "postgres", "SHOW data_directory")
	owner, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: cert}, "server.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		path := filepath.Join(data, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		chownLike(t, path, owner)
	}
	s.Exec(t, "postgres", "ALTER SYSTEM SET ssl = on")
	s.Exec(t, "postgres", "SELECT pg_reload_conf()")
	return s
}

func connectTLS(t *testing.T, s *pgtest.Server) *pgconn.PgConn {
	t.Helper()
	var conn *pgconn.PgConn
	eventually(t, "the server speaks TLS", func() (ok bool) {
		config := s.Config("postgres").Config
		config.TLSConfig = &tls.Config{InsecureSkipVerify: true}
		var err error
		conn, err = pgconn.ConnectConfig(t.Context(), &config)
		return err == nil
	})
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// Over TLS the same: an interrupted tls.Conn is good for nothing any more.
func TestTLS(t *testing.T) {
	own, container := encrypted(t), pgtest.SharedContainer(t, 17)
	connectTLS(t, own)
	db := container.CreateDB(t)
	for _, s := range []struct {
		*pgtest.Server
		db string
	}{{own, "postgres"}, {container, db}} {
		s.Exec(t, s.db, "CREATE TABLE t (a int, b text)")
	}
	noLeaks(t)
	for _, format := range formats {
		from, to := connectTLS(t, own), connectTLS(t, own)
		out := "COPY (SELECT g, repeat('x', g) FROM generate_series(1, 3000) g) TO STDOUT" + format.with
		tally, stored, err := relay(t.Context(), from, to, out, "COPY t FROM STDIN"+format.with, copywire.NewRowHash(format.binary))
		if err != nil || stored != 3000 {
			t.Fatalf("%s: %d rows: %v", format.name, stored, err)
		}
		back, err := copywire.Out(t.Context(), to, "COPY t TO STDOUT"+format.with, nil, copywire.NewRowHash(format.binary))
		if err != nil || back != tally {
			t.Errorf("%s: the target holds %+v, want %+v: %v", format.name, back, tally, err)
		}
		usable(t, from)
		own.Exec(t, "postgres", "TRUNCATE t")
	}
	in, err := copywire.OpenIn(t.Context(), connectTLS(t, own), "COPY t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50000 { // more than a buffer
		if _, err := fmt.Fprintf(in, "%d\tx\n", i); err != nil {
			t.Fatal(err)
		}
	}
	if rows, err := in.Finish(); err != nil || rows != 50000 {
		t.Errorf("Write: %d rows: %v", rows, err)
	}

	reason := errors.New("enough")
	for _, source := range []bool{true, false} {
		ctx, cancel := context.WithCancelCause(t.Context())
		from, to := connectTLS(t, own), container.Connect(t, db).PgConn()
		if !source {
			from, to = to, from
		}
		if err := disturb(t, ctx, from, to, func() { cancel(reason) }); !errors.Is(err, reason) {
			t.Errorf("cancelled: %v", err)
		}
		from, to = connectTLS(t, own), container.Connect(t, db).PgConn()
		if !source {
			from, to = to, from
		}
		err := disturb(t, t.Context(), from, to, func() {
			own.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'")
		})
		if sqlState(err) != "57P01" && !hungUp(err) {
			t.Errorf("terminated: %v", err)
		}
	}
}

// chownLike gives a file to the owner of another.
func chownLike(t *testing.T, path string, like os.FileInfo) {
	t.Helper()
	stat := like.Sys().(*syscall.Stat_t)
	if err := os.Chown(path, int(stat.Uid), int(stat.Gid)); err != nil {
		t.Fatal(err)
	}
}
