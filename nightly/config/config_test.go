package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func read(text string, env ...string) (*Config, error) {
	return Read(strings.NewReader(text), "/etc/pgberth/nightly.yaml", environment(env...), nil)
}

func TestExample(t *testing.T) {
	c, err := read(Example)
	if err != nil {
		t.Fatal(err)
	}
	job := c.Jobs[0]
	if len(c.Jobs) != 1 || job.Name != "shop" || job.Repository.URL != "/var/backups/pgberth/shop" || job.Keep.Daily != 7 || !job.Globals.Wanted() {
		t.Errorf("%+v", job)
	}
	for _, section := range []reflect.Type{reflect.TypeFor[Job](), reflect.TypeFor[Repository](), reflect.TypeFor[Keep](), reflect.TypeFor[Hooks](),
		reflect.TypeFor[Ping](), reflect.TypeFor[Limits](), reflect.TypeFor[Check](), reflect.TypeFor[Drill]()} {
		for _, key := range keysOf(section) {
			if !regexp.MustCompile(`(?m)^\s*(# )?\s*` + key + ":").MatchString(Example) {
				t.Errorf("the example does not mention %s", key)
			}
		}
	}
}

func TestInheritance(t *testing.T) {
	c, err := read(`
tags: [a, b]
limits: {overall: 3h, max_fall: 10%}
jobs:
  one:
    from: docker://one
  two:
    from: docker://two
    tags: [c]
    globals: false
    limits: {stall: 5m}
repository: backups/{job}
metrics: m-{job}.prom
`)
	if err != nil {
		t.Fatal(err)
	}
	one, two := c.Jobs[0], c.Jobs[1]
	limits := Limits{Overall: Duration(3 * time.Hour), Stall: Duration(DefaultStall), MaxFall: 0.1}
	if diff := cmp.Diff(limits, one.Limits); diff != "" || !cmp.Equal(one.Tags, []string{"a", "b"}) || !one.Globals.Wanted() {
		t.Errorf("%s %+v", diff, one)
	}
	limits = Limits{Overall: Duration(DefaultOverall), Stall: Duration(5 * time.Minute), MaxFall: 0.5}
	if diff := cmp.Diff(limits, two.Limits); diff != "" || !cmp.Equal(two.Tags, []string{"c"}) || two.Globals.Wanted() {
		t.Errorf("%s %+v", diff, two)
	}
	if one.Repository.URL != "/etc/pgberth/backups/one" || two.Metrics != "/etc/pgberth/m-two.prom" {
		t.Errorf("%+v %+v", one, two)
	}
}

func TestVariables(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter$2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := read(`
jobs:
  shop:
    from: postgres://${DB_USER:-backup}@${HOST}/
    password: ${DB_PASSWORD}
    repository: ${REPO:-/srv/back$$ups}
    tags: ["${A}${B:-x}", "$${A}"]
    streams: ${STREAMS:-3}
    globals: ${GLOBALS:-false}
`, "HOST", "db", "DB_PASSWORD_FILE", secret, "A", "a: [b", "B", "")
	if err != nil {
		t.Fatal(err)
	}
	job := c.Jobs[0]
	if job.From.Reveal() != "postgres://backup@db/" || job.Password.Reveal() != "hunter$2" || job.Repository.URL != "/srv/back$ups" ||
		!cmp.Equal(job.Tags, []string{"a: [bx", "${A}"}) || job.Streams != 3 || job.Globals.Wanted() {
		t.Errorf("%+v", job)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", job, job, *job, job.Password); strings.Contains(text, "hunter") {
		t.Error("a secret is printed")
	}
}

// TestProblems writes what is wrong behind the line it is in: "key: text  # WANT".
func TestProblems(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "the file is empty; pgberth nightly --print-config prints an example"},
		{"comment", "# nothing\n", "the file is empty; pgberth nightly --print-config prints an example"},
		{"no jobs", "tags: [a]", "1: there are no jobs; name at least one below the key jobs"},
		{"list", "- a", "1: is a list; want keys with values below it"},
		{"syntax", "jobs:\n  a: b: c\n", "2: not YAML: mapping values are not allowed in this context"},
		{"anchor", "jobs:\n  a:\n    password: *hunter2\n", "a value begins with *, which refers to an anchor that is not there; quote the value"},
		{"two documents", job() + "---\n" + job(), "5: a second document; there can be one"},
		{"near", job("datbases: [x]"), `4: jobs.a: unknown key "datbases"; did you mean databases?`},
		{"far", job("limits: {frobnicate: 1}"), `4: jobs.a.limits: unknown key "frobnicate"; the keys here are overall, stall, lock_wait, max_fall`},
		{"top", "frmo: x\n" + job(), `1: unknown key "frmo"; the keys here are jobs, ping, project, `},
		{"not at the top", "from: x\n" + job(), `1: unknown key "from"; `},
		{"misplaced secret", job("postgres://u:hunter2@host/database-of-the-shop: x"), "4: jobs.a: unknown key; the keys here are from, "},
		{"twice", job("tags: [a]", "tags: [b]"), "5: jobs.a.tags: is given twice, first in line 4"},
		{"job twice", job() + "  a: {from: x}\n", "5: jobs.a: is given twice, first in line 2"},
		{"null", job("databases:"), "4: jobs.a.databases: has no value; give it one, or remove the key"},
		{"scalar for list", job("databases: shop"), "4: jobs.a.databases: is a single value; want a list, such as [a, b]"},
		{"list for scalar", job("compress: [a]"), "4: jobs.a.compress: is a list; want none, gzip"},
		{"bool", job("globals: hunter2"), "4: jobs.a.globals: want true, false or without-passwords"},
		{"bool of s3", job("repository: {url: s3://x, path_style: yes}"), "4: jobs.a.repository.path_style: want always, never or auto"},
		{"number", job("streams: hunter2"), "4: jobs.a.streams: want a number"},
		{"negative", job("keep: {daily: -1}"), "4: jobs.a.keep.daily: want a number, or unlimited"},
		{"duration", job("limits: {stall: 5}"), "4: jobs.a.limits.stall: want a duration, such as 90s, 30m, 26h or 30d"},
		{"share", job("limits: {max_fall: 0.5}"), "4: jobs.a.limits.max_fall: want a share from 0% to 100%, such as 50%"},
		{"age", job("keep: {within: 5}"), "4: jobs.a.keep.within: want an age, such as 30d or 2y5m7d3h"},
		{"size", job("check: {min_size: 5 cats}"), "4: jobs.a.check.min_size: want a size, such as 500 kB, 10 MB or 2 GB"},
		{"zone", job("time_zone: Berlin"), "4: jobs.a.time_zone: want a time zone, such as Europe/Berlin or UTC"},
		{"drill", job("drill: daily"), "4: jobs.a.drill: want never, after-backup or weekly"},
		{"drill of sealed", job("drill: weekly", "encrypt_to: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]"), "4: jobs.a.drill: backups are encrypted, so a drill needs identity_file"},
		{"drill server", job("drill: {when: weekly, server: moon}"), "4: jobs.a.drill.server: want docker or local"},
		{"hook", job("hooks: {before: rm -rf}"), "4: jobs.a.hooks.before: want a command as a list, [/path/to/program, argument], or a list of those; there is no shell"},
		{"hook mixed", job("hooks: {before: [[a], b]}"), "4: jobs.a.hooks.before: want a command as a list"},
		{"tag", job("compress: !vault x"), "4: jobs.a.compress: the tag !vault is not known here"},
		{"unset", job("compress: ${NONE}"), "4: jobs.a.compress: the variable NONE is not set, nor is NONE_FILE; set it, or write ${NONE:-default}"},
		{"dollar", job("compress: a$b"), "4: jobs.a.compress: a $ begins no ${NAME}; write $$ for a dollar sign"},
		{"open", job("compress: ${hunter2"), "4: jobs.a.compress: a ${ has no closing }"},
		{"bad name", job("compress: ${hunter 2}"), "4: jobs.a.compress: write variables as ${NAME} or ${NAME:-default}"},
		{"no from", "jobs:\n  a: {repository: /x}", "2: jobs.a.from: is missing; name the server"},
		{"no repository", "jobs:\n  a: {from: docker://x}", "2: jobs.a.repository: is missing; name a folder, or s3://BUCKET/PREFIX"},
		{"scheme", job("repository: gs://x"), "4: jobs.a.repository: want the path of a folder, or s3://BUCKET/PREFIX"},
		{"slash", job("repository: s3:/x/y"), "4: jobs.a.repository: want the path of a folder, or s3://BUCKET/PREFIX"},
		{"shared repository", "jobs:\n  a: {from: docker://x, repository: /x}\n  b: {from: docker://x, repository: /x/}", "3: jobs.b.repository: job a has the same"},
		{"shared ping", "ping: https://h/x\n" + job("ping: https://h/x"), "5: jobs.a.ping: the whole run has the same"},
		{"ping", job("ping: hc-ping.com/hunter2"), "4: jobs.a.ping: not a URL that begins with https:// or http://"},
		{"metrics", job("metrics: /x/y"), "4: jobs.a.metrics: the textfile collector reads files that end with .prom"},
		{"home", job("metrics: ~/x.prom"), "4: jobs.a.metrics: ~ means nothing here"},
		{"keys of a folder", job("repository: {url: /x, region: y}"), "4: jobs.a.repository: endpoint, region and path_style are for s3"},
		{"both engines", job("docker_host: ssh://x", "docker_context: y"), "4: jobs.a.docker_host: docker_context names an engine too"},
		{"both passwords", job("password: hunter2", "password_file: /x"), "4: jobs.a.password: password_file is given too"},
		{"compress", job("compress: bzip2"), "4: jobs.a.compress: want none, gzip"},
		{"wire", job("wire_compress: gzip"), "4: jobs.a.wire_compress: want auto, off, zstd, or zstd:1 to zstd:22"},
		{"read back", job("read_back: all"), "4: jobs.a.read_back: want sizes, files or data"},
		{"recipient", job("encrypt_to: [AGE-SECRET-KEY-hunter2]"), "4: jobs.a.encrypt_to: "},
		{"job name", "jobs:\n  a/b: {from: docker://x, repository: /x}", "2: jobs: the name of a job is of letters"},
		{"no time", job("limits: {overall: 0s}"), "4: jobs.a.limits.overall: 0 would end the job at once"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := read(test.text)
			var wrong *Error
			if !errors.As(err, &wrong) {
				t.Fatalf("no problem but %v", err)
			}
			got := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "/etc/pgberth/nightly.yaml:"), " ")
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a secret is printed")
			}
		})
	}
}

// job is a file with a job that has some more keys.
func job(more ...string) string {
	text := "jobs:\n  a:\n    from: docker://x\n"
	repository := "    repository: /x\n"
	for _, line := range more {
		text += "    " + line + "\n"
		if strings.HasPrefix(line, "repository:") {
			repository = ""
		}
	}
	return text + repository
}

// TestAllAtOnce sees that one fault does not hide the next.
func TestAllAtOnce(t *testing.T) {
	_, err := read("limits: {stal: 1h}\njobs:\n  a:\n    globals: maybe\n    repository: gs://x\n    from: docker://x\n")
	want := `/etc/pgberth/nightly.yaml:1: limits: unknown key "stal"; did you mean stall?
/etc/pgberth/nightly.yaml:4: jobs.a.globals: want true, false or without-passwords
/etc/pgberth/nightly.yaml:5: jobs.a.repository: want the path of a folder, or s3://BUCKET/PREFIX`
	if err == nil || err.Error() != want {
		t.Error(err)
	}
}

func TestDurationsAndSizes(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "90s": 90 * time.Second, "1d12h": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "1h 30m": 90 * time.Minute} {
		var d Duration
		if err := d.parse(text); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "5", "h", "-1h", "99999999999w", "1h,"} {
		if (new(Duration)).parse(text) == nil {
			t.Errorf("%q was taken for a duration", text)
		}
	}
	for text, want := range map[string]Size{"5": 5, "1.5 MB": 1_500_000, "2GiB": 2 << 30, "10 kB": 10_000} {
		var s Size
		if err := s.parse(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "MB", "-1", "1e3", "9999999999 TB"} {
		if (new(Size)).parse(text) == nil {
			t.Errorf("%q was taken for a size", text)
		}
	}
}

func TestChoose(t *testing.T) {
	c, err := read("jobs:\n  a: {from: docker://x, repository: /a}\n  b: {from: docker://y, repository: /b}\n")
	if err != nil {
		t.Fatal(err)
	}
	if jobs, err := c.Choose([]string{"b"}); err != nil || len(jobs) != 1 || jobs[0].Name != "b" {
		t.Error(jobs, err)
	}
	if _, err := c.Choose([]string{"c"}); err == nil || !strings.HasSuffix(err.Error(), "its jobs are a, b") {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(Example)
	f.Add(job("hooks: {before: [[a], [b, c]]}", "keep: &k {daily: 1}"))
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = read(text)
	})
}
