package migrate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// Podman answers to docker's protocol: a server in one of its containers is found, filled and read again.
func TestPodman(t *testing.T) {
	pgtest.Long(t)
	source := pgtest.Host(t)
	db := pgtest.Banker(t, source, 1)
	host, podman := pgtest.Podman(t, 17)
	const name = "bullion-db"
	// Without a network nothing of it is on this machine.
	podman("run", "--detach", "--name", name, "--network", "none", "--tmpfs", "/var/lib/postgresql/data",
		"--env", "POSTGRES_PASSWORD=x", pgtest.Image(17))
	ours := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, append(args, "--docker-host", host)...))
		if status != 0 {
			t.Fatalf("%q: status %d: %s%s", args, status, stdout, stderr)
		}
		return stdout
	}

	to := "docker://" + name + "/" + db
	for _, args := range [][]string{
		{"--via", "exec", "--wire-compress", "off"},
		{"--via", "exec", "--wire-compress", "zstd"},
		nil,
	} {
		ours(append([]string{"migrate", "--from", source.URL(db), "--to", to, "--replace", "--drop-old"}, args...)...)
		same := ours("compare", "--from", source.URL(db), "--to", to)
		if !strings.Contains(same, "same: ") {
			t.Errorf("%q: %s", args, same)
		}
	}
	located := ours("locate", name, "--via", "exec", "--json")
	var server containerpg.Server
	if err := json.Unmarshal([]byte(located), &server); err != nil {
		t.Fatalf("%v: %s", err, located)
	}
	if server.Name != name || server.VersionNum/10000 != 17 || server.Path != containerpg.ViaExec {
		t.Errorf("%+v", server)
	}
	ours("migrate", "--from", to, "--to", "docker://"+name+"/"+db+"_again", "--via", "exec")
	if same := ours("compare", "--from", to, "--to", "docker://"+name+"/"+db+"_again"); !strings.Contains(same, "same: ") {
		t.Error(same)
	}
}
