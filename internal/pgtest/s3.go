package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The credentials of every S3 server of tests. The secret is a canary: nothing may show it.
const (
	S3AccessKey = "pgberth-test-key"
	S3SecretKey = "canary-s3-secret"
)

// S3Server is an S3 store of its own for one test, over a temporary directory.
type S3Server struct {
	Endpoint string // http://HOST:PORT
	Bucket   string // one that is there
	dir      string
	cmd      *exec.Cmd
}

// S3 starts an S3 server that ends with the test. testdata/setup.sh s3 builds the program.
func S3(t testing.TB) *S3Server {
	t.Helper()
	program := filepath.Join(Root(t), "bin", "s3server")
	if _, err := os.Stat(program); err != nil {
		Unavailable(t, "no S3 server; run testdata/setup.sh s3")
	}
	s := &S3Server{Bucket: "backups", dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(s.dir, s.Bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(program, s.dir)
	s.cmd.Env = []string{"ROOT_ACCESS_KEY=" + S3AccessKey, "ROOT_SECRET_KEY=" + S3SecretKey}
	var complaint strings.Builder
	s.cmd.Stderr = &complaint
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		_, err = s.cmd.StdinPipe() // whose end ends it
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatalf("pgtest: start the S3 server: %v", err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // killed
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = s.cmd.Process.Kill()
		t.Fatalf("pgtest: start the S3 server: %v", errors.Join(err, s.cmd.Wait(), errors.New(complaint.String())))
	}
	go io.Copy(io.Discard, out) // until it ends
	address = strings.TrimSpace(address)
	if err := waitForPort(t.Context(), address); err != nil {
		t.Fatalf("pgtest: start the S3 server: %v", err)
	}
	s.Endpoint = "http://" + address
	return s
}

// waitForPort waits until something listens.
func waitForPort(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", address, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Env is what pgberth needs in its environment to use the server.
func (s *S3Server) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + S3AccessKey, "AWS_SECRET_ACCESS_KEY=" + S3SecretKey, "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=" + s.Endpoint}
}

// Setenv lets the test process itself use the server, and nothing else.
func (s *S3Server) Setenv(t testing.TB) {
	t.Helper()
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
	for _, setting := range s.Env() {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
}

// File is where the server keeps an object of its bucket, to look at it or to damage it.
func (s *S3Server) File(key string) string {
	return filepath.Join(s.dir, s.Bucket, filepath.FromSlash(key))
}
