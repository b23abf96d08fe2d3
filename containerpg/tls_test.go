package containerpg

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// An authority signs certificates of one engine and its clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject, template.NotAfter = big.NewInt(1), pkix.Name{CommonName: "pgberth test"}, time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// files writes the authority's certificate, and that of a client if it is to have one, as docker's command line keeps them.
func (a *authority) files(t *testing.T, dir string, client bool) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	save := func(name, kind string, der []byte) {
		write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), 0o600)
	}
	save("ca.pem", "CERTIFICATE", a.cert.Raw)
	if !client {
		return
	}
	cert, key := a.sign(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	save("cert.pem", "CERTIFICATE", cert.Raw)
	save("key.pem", "PRIVATE KEY", der)
}

// engineBehindTLS makes an engine listen on TCP for those clients alone that the authority knows, and answers its address.
func engineBehindTLS(t *testing.T, a *authority) (host string) {
	t.Helper()
	socket, found := strings.CutPrefix(openEngine(t).host, "unix://")
	if !found {
		pgtest.Unavailable(t, "the engine has no socket")
	}
	cert, key := a.sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	if err != nil {
		t.Fatal(err)
	}
	var streams sync.WaitGroup
	streams.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			streams.Go(func() {
				defer near.Close()
				err := near.(*tls.Conn).HandshakeContext(t.Context())
				if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok { // as net/http answers it
					_, _ = fmt.Fprint(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
				}
				if err != nil {
					return // a client that is not known
				}
				if far, err := net.Dial("unix", socket); err == nil {
					join(t.Context(), near, far)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		streams.Wait()
	})
	return "tcp://" + listener.Addr().String()
}

func TestOpenByTLS(t *testing.T) {
	pg := pgtest.SharedContainer(t, 17)
	own, other := newAuthority(t), newAuthority(t)
	host := engineBehindTLS(t, own)
	context := func(t *testing.T, a *authority, client bool) {
		dockerConfig(t, "far", map[string]string{"far": host})
		meta, err := filepath.Glob(filepath.Join(os.Getenv("DOCKER_CONFIG"), "contexts/meta/*"))
		if err != nil || len(meta) != 1 {
			t.Fatalf("%q, %v", meta, err)
		}
		a.files(t, filepath.Join(os.Getenv("DOCKER_CONFIG"), "contexts/tls", filepath.Base(meta[0]), "docker"), client)
	}
	variables := func(t *testing.T) {
		dir := t.TempDir()
		own.files(t, dir, true)
		dockerConfig(t, "", nil)
		t.Setenv("DOCKER_TLS_VERIFY", "1")
		t.Setenv("DOCKER_CERT_PATH", dir)
	}
	for _, test := range []struct {
		name  string
		given func(t *testing.T) Options
	}{
		{"context in use", func(t *testing.T) Options { context(t, own, true); return Options{} }},
		{"--docker-context", func(t *testing.T) Options { context(t, own, true); return Options{Context: "far"} }},
		{"DOCKER_HOST", func(t *testing.T) Options { variables(t); t.Setenv("DOCKER_HOST", host); return Options{} }},
		{"--docker-host", func(t *testing.T) Options { variables(t); return Options{Host: host} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := Open(t.Context(), test.given(t))
			if err != nil {
				t.Fatal(err)
			}
			// An exec takes over its connection, and half-closes it.
			mustAnswer(t, resolve(t, only(e, ViaExec), Selector{Name: pg.Container}), "postgres")
			// Docker's programs are led there too.
			env, release, err := e.dockerEnv()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("docker", "inspect", "--format", "{{.Name}}", pg.Container)
			cmd.Env = env
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "/"+pg.Container+"\n" {
				t.Errorf("docker inspect: %s, %v", out, err)
			}
			if err := release(); err != nil {
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	for name, test := range map[string]struct {
		authority *authority
		client    bool
		want      string
	}{
		"no certificate":      {own, false, "certificate required"},
		"another's authority": {other, true, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			context(t, test.authority, test.client)
			_, err := Open(t.Context(), Options{})
			wantError[*EngineError](t, err, host, `docker context "far"`, test.want, "ca.pem, cert.pem and key.pem")
		})
	}
	dockerConfig(t, "", nil)
	_, err := Open(t.Context(), Options{Host: host})
	wantError[*EngineError](t, err, host, "--docker-host", "HTTPS server", "DOCKER_CERT_PATH")
}

// A context may say that its engine's certificate is not to be looked at.
func TestOpenByTLSUnverified(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	host := engineBehindTLS(t, own)
	dockerConfig(t, "far", map[string]string{"far": host})
	meta, err := filepath.Glob(filepath.Join(os.Getenv("DOCKER_CONFIG"), "contexts/meta/*/meta.json"))
	if err != nil || len(meta) != 1 {
		t.Fatalf("%q, %v", meta, err)
	}
	write(t, meta[0], fmt.Sprintf(`{"Name": "far", "Endpoints": {"docker": {"Host": %q, "SkipTLSVerify": true}}}`, host), 0o600)
	dir := filepath.Join(os.Getenv("DOCKER_CONFIG"), "contexts/tls", filepath.Base(filepath.Dir(meta[0])), "docker")
	own.files(t, dir, true)
	other.files(t, dir, false)
	e, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
