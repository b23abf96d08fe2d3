package containerpg

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
)

func inspected(image, command string, env, ports []string) box {
	exposed := nat.PortSet{}
	for _, port := range ports {
		exposed[nat.Port(port)] = struct{}{}
	}
	words := strings.Fields(command)
	return newBox(container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{ID: "0123", Name: "/db", Path: words[0], Args: words[1:]},
		Config:            &container.Config{Image: image, Env: env, ExposedPorts: exposed},
	})
}

func TestScore(t *testing.T) {
	port := []string{"5432/tcp"}
	for _, test := range []struct {
		name  string
		box   box
		score int
	}{
		{"official", inspected("postgres:17", "docker-entrypoint.sh postgres", []string{"PG_MAJOR=17"}, port), 3},
		{"digest", inspected("postgres@sha256:ab", "docker-entrypoint.sh postgres", []string{"PG_MAJOR=17"}, port), 3},
		{"registry with a port", inspected("localhost:5000/team/postgis:16-3.4", "x", []string{"PGDATA=/d"}, port), 3},
		{"by image ID", inspected("sha256:0123", "x", []string{"PGDATA=/d"}, port), 2},
		{"bitnami", inspected("bitnami/postgresql:16", "x", []string{"POSTGRESQL_PASSWORD=x"}, port), 3},
		{"a web application", inspected("shop/web", "x", []string{"POSTGRES_PASSWORD=x"}, []string{"80/tcp"}), 1},
		{"a pooler", inspected("pgbouncer", "x", nil, port), 1},
		{"a cache", inspected("redis:7", "x", nil, []string{"6379/tcp"}), 0},
	} {
		if got := test.box.score(); got != test.score {
			t.Errorf("%s: score %d, want %d", test.name, got, test.score)
		}
	}
}

func TestActivity(t *testing.T) {
	for commands, want := range map[string]activity{
		"postgres|postgres: checkpointer":                                        serving,
		"/usr/lib/postgresql/17/bin/postgres -D /data":                           serving,
		"/sbin/docker-init -- docker-entrypoint.sh postgres|postgres: walwriter": serving,
		"bash /usr/local/bin/docker-entrypoint.sh postgres|sleep 1":              starting,
		"/sbin/docker-init -- docker-entrypoint.sh postgres|initdb -D /x":        starting,
		"/bin/bash /scripts/docker-entrypoint.sh":                                starting,
		"bash /usr/local/bin/docker-entrypoint.sh sleep 600":                     undecided,
		"bash /opt/bitnami/scripts/postgresql/entrypoint.sh sleep 600":           undecided,
		"runc init":           undecided,
		"runc:[2:INIT]":       undecided,
		"/proc/self/exe init": undecided,
		"/sbin/docker-init -- docker-entrypoint.sh sleep 600":           undecided,
		"/sbin/docker-init -- docker-entrypoint.sh sleep 600|sleep 600": elsewhere,
		"sleep 600":                  elsewhere,
		"/sbin/docker-init -- nginx": elsewhere,
	} {
		if got := activityOf(strings.Split(commands, "|")); got != want {
			t.Errorf("%s: %v, want %v", commands, got, want)
		}
	}
}

func TestActivityRightAfterTheStart(t *testing.T) {
	for command, want := range map[string]activity{
		"docker-entrypoint.sh postgres -c fsync=off":                                           starting,
		"/opt/bitnami/scripts/postgresql/entrypoint.sh /opt/bitnami/scripts/postgresql/run.sh": starting,
		"docker-entrypoint.sh -c fsync=off":                                                    starting,
		"tini -- docker-entrypoint.sh postgres":                                                starting,
		"docker-entrypoint.sh sleep 600":                                                       undecided,
		"nginx":                                                                                undecided,
	} {
		b := inspected("postgres", command, []string{"PG_MAJOR=17"}, nil)
		for _, first := range []string{"/proc/self/exe init", "runc init", "bash " + command} {
			if strings.HasPrefix(first, "bash") && !strings.Contains(first, "entrypoint") {
				continue
			}
			if got := b.activity([]string{first}); got != want {
				t.Errorf("%s, of which %q runs: %v, want %v", command, first, got, want)
			}
		}
	}
	if got := inspected("postgres", "docker-entrypoint.sh sleep 600", nil, nil).activity([]string{"sleep 600"}); got != elsewhere {
		t.Errorf("sleep: %v", got)
	}
}

func TestMatching(t *testing.T) {
	summary := func(id, name, project, service, state string, port uint16) container.Summary {
		s := container.Summary{ID: id, Names: []string{"/" + name}, State: state, Labels: map[string]string{}}
		if service != "" {
			s.Labels[labelProject], s.Labels[labelService] = project, service
		}
		if port != 0 {
			s.Ports = []container.Port{{IP: "0.0.0.0", PublicPort: port, PrivatePort: 5432, Type: "tcp"}, {IP: "::", PublicPort: port, PrivatePort: 5432, Type: "tcp"}}
		}
		return s
	}
	oneoff := summary("dd04", "shop-db-run-1", "shop", "db", "running", 0)
	oneoff.Labels[labelOneoff] = "True"
	side := summary("aa99", "brave_hopper", "", "", "running", 0)
	side.Labels[labelRun] = "someone"
	list := []container.Summary{
		summary("aa01", "shop-db-1", "shop", "db", "running", 54320),
		summary("aa02", "blog-db-1", "blog", "db", "running", 0),
		summary("bb03", "aa01", "", "", "exited", 0),
		summary("cc05", "shop-db-2", "shop", "db", "exited", 0),
		summary("ee06", "pg", "", "", "running", 0),
		oneoff, side,
	}
	for _, test := range []struct {
		name string
		sel  Selector
		want string
	}{
		{"by name", Selector{Name: "pg"}, "ee06"},
		{"by name with a slash, as inspect shows it", Selector{Name: "/pg"}, "ee06"},
		{"a name is no pattern", Selector{Name: "p"}, ""},
		{"a name wins over an ID", Selector{Name: "aa01"}, "bb03"},
		{"by ID prefix", Selector{Name: "EE0"}, "ee06"},
		{"by too short an ID prefix", Selector{Name: "ee"}, ""},
		{"by service in all projects", Selector{Name: "db"}, "aa01 aa02"},
		{"by service in one project", Selector{Name: "db", Project: "shop"}, "aa01"},
		{"by port", Selector{Port: 54320}, "aa01"},
		{"by a port of another project", Selector{Port: 54320, Project: "blog"}, ""},
		{"all that run", Selector{}, "aa01 aa02 ee06 dd04"},
		{"all that run in a project", Selector{Project: "blog"}, "aa02"},
	} {
		var ids []string
		for _, s := range matching(list, test.sel) {
			ids = append(ids, s.ID)
		}
		if got := strings.Join(ids, " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestStoppedError(t *testing.T) {
	for want, e := range map[string]StoppedError{
		`container "db" is exited (137, OOM-killed); docker start db`: {Name: "db", State: "exited", ExitCode: 137, OOMKilled: true},
		`container "db" is paused; docker unpause db`:                 {Name: "db", State: "paused"},
		`container "db" was never started; docker start db`:           {Name: "db", State: "created"},
	} {
		if e.Error() != want {
			t.Errorf("%s, want %s", &e, want)
		}
	}
}

func TestParsePostmaster(t *testing.T) {
	whole := "1\n/var/lib/postgresql/data\n1763845200\n5433\n/var/run/postgresql\n*\n  5433001    0\nready   \n"
	got, ok := parsePostmaster([]byte(whole))
	want := postmaster{pid: 1, dataDir: "/var/lib/postgresql/data", port: 5433, socketDir: "/var/run/postgresql", listen: "*", ready: true}
	if !ok || got != want {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	for _, part := range []string{"", "1\n", "1\n/data\n17\n", "1\n/data\n17\nx\n", "1\n/data\n17\n70000\n"} {
		if _, ok := parsePostmaster([]byte(part)); ok {
			t.Errorf("%q was taken for a whole file", part)
		}
	}
	for listen, want := range map[string]bool{"*": false, "0.0.0.0": false, "localhost": true, "": true} {
		if p := (postmaster{pid: 1, listen: listen, ready: true}); !p.listening() || p.onlyLoopback() != want {
			t.Errorf("listen_addresses %q: %v, only loopback is %v", listen, p.listening(), p.onlyLoopback())
		}
	}
	if (postmaster{pid: 105, ready: true}).listening() || (postmaster{pid: 1, listen: "*"}).listening() {
		t.Error("a server that is starting was taken for one that is up")
	}
}

func TestServerPort(t *testing.T) {
	for want, b := range map[int]box{
		5432: inspected("postgres", "docker-entrypoint.sh postgres", nil, nil),
		5433: inspected("postgres", "docker-entrypoint.sh postgres -p 5433", nil, []string{"5432/tcp"}),
		5434: inspected("postgres", "docker-entrypoint.sh postgres -c port=5434", []string{"PGPORT=1"}, nil),
		5435: inspected("postgres", "docker-entrypoint.sh postgres", []string{"PGPORT=5435"}, nil),
		5436: inspected("bitnami/postgresql", "run.sh", []string{"POSTGRESQL_PORT_NUMBER=5436"}, nil),
		5437: inspected("own", "x", nil, []string{"5437/tcp"}),
	} {
		if got := b.serverPort(); got != want {
			t.Errorf("port %d, want %d", got, want)
		}
	}
}

func TestParseDF(t *testing.T) {
	out := "Filesystem     1024-blocks      Used Available Capacity Mounted on\n/dev/sda1          1000000    400000    600000      40% /var/lib/my data\n"
	if free, err := parseDF(out); err != nil || free != 600000<<10 {
		t.Errorf("%d, %v", free, err)
	}
	for _, bad := range []string{"", "x", "a\nb\nc", "h\n1 2 3 x 5 6\n"} {
		if _, err := parseDF(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestDemux(t *testing.T) {
	frames := "\x01\x00\x00\x00\x00\x00\x00\x03abc" + "\x02\x00\x00\x00\x00\x00\x00\x01E" + "\x01\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x02de"
	var stdout, stderr strings.Builder
	if err := demux(&stdout, &stderr, strings.NewReader(frames)); err != nil || stdout.String() != "abcde" || stderr.String() != "E" {
		t.Errorf("%q, %q, %v", stdout.String(), stderr.String(), err)
	}
	for cut := 1; cut < 11; cut++ { // anywhere within the first frame
		if err := demux(io.Discard, io.Discard, strings.NewReader(frames[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	if err := demux(io.Discard, io.Discard, strings.NewReader("plain text")); err == nil {
		t.Error("text without frames was read")
	}
	if err := demux(&head{max: 2}, io.Discard, strings.NewReader(frames)); !errors.Is(err, errTooLong) {
		t.Errorf("too much for the writer: %v", err)
	}
}

func TestTail(t *testing.T) {
	tail := newTail(4)
	for _, s := range []string{"ab", "cde", "", "f"} {
		if n, err := tail.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	if tail.String() != "cdef" {
		t.Errorf("%q", tail)
	}
}
