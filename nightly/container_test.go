package nightly_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// A container without a network is dumped, backed up and compared: by processes in it, and from another machine with compressed rows.
func TestContainerOutOfReach(t *testing.T) {
	for name, way := range map[string]struct {
		flags []string
		job   string
	}{
		"exec": {[]string{"--via", "exec", "--wire-compress", "off"}, "wire_compress: off"},
		"ssh":  {[]string{"--docker-host", "ssh://" + pgtest.SSHName, "--wire-compress", "zstd:3"}, "docker_host: ssh://" + pgtest.SSHName + "\n    wire_compress: zstd:3"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "ssh" {
				pgtest.SSHHost(t, nil)
			} else {
				pgtest.Long(t)
			}
			server := pgtest.Container(t, 17, pgtest.NoNetwork())
			s := &site{t: t, server: server, dir: t.TempDir()}
			db := pgtest.Banker(t, server, 4) // of which tables are large enough to be compressed
			want := pgtest.Script(server.Dump(t, db))
			run := func(status int, args ...string) string {
				t.Helper()
				cmd := pgtest.Pgberth(t, args...)
				cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
				got, stdout, stderr := pgtest.Status(t, cmd)
				if got != status {
					t.Fatalf("%q: status %d, want %d: %s%s", args, got, status, stdout, stderr)
				}
				return stdout
			}
			inside := func(script string) string {
				t.Helper()
				out, err := exec.Command("docker", "exec", server.Container, "sh", "-ec", script).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return string(out)
			}
			inside(`mv /usr/bin/zstd /usr/bin/zstd.real
				printf '#!/bin/sh\necho >>/tmp/compressed\nexec zstd.real "$@"\n' >/usr/bin/zstd
				chmod 755 /usr/bin/zstd; touch /tmp/compressed; chmod 666 /tmp/compressed`)
			wasCompressed := func(command string) {
				t.Helper()
				if streams := inside("wc -l </tmp/compressed; : >/tmp/compressed"); streams == "0\n" == (name == "ssh") {
					t.Errorf("%s: compressed streams: %s", command, streams)
				}
			}
			// arrived restores an archive, and looks at what came.
			arrived := func(again string, args ...string) {
				t.Helper()
				run(0, append(args, "--to", server.URL(again))...)
				if diff := cmp.Diff(want, pgtest.Script(server.Dump(t, again))); diff != "" {
					t.Errorf("%q: (-source +restored):\n%.4000s", args, diff)
				}
			}

			from, again := "docker://"+server.Container+"/"+db, db+"_again"
			file := filepath.Join(s.dir, "archive")
			run(0, append([]string{"dump", "--from", from, "--file", file}, way.flags...)...)
			wasCompressed("dump")
			arrived(db+"_dumped", "restore", file)

			config := s.write(fmt.Sprintf("jobs:\n  one:\n    from: docker://%s\n    repository: %s\n    databases: [%s]\n    globals: false\n    %s\n",
				server.Container, s.repo(), db, way.job))
			run(0, "nightly", "--config", config)
			wasCompressed("nightly")
			arrived(again, "restore", db+"/latest", "--repo", s.repo())

			compare := slices.Concat([]string{"compare", "--from", from, "--to", server.URL(again)}, way.flags)
			if same := run(0, compare...); !strings.Contains(same, "same: ") {
				t.Error(same)
			}
			wasCompressed("compare")
			server.Exec(t, again, "UPDATE players SET display_name = display_name || '?' WHERE id = (SELECT min(id) FROM players)")
			if differs := run(20, compare...); !strings.Contains(differs, "public.players") {
				t.Error(differs)
			}
		})
	}
}
