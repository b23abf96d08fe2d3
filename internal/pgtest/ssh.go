package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// SSHName is the host that [SSHHost] lets ssh reach.
const SSHName = "vps"

// SSHHost starts a real sshd on the loopback address and makes "ssh vps" reach it for the rest of the test, by a key and with the
// client that is installed. through, if it is not nil, gets the daemon's address and answers that of something which leads there.
// config are further lines of its sshd_config.
func SSHHost(t testing.TB, through func(address string) string, config ...string) {
	t.Helper()
	const sshd = "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		Unavailable(t, "no sshd; run testdata/setup.sh ssh: %v", err)
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
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"host", "user"} {
		run(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)))
	}
	write := func(name string, mode os.FileMode, format string, args ...any) {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, format, args...), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("sshd_config", 0o600, "Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\n"+
		"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nLogLevel ERROR\nMaxStartups 200\nSetEnv PATH=%s\n%s\n",
		port, dir, dir, os.Getenv("PATH"), strings.Join(config, "\n"))
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
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if err := waitForPort(t.Context(), address); err != nil {
		t.Fatalf("start sshd: %v", err)
	}
	if through != nil {
		address = through(address)
	}
	host, portText, _ := strings.Cut(address, ":")
	write("ssh_config", 0o600, "Host %s\n  HostName %s\n  Port %s\n  User %s\n  IdentityFile %s/user\n"+
		"  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile %s/known\n  LogLevel ERROR\n", SSHName, host, portText, me.Username, dir, dir)
	// The client looks for its configuration where the password database says, so no variable can point it here.
	write("ssh", 0o700, "#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", client, dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	run(t, exec.Command("ssh", SSHName, "true"))
}
