package pgtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Podman runs Podman's service for the rest of the test, with a storage of its own that holds the image of a major version.
// It returns where the service listens, as DOCKER_HOST has it, and a function that runs podman and returns what it printed.
func Podman(t testing.TB, major int) (host string, podman func(args ...string) string) {
	t.Helper()
	if _, err := exec.LookPath("podman"); err != nil {
		Unavailable(t, "no podman; run testdata/setup.sh podman: %v", err)
	}
	SharedContainer(t, major) // makes sure of the image
	dir := t.TempDir()
	// Podman would raise limits, which may be forbidden here.
	conf := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(conf, []byte("[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command("podman", append([]string{
			"--root", filepath.Join(dir, "storage"), "--runroot", filepath.Join(dir, "run"), "--tmpdir", filepath.Join(dir, "tmp"),
			"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
		}, args...)...)
		cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+conf)
		return cmd
	}
	podman = func(args ...string) string {
		t.Helper()
		return run(t, command(args...))
	}
	image := filepath.Join(dir, "image.tar")
	run(t, exec.Command("docker", "save", "--output", image, Image(major)))
	podman("load", "--input", image)
	if err := os.Remove(image); err != nil {
		t.Fatal(err)
	}

	// The names of sockets are bounded, and shorter than those of temporary folders may be.
	sockets, err := os.MkdirTemp("", "podman-")
	if err != nil {
		t.Fatal(err)
	}
	host = "unix://" + filepath.Join(sockets, "s")
	service := command("system", "service", "--time", "0", host)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		podman("rm", "--force", "--all", "--volumes")
		endMonitors(dir)
		_ = service.Process.Signal(os.Interrupt)
		_ = service.Wait()
		if err := os.RemoveAll(sockets); err != nil {
			t.Error(err)
		}
	})
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(sockets, "s")); err == nil {
			return host, podman
		} else if time.Since(start) > startTimeout {
			t.Fatalf("pgtest: Podman's service does not listen: %v", err)
		}
	}
}

// endMonitors ends the processes by which Podman waits for those of its containers. Of an exec through the service it keeps one for
// minutes, for somebody who asks how it ended.
func endMonitors(dir string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
	for _, file := range files {
		command, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(command, []byte("/usr/bin/conmon\x00")) || !bytes.Contains(command, []byte(dir+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
