package containerpg

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// sshHost starts a real sshd on the loopback address and makes "ssh vps" reach
// it, by a key, with the client that is installed.
func sshHost(t *testing.T) {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		if os.Getenv("PGBERTH_TEST_DISALLOW_SKIP") != "" {
			t.Fatal("no sshd; run testdata/setup.sh ssh")
		}
		t.Skip("no sshd")
	}
	client, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	port := freePort(t)
	write(t, filepath.Join(dir, "sshd_config"), fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\n"+
		"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nLogLevel ERROR\nSetEnv PATH=%s\n", port, dir, dir, os.Getenv("PATH")), 0o600)
	write(t, filepath.Join(dir, "ssh_config"), fmt.Sprintf("Host vps\n  HostName 127.0.0.1\n  Port %d\n  User %s\n  IdentityFile %s/user\n"+
		"  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile %s/known\n  LogLevel ERROR\n", port, me.Username, dir, dir), 0o600)
	server := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	var said strings.Builder
	server.Stderr = &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	// The client looks for its configuration where the password database says, so
	// no variable can point it here.
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(bin, "ssh"), fmt.Sprintf("#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", client, dir), 0o700)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	eventually(t, func() error {
		out, err := exec.Command("ssh", "vps", "true").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestOpenBySSH(t *testing.T) {
	pg := pgtest.SharedContainer(t, 17)
	sshHost(t)
	clearPG(t)
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
	sshHost(t)
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
