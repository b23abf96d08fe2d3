package containerpg

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// Labels that docker-compose sets.
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelOneoff  = "com.docker.compose.oneoff"
)

// A box is a container as the engine describes it.
type box struct {
	id      string
	name    string
	image   string
	labels  map[string]string
	command []string
	env     map[string]string
	exposed []int // TCP ports
	info    container.InspectResponse
}

func newBox(info container.InspectResponse) box {
	b := box{
		id:      info.ID,
		name:    strings.TrimPrefix(info.Name, "/"),
		command: append([]string{info.Path}, info.Args...),
		env:     map[string]string{},
		info:    info,
	}
	if info.Config == nil {
		return b
	}
	b.image = info.Config.Image
	b.labels = info.Config.Labels
	for _, pair := range info.Config.Env {
		if name, value, ok := strings.Cut(pair, "="); ok {
			b.env[name] = value
		}
	}
	for port := range info.Config.ExposedPorts {
		if port.Proto() == "tcp" {
			b.exposed = append(b.exposed, port.Int())
		}
	}
	slices.Sort(b.exposed)
	return b
}

func (b box) running() bool {
	s := b.info.State
	return s != nil && s.Running && !s.Paused && !s.Restarting
}

// startedAt is when it was last started, in the engine's words.
func (b box) startedAt() string {
	if b.info.State == nil {
		return ""
	}
	return b.info.State.StartedAt
}

// unhealthy says that a container's own health check fails, and what it said the last time.
func (b box) unhealthy() (said string, yes bool) {
	if b.info.State == nil || b.info.State.Health == nil || b.info.State.Health.Status != container.Unhealthy {
		return "", false
	}
	log := b.info.State.Health.Log
	if len(log) == 0 || log[len(log)-1] == nil {
		return "", true
	}
	line, _, _ := strings.Cut(strings.TrimSpace(log[len(log)-1].Output), "\n")
	if line == "" {
		return "", true
	}
	return ": " + line[:min(len(line), 200)], true
}

// commandLine is what the container was asked to run. Of an image whose
// entrypoint prepares and then runs its arguments, these are.
func (b box) commandLine() string {
	words := b.command
	if len(words) > 1 && strings.Contains(words[0], "entrypoint") {
		words = words[1:]
	}
	return strings.Join(words, " ")
}

func (b box) stopped() *StoppedError {
	e := &StoppedError{Name: b.name, State: "not running"}
	if s := b.info.State; s != nil {
		e.State, e.ExitCode, e.OOMKilled = s.Status, s.ExitCode, s.OOMKilled
	}
	return e
}

// server is what is known of a server without asking it.
func (b box) server() *Server {
	s := &Server{
		ID: b.id, Name: b.name, Image: b.image,
		Project: b.labels[labelProject], Service: b.labels[labelService],
		Published: b.published(), Databases: []Database{}, startedAt: b.startedAt(),
	}
	if host := b.info.HostConfig; host != nil {
		s.ShmSize, s.limits = host.ShmSize, host.Resources
		s.volatile = slices.Sorted(maps.Keys(host.Tmpfs))
	}
	for _, m := range b.info.Mounts {
		if m.Type == mount.TypeTmpfs {
			s.volatile = append(s.volatile, m.Destination)
		}
	}
	return s
}

func (b box) published() []Published {
	list := []Published{}
	if b.info.NetworkSettings == nil {
		return list
	}
	for port, bindings := range b.info.NetworkSettings.Ports {
		for _, binding := range bindings {
			if n, err := strconv.Atoi(binding.HostPort); err == nil && port.Proto() == "tcp" {
				list = append(list, Published{HostIP: binding.HostIP, HostPort: n, ContainerPort: port.Int()})
			}
		}
	}
	slices.SortFunc(list, func(a, b Published) int {
		return cmp.Or(cmp.Compare(a.ContainerPort, b.ContainerPort), cmp.Compare(a.HostPort, b.HostPort), cmp.Compare(a.HostIP, b.HostIP))
	})
	return list
}

// images are the repositories, without registry and owner, of images that run a
// Postgres server.
var images = []string{
	"postgres", "postgresql", "postgis", "pgvector", "timescaledb", "timescaledb-ha", "citus", "paradedb", "pgroonga",
	"vchord-postgres", "age", "spilo", "edb-postgres-advanced", "postgresql-repmgr",
}

// score counts how many of three signs of a Postgres server the container's
// configuration shows. Two are enough to call it one: a port alone may be a
// proxy's, a variable alone a client's.
func (b box) score() int {
	n := 0
	if slices.Contains(b.exposed, 5432) {
		n++
	}
	for name := range b.env {
		if name == "PG_MAJOR" || name == "PGDATA" || strings.HasPrefix(name, "POSTGRES_") || strings.HasPrefix(name, "POSTGRESQL_") || name == "PGUSER_SUPERUSER" {
			n++
			break
		}
	}
	repository := path.Base(b.image)
	repository, _, _ = strings.Cut(repository, "@")
	repository, _, _ = strings.Cut(repository, ":")
	if slices.Contains(images, repository) {
		n++
	}
	return n
}

// activity is what a container's processes tell.
type activity int

const (
	elsewhere activity = iota // no sign of Postgres
	undecided                 // the engine or an entrypoint prepares what may be anything
	starting                  // an entrypoint or initdb of a server is at work
	serving                   // a postmaster is there
)

// activity judges a container by the command lines of its processes. One that was
// told to run a server and does not yet, such as right after its start, is starting.
func (b box) activity(commands []string) activity {
	now := activityOf(commands)
	if now >= starting {
		return now
	}
	told := b.commandLine()
	// The entrypoints of Postgres images take bare options for those of the server.
	options := strings.HasPrefix(told, "-") && b.score() >= 2
	if options || activityOf([]string{told}) >= starting {
		return starting
	}
	return now
}

// activityOf judges command lines one by one. That of an init, which stays, counts
// only where there is nothing else.
func activityOf(commands []string) activity {
	found := elsewhere
	for _, command := range commands {
		words := strings.Fields(command)
		if len(words) == 0 || len(commands) > 1 && isInit(words[0]) {
			continue
		}
		switch base := path.Base(words[0]); {
		case base == "postgres" || base == "postmaster" || strings.HasPrefix(command, "postgres:"):
			return serving
		case isEngine(command):
			found = max(found, undecided)
		case strings.Contains(command, "entrypoint"):
			found = max(found, ofEntrypoint(words))
		case strings.Contains(command, "postgres") || base == "initdb" || base == "pg_ctl" || base == "patroni":
			found = starting
		}
	}
	return found
}

// ofEntrypoint judges an entrypoint by what it was given to run in the end: of one
// without arguments that is its own business, and options are a server's.
func ofEntrypoint(words []string) activity {
	i := slices.IndexFunc(words, func(word string) bool { return strings.Contains(word, "entrypoint") })
	given := strings.Join(words[i+1:], " ")
	if given == "" || strings.HasPrefix(given, "-") || strings.Contains(given, "postgres") || strings.Contains(given, "patroni") {
		return starting
	}
	return undecided
}

// isEngine says that a process is still the engine's own, which has not begun with
// the container's command.
func isEngine(command string) bool {
	return strings.HasSuffix(command, "runc init") || strings.HasPrefix(command, "runc:[") || command == "/proc/self/exe init"
}

// isInit recognizes the programs that run another and adopt what it leaves.
func isInit(program string) bool {
	return slices.Contains([]string{"docker-init", "tini", "catatonit", "dumb-init"}, path.Base(program))
}

// entrypointAtWork says whether an entrypoint is still at work among a container's
// processes. An init that was given its command line is not one.
func entrypointAtWork(commands []string) bool {
	return slices.ContainsFunc(commands, func(command string) bool {
		words := strings.Fields(command)
		return len(words) > 0 && !isInit(words[0]) && strings.Contains(command, "entrypoint")
	})
}

// matching answers the containers that a selector names, the best kind of match
// only: a container's name, else a Compose service, else a prefix of an ID.
func matching(list []container.Summary, sel Selector) []container.Summary {
	inProject := func(s container.Summary) bool { return sel.Project == "" || s.Labels[labelProject] == sel.Project }
	pick := func(keep func(container.Summary) bool) []container.Summary {
		var picked []container.Summary
		for _, s := range list {
			if inProject(s) && s.Labels[labelRun] == "" && keep(s) {
				picked = append(picked, s)
			}
		}
		return picked
	}
	if sel.Port != 0 {
		return pick(func(s container.Summary) bool {
			return slices.ContainsFunc(s.Ports, func(p container.Port) bool { return int(p.PublicPort) == sel.Port && p.Type == "tcp" })
		})
	}
	if sel.Name == "" {
		return pick(func(s container.Summary) bool { return s.State == container.StateRunning })
	}
	named := pick(func(s container.Summary) bool { return slices.Contains(s.Names, "/"+strings.TrimPrefix(sel.Name, "/")) })
	if len(named) > 0 {
		return named
	}
	service := pick(func(s container.Summary) bool {
		return s.Labels[labelService] == sel.Name && !strings.EqualFold(s.Labels[labelOneoff], "true")
	})
	if len(service) > 0 {
		return preferRunning(service)
	}
	return preferRunning(pick(func(s container.Summary) bool {
		return len(sel.Name) >= minIDPrefix && strings.HasPrefix(s.ID, strings.ToLower(sel.Name))
	}))
}

// minIDPrefix keeps a mistyped short name from being taken for an ID.
const minIDPrefix = 3

// preferRunning leaves out what does not run, if anything does.
func preferRunning(list []container.Summary) []container.Summary {
	var running []container.Summary
	for _, s := range list {
		if s.State == container.StateRunning {
			running = append(running, s)
		}
	}
	if len(running) > 0 {
		return running
	}
	return list
}
