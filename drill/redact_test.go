package drill_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// What a repository keeps of drills of encrypted backups names nothing that is encrypted in them, whatever came of the drill,
// and is a chain; the directory of --report has everything.
func TestReportsOfEncrypted(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db, _, reader := newShop(t, host)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	repo, reports, keyFile, checks := filepath.Join(dir, "repo"), filepath.Join(dir, "reports"), filepath.Join(dir, "key"), filepath.Join(dir, "checks.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(keyFile, key.String()+"\n")
	write(checks, `checks: [{name: secretname, sql: "SELECT 'secretfound'", value: secretvalue}, {sql: SELECT secretcolumn, rows: 1}, {name: good, sql: SELECT 'secretfound', matches: ^secretf}]`)
	pgberth := func(want int, args ...string) string {
		t.Helper()
		status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, args...))
		if status != want {
			t.Fatalf("%v: status %d, want %d\n%s%s", args, status, want, stdout, stderr)
		}
		return stdout
	}
	run := func(want int, args ...string) {
		t.Helper()
		pgberth(want, append([]string{"drill", db + "/latest", "--repo", repo, "--server", "local", "--report", reports, "--quiet"}, args...)...)
	}
	pgberth(0, "dump", "--from", host.Endpoint(db), "--repo", repo, "--quiet", "--encrypt-to", key.Recipient().String())
	run(0, "--identity", keyFile, "--smoke-as", reader)
	run(21, "--identity", keyFile, "--checks", checks, "--smoke-as", "secretrole")
	run(22) // no key
	manifests, err := filepath.Glob(filepath.Join(repo, db, "*", "*.age"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("%q, %v", manifests, err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(manifests[0]), "pgberth.json.age")); err != nil {
		t.Fatal(err)
	}
	run(21, "--identity", keyFile)

	secrets := []string{"secret", "shop.", "orders", reader}
	kept, err := filepath.Glob(filepath.Join(repo, "@drills", "*", "*"))
	if err != nil || len(kept) != 4*3 {
		t.Fatalf("%q, %v", kept, err)
	}
	redacted := 0
	for _, name := range kept {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds %s:\n%s", name, secret, text)
			}
		}
		if bytes.Contains(text, []byte(`"redacted": true`)) && bytes.Contains(text, []byte(`"encrypted": true`)) {
			redacted++
		}
	}
	if redacted != 4 {
		t.Errorf("%d of the 4 reports say that they are redacted", redacted)
	}
	if out := pgberth(0, "report", "--repo", repo, "--output", filepath.Join(dir, "pages")); strings.Contains(out, "broken") || !strings.Contains(out, "4 drills") {
		t.Errorf("the chain: %s", out)
	}

	full, err := drill.ReadDir(reports)
	if err != nil || len(full) != 4 {
		t.Fatalf("%d reports, %v", len(full), err)
	}
	if broken := drill.Broken(full); len(broken) > 0 {
		t.Errorf("the chain in the directory: %q", broken)
	}
	if all := fmt.Sprint(full[0].Checks) + fmt.Sprint(full[1].Checks); !strings.Contains(all, reader) || !strings.Contains(all, "secretname") || !strings.Contains(all, "secretfound") {
		t.Errorf("the directory lacks names: %s", all)
	}
	index, err := os.ReadFile(filepath.Join(reports, "index.html"))
	if err != nil || !bytes.Contains(index, []byte("all of these do")) {
		t.Errorf("the page does not say that the chain is whole: %v", err)
	}
	i := slices.IndexFunc(full[1].Checks, func(c drill.Check) bool { return c.Name == "assertion: secretname" })
	if i < 0 || full[1].Redacted {
		t.Errorf("the report in the directory: %+v", full[1].Report)
	}
}
