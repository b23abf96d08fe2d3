package containerpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeEngine answers pings on a socket, as an engine with an old API would.
func fakeEngine(t *testing.T) (host string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			w.Header().Set("Api-Version", "1.41")
			return
		}
		if !strings.HasPrefix(r.URL.Path, "/v1.41/") {
			http.Error(w, "client version is too new", http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "[]")
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return "unix://" + path
}

// dockerConfig makes a docker configuration whose contexts have these hosts.
func dockerConfig(t *testing.T, current string, contexts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONTEXT", "")
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "config.json"), fmt.Sprintf(`{"currentContext": %q}`, current))
	for name, host := range contexts {
		sum := sha256.Sum256([]byte(name))
		write(filepath.Join(dir, "contexts/meta", hex.EncodeToString(sum[:]), "meta.json"),
			fmt.Sprintf(`{"Name": %q, "Endpoints": {"docker": {"Host": %q}}}`, name, host))
	}
}

func mustOpen(t *testing.T, host string) {
	t.Helper()
	e, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.host != host {
		t.Errorf("opened %s, want %s", e, host)
	}
	if servers, err := e.Locate(t.Context(), Selector{}); err != nil || len(servers) != 0 {
		t.Errorf("%v, %v", servers, err)
	}
}

func TestOpenPrecedence(t *testing.T) {
	first, second, third := fakeEngine(t), fakeEngine(t), fakeEngine(t)
	dockerConfig(t, "second", map[string]string{"second": second, "third": third})
	mustOpen(t, second)
	t.Setenv("DOCKER_CONTEXT", "third")
	mustOpen(t, third)
	t.Setenv("DOCKER_HOST", first)
	mustOpen(t, first)
}

func TestOpenErrors(t *testing.T) {
	missing := "unix://" + filepath.Join(t.TempDir(), "none.sock")
	for _, test := range []struct {
		name, host, context string
		want                []string
	}{
		{"host is not there", missing, "", []string{missing, "from DOCKER_HOST", "no such file"}},
		{"host is malformed", "nonsense", "", []string{"unable to parse docker host"}},
		{"ssh with a password", "ssh://me:c4n4ry@vps", "", []string{"takes no password"}},
		{"context does not exist", "", "nope", []string{`docker context "nope" (from DOCKER_CONTEXT) does not exist; known: default, other`}},
		{"context's engine is not there", "", "other", []string{`docker context "other" from DOCKER_CONTEXT`, "no such file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dockerConfig(t, "", map[string]string{"other": missing})
			t.Setenv("DOCKER_HOST", test.host)
			t.Setenv("DOCKER_CONTEXT", test.context)
			_, err := Open(t.Context(), Options{})
			if err == nil {
				t.Fatal("an engine was found")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestOpenGivesUpWhenAsked(t *testing.T) {
	dockerConfig(t, "", nil)
	t.Setenv("DOCKER_HOST", fakeEngine(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{}); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

func TestEngineErrorListsWhatWasTried(t *testing.T) {
	err := &EngineError{
		Skipped: []string{"DOCKER_HOST (unset)", `docker context "default"`},
		Tried: []EndpointAttempt{
			{Host: "unix:///var/run/docker.sock", Err: os.ErrPermission},
			{Host: "unix:///home/me/.colima/docker.sock", Err: os.ErrNotExist},
		},
	}
	want := `no docker engine answered; tried DOCKER_HOST (unset), docker context "default", /var/run/docker.sock (permission denied), ` +
		`/home/me/.colima/docker.sock (no such file); join the group that owns the socket (usually docker), or use sudo`
	if err.Error() != want {
		t.Errorf("%s\nwant %s", err, want)
	}
}
