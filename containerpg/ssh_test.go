package containerpg

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestOpenBySSH(t *testing.T) {
	pg := pgtest.SharedContainer(t, 17)
	pgtest.SSHHost(t, nil)
	for _, host := range []string{"ssh://vps", "ssh://vps/var/run/docker.sock"} {
		e, err := Open(t.Context(), Options{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := e.inspect(t.Context(), pg.Container); err != nil || b.name != pg.Container {
			t.Errorf("%s: %s, %v", host, b.name, err)
		}
		// An exec takes over its connection and half-closes it.
		if data, err := e.readFile(t.Context(), pg.Container, "/etc/passwd"); err != nil || !strings.HasPrefix(string(data), "root:") {
			t.Errorf("%s: %q, %v", host, data, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}

	dockerConfig(t, "far", map[string]string{"far": "ssh://vps"})
	e, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestSSHErrors(t *testing.T) {
	pgtest.SSHHost(t, nil)
	for host, want := range map[string]string{
		"ssh://vps:1":                    "Connection refused",
		"ssh://vps/no/such.sock":         "/no/such.sock",
		"ssh://nobody-at-all@vps":        "Permission denied",
		"ssh://":                         "want ssh://[USER@]HOST[:PORT]",
		"ssh://vps?x=" + strconv.Itoa(1): "want ssh://[USER@]HOST[:PORT]",
	} {
		_, err := Open(t.Context(), Options{Host: host})
		failed := wantError[*EngineError](t, err, want, "ssh HOST docker version")
		if strings.Contains(err.Error(), "docker.invalid") {
			t.Errorf("%s: the error is about the stand-in: %v", host, failed)
		}
	}
}
