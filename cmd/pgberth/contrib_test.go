package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/nightly/config"
)

// The files of contrib are what users copy. These tests hold the commands in them against the program's flags, and the
// configurations against its parser.

func contrib(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "contrib", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accepts sees that the program knows a command and its flags.
func accepts(t *testing.T, args ...string) {
	t.Helper()
	c := &cli{stdout: io.Discard, stderr: io.Discard, env: func(string) (string, bool) { return "", false }}
	cmd, rest, err := newRootCommand(c).Find(args[1:])
	if args[0] != "pgberth" || err != nil || !cmd.HasParent() {
		t.Fatalf("%q is no command: %v", args, err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%q: %v", args, err)
	}
	if left := cmd.Flags().Args(); len(left) > 0 {
		t.Errorf("%q: stray arguments %q", args, left)
	}
}

// valid sees that a configuration has no faults.
func valid(t *testing.T, text string) *config.Config {
	t.Helper()
	set := func(string) (string, bool) { return "set", true }
	onlyPlain := func(name string) (string, bool) {
		if strings.HasSuffix(name, "_FILE") {
			return "", false
		}
		return set(name)
	}
	c, err := config.Read(strings.NewReader(text), "/etc/pgberth.yaml", onlyPlain, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestContribCron(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^[0-9]+ +[0-9]+ \* \* \* +pgberth +(pgberth .*?)(?: > /dev/null)?$`).FindAllStringSubmatch(contrib(t, "cron/pgberth"), -1)
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		accepts(t, strings.Fields(line[1])...)
	}
}

func TestContribSystemd(t *testing.T) {
	service := contrib(t, "systemd/pgberth-nightly.service")
	const program = "/usr/local/bin/"
	start := regexp.MustCompile(`(?m)^ExecStart=` + program + `(.*)$`).FindStringSubmatch(service)
	if start == nil {
		t.Fatal("no ExecStart")
	}
	accepts(t, strings.Fields(start[1])...)
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Logf("the units were not verified: %v", err)
		return
	}
	// It looks whether the program is there.
	dir := t.TempDir()
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	service = strings.Replace(service, program+"pgberth ", test+" ", 1)
	for name, text := range map[string]string{"pgberth-nightly.service": service, "pgberth-nightly.timer": contrib(t, "systemd/pgberth-nightly.timer")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, "pgberth-nightly.timer"), filepath.Join(dir, "pgberth-nightly.service")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "pgberth-nightly") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestContribCompose(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Healthcheck struct{ Test []string }
		}
		Configs map[string]struct{ Content string }
	}
	if err := yaml.Unmarshal([]byte(contrib(t, "compose/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	accepts(t, compose.Services["backup"].Healthcheck.Test[1:]...)
	c := valid(t, strings.ReplaceAll(compose.Configs["pgberth"].Content, "$$", "$"))
	if got := c.Jobs[0].Password.Reveal(); got != "set" {
		t.Errorf("the password is %q", got)
	}
	loop := contrib(t, "compose/every-night")
	accepts(t, strings.Fields(strings.TrimSuffix(regexp.MustCompile(`pgberth nightly .*? &`).FindString(loop), " &"))...)
	if out, err := exec.Command("sh", "-n", filepath.Join(pgtest.Root(t), "contrib", "compose", "every-night")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestContribLoop sees that the script of the container starts a run at its time and ends when it is told to.
func TestContribLoop(t *testing.T) {
	dir := t.TempDir()
	program := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A clock that stands still at 02:00, and a sleep that does not take its time but once.
	program("date", `case "$*" in +%s) echo 1000 ;; *today*) echo 1900 ;; *) echo 9000 ;; esac`)
	program("sleep", `echo "sleep $1" >>"$LOG"; if [ "$(grep -c sleep "$LOG")" -gt 1 ]; then kill -TERM "$PPID"; exec /bin/sleep 60; fi`)
	program("pgberth", `echo "pgberth $*" >>"$LOG"`)
	log := filepath.Join(dir, "log")
	cmd := exec.Command("sh", filepath.Join(pgtest.Root(t), "contrib", "compose", "every-night"))
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "LOG=" + log}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := os.ReadFile(log)
	if want := "sleep 900\npgberth nightly --config /etc/pgberth.yaml\nsleep 900\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestContribKubernetes(t *testing.T) {
	documents := yaml.NewDecoder(strings.NewReader(contrib(t, "kubernetes/cronjob.yaml")))
	var configMap struct{ Data map[string]string }
	if err := documents.Decode(&configMap); err != nil {
		t.Fatal(err)
	}
	c := valid(t, configMap.Data["pgberth.yaml"])
	if !strings.HasPrefix(c.Jobs[0].Repository.URL, "s3://") {
		t.Error(c.Jobs[0].Repository.URL)
	}
	var cronJob struct {
		Kind string
		Spec struct {
			ConcurrencyPolicy string `yaml:"concurrencyPolicy"`
			JobTemplate       struct {
				Spec struct {
					Template struct {
						Spec struct {
							Containers []struct{ Command []string }
						}
					}
				}
			} `yaml:"jobTemplate"`
		}
	}
	if err := documents.Decode(&cronJob); err != nil {
		t.Fatal(err)
	}
	accepts(t, cronJob.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Command...)
	if cronJob.Kind != "CronJob" || cronJob.Spec.ConcurrencyPolicy != "Forbid" {
		t.Errorf("%+v", cronJob)
	}
}
