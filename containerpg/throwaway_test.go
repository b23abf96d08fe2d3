package containerpg_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/pgtest"
)

func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// engine opens the machine's docker engine.
func engine(t testing.TB) *containerpg.Engine {
	t.Helper()
	pgtest.SharedContainer(t, 17) // skips where there can be none
	engine, err := containerpg.Open(t.Context(), containerpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}

func TestThrowaway(t *testing.T) {
	t.Parallel()
	engine := engine(t)
	image, err := engine.ServerImage(t.Context(), 17, pgtest.Image(17), "")
	if err != nil {
		t.Fatal(err)
	}
	for storage, tmpfs := range map[string]int64{"volume": 0, "tmpfs": 512 << 20} {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			server, err := engine.StartThrowaway(t.Context(), containerpg.ThrowawaySpec{Image: image, User: "boss", Settings: []string{"work_mem=7MB"}, Tmpfs: tmpfs})
			if err != nil {
				t.Fatal(err)
			}
			conn, err := pgx.ConnectConfig(t.Context(), server.ConnConfig("postgres"))
			if err != nil {
				t.Fatal(err)
			}
			var user, memory string
			if err := conn.QueryRow(t.Context(), `SELECT current_user, current_setting('work_mem') WHERE (SELECT rolsuper FROM pg_roles WHERE oid = 10 AND rolname = current_user)`).Scan(&user, &memory); err != nil || user != "boss" || memory != "7MB" {
				t.Errorf("user %q, work_mem %q, %v", user, memory, err)
			}
			if err := conn.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := server.Alive(t.Context()); err != nil {
				t.Error(err)
			}
			if free, err := server.FreeDisk(t.Context()); err != nil || free == 0 || tmpfs > 0 && free > tmpfs {
				t.Errorf("free disk: %d, %v", free, err)
			}
			volumes := strings.Fields(docker(t, "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", server.ID))
			network := docker(t, "inspect", "--format", "{{.HostConfig.NetworkMode}}", server.ID)
			if got := docker(t, "network", "inspect", "--format", "{{.Internal}}", network); got != "true" {
				t.Errorf("the network is internal: %s", got)
			}
			if got := docker(t, "inspect", "--format", "{{.HostConfig.CapDrop}} {{.NetworkSettings.Ports}}", server.ID); got != "[ALL] map[]" {
				t.Errorf("capabilities dropped and ports published: %s", got)
			}
			if _, err := engine.Reap(t.Context()); err != nil {
				t.Error(err)
			}
			if err := server.Alive(t.Context()); err != nil {
				t.Errorf("a living run's server was reaped: %v", err)
			}
			labelled := docker(t, "volume", "ls", "-q", "--filter", "label=org.pgberth.drill")
			for _, v := range volumes {
				if !strings.Contains(labelled, v) {
					t.Errorf("volume %s, which the image declares, does not say whose it is", v)
				}
			}
			if tmpfs > 0 {
				docker(t, "rm", "--force", server.ID) // somebody else, who leaves the volumes
			}
			if err := server.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := server.Alive(t.Context()); err == nil {
				t.Error("removed, and alive")
			}
			// The engine forgets a container before it removes its volumes.
			left := "all of it"
			for deadline := time.Now().Add(30 * time.Second); left != "" && time.Now().Before(deadline); {
				left = docker(t, "ps", "-aq", "--no-trunc", "--filter", "id="+server.ID) + docker(t, "network", "ls", "-q", "--filter", "name="+network)
				for _, v := range volumes {
					left += docker(t, "volume", "ls", "-q", "--filter", "name="+v)
				}
			}
			if left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

func TestThrowawayThatCannotStart(t *testing.T) {
	t.Parallel()
	engine := engine(t)
	_, err := engine.StartThrowaway(t.Context(), containerpg.ThrowawaySpec{Image: pgtest.Image(17), Settings: []string{"work_mem=much"}})
	if err == nil || !strings.Contains(err.Error(), "stopped while it was starting") || !strings.Contains(err.Error(), "work_mem") {
		t.Errorf("a setting that is none: %v", err)
	}
	for _, image := range []string{"pgberth/no-such-image:17", pgtest.Image(15)} {
		if _, err := engine.ServerImage(t.Context(), 17, image, ""); err == nil || !strings.Contains(err.Error(), image) {
			t.Errorf("image %s: %v", image, err)
		}
	}
}
