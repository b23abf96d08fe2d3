// Package config reads the file that says what pgberth nightly backs up, where to, what it keeps and whom it tells.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/repository"
)

// A Config is a file that was found to be without faults.
type Config struct {
	Path string
	Ping Ping // of the run as a whole
	Jobs []*Job
}

// A Job is the backup of one server. What is said of it at the top of the file holds for every job that does not say otherwise.
type Job struct {
	Name string
	// Undiscovered is why the containers that the job stands for are not known, or what its container asks for. The job fails.
	Undiscovered error
	section      string // of the file, if it is not called as the job

	From          Secret   `yaml:"from"`     // an endpoint; its database is the one to ask for the others
	Discover      string   `yaml:"discover"` // labels: a job for each container that asks for it takes the place of this one
	Password      Secret   `yaml:"password"`
	PassFile      string   `yaml:"password_file"`
	Project       string   `yaml:"project"` // the Compose project of a container
	DockerHost    string   `yaml:"docker_host"`
	DockerContext string   `yaml:"docker_context"`
	Databases     []string `yaml:"databases"`
	Exclude       []string `yaml:"exclude"`
	Globals       Globals  `yaml:"globals"`

	Repository Repository  `yaml:"repository"`
	EncryptTo  []Recipient `yaml:"encrypt_to"`
	Tags       []string    `yaml:"tags"`
	Compress   Codec       `yaml:"compress"`
	Wire       Wire        `yaml:"wire_compress"`
	Streams    int         `yaml:"streams"`
	PgDump     string      `yaml:"pg_dump"`
	ReadBack   ReadBack    `yaml:"read_back"`

	Keep     *Keep    `yaml:"keep"` // nil keeps everything
	TimeZone TimeZone `yaml:"time_zone"`

	Hooks   Hooks  `yaml:"hooks"`
	Ping    Ping   `yaml:"ping"`
	Metrics string `yaml:"metrics"`
	Limits  Limits `yaml:"limits"`
	Check   Check  `yaml:"check"`
	Drill   Drill  `yaml:"drill"`
}

// A Repository is where backups go: a folder, or s3://BUCKET/PREFIX. Its credentials come from the usual AWS environment and files.
type Repository struct {
	URL       string    `yaml:"url,short"`
	Endpoint  string    `yaml:"endpoint"`
	Region    string    `yaml:"region"`
	PathStyle PathStyle `yaml:"path_style"`
}

// S3 says how a bucket is reached.
func (r Repository) S3() repository.S3Options {
	return repository.S3Options{Endpoint: r.Endpoint, Region: r.Region, PathStyle: repository.PathStyle(r.PathStyle)}
}

// Keep says which backups forget leaves.
type Keep struct {
	Last    Count    `yaml:"last"`
	Hourly  Count    `yaml:"hourly"`
	Daily   Count    `yaml:"daily"`
	Weekly  Count    `yaml:"weekly"`
	Monthly Count    `yaml:"monthly"`
	Yearly  Count    `yaml:"yearly"`
	Within  Age      `yaml:"within"`
	Tags    []string `yaml:"tags"`
}

// Recipients are those a job encrypts to.
func (j *Job) Recipients() []archive.Recipient {
	var list []archive.Recipient
	for _, r := range j.EncryptTo {
		list = append(list, r.Recipient)
	}
	return list
}

// Policy is what a job keeps of each database. It is empty, and keeps everything, if the job says nothing.
func (j *Job) Policy() repository.Policy {
	k := j.Keep
	if k == nil {
		return repository.Policy{}
	}
	return repository.Policy{Last: int(k.Last), Hourly: int(k.Hourly), Daily: int(k.Daily), Weekly: int(k.Weekly), Monthly: int(k.Monthly),
		Yearly: int(k.Yearly), Within: k.Within.Age, Tags: k.Tags, Zone: j.TimeZone.Get()}
}

// Hooks are commands before and after a job. They get what they may want to know in variables called PGBERTH_HOOK_*.
type Hooks struct {
	Before  Commands `yaml:"before"`
	After   Commands `yaml:"after"`
	Timeout Duration `yaml:"timeout"` // of each
}

// A Ping is a check of a monitor of the healthchecks.io kind.
type Ping struct {
	URL        Secret `yaml:"url,short"`
	ExitStatus bool   `yaml:"exit_status"` // end with URL/STATUS
}

// Limits end a job, or make a backup suspect.
type Limits struct {
	Overall  Duration `yaml:"overall"`
	Stall    Duration `yaml:"stall"`
	LockWait Duration `yaml:"lock_wait"`
	MaxFall  Share    `yaml:"max_fall"` // of rows and bytes since the backup before
}

// Check is what pgberth check expects of the newest good backup.
type Check struct {
	MaxAge  Duration `yaml:"max_age"`
	MinSize Size     `yaml:"min_size"`
}

// A Drill restores a backup into a throwaway server.
type Drill struct {
	When     DrillTime `yaml:"when,short"`
	Identity string    `yaml:"identity_file"` // the secret key, of encrypted backups
	Server   string    `yaml:"server"`        // docker or local
	Image    string    `yaml:"image"`
	Checks   string    `yaml:"checks"` // a file of SQL checks
	SmokeAs  string    `yaml:"smoke_as"`
	RTO      Duration  `yaml:"rto"`
	RPO      Duration  `yaml:"rpo"`
}

// What holds where a file says nothing.
const (
	DefaultHookTimeout = 10 * time.Minute
	DefaultOverall     = 12 * time.Hour
	DefaultStall       = 30 * time.Minute
	DefaultMaxFall     = 0.5
	DefaultMaxAge      = 26 * time.Hour
)

func defaults() Job {
	return Job{
		Globals: GlobalsAll,
		Wire:    Wire{containerpg.Compression{Mode: "auto"}},
		Hooks:   Hooks{Timeout: Duration(DefaultHookTimeout)},
		Limits:  Limits{Overall: Duration(DefaultOverall), Stall: Duration(DefaultStall), MaxFall: DefaultMaxFall},
		Check:   Check{MaxAge: Duration(DefaultMaxAge)},
	}
}

// An Error lists everything that is wrong in a file.
type Error struct {
	Path     string
	Problems []Problem
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.Path
		if p.Line > 0 {
			lines[i] = fmt.Sprintf("%s:%d", e.Path, p.Line)
		}
		lines[i] += ": " + p.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads a file. env looks a variable up, as os.LookupEnv does; find finds the containers of a job that is to discover
// them. An error about what is in the file is an [*Error].
func Load(path string, env func(string) (string, bool), find Finder) (*Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	return Read(f, path, env, find)
}

// Read is Load for a file that is open. Paths in it are relative to its folder.
func Read(r io.Reader, path string, env func(string) (string, bool), find Finder) (*Config, error) {
	var document, second yaml.Node
	in := yaml.NewDecoder(r)
	if err := in.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{path, []Problem{syntax(err)}}
	}
	if len(document.Content) == 0 {
		return nil, &Error{path, []Problem{{Text: "the file is empty; pgberth nightly --print-config prints an example"}}}
	}
	if err := in.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, &Error{path, []Problem{{Line: second.Line, Text: "a second document; there can be one"}}}
	}
	l := &loader{decoder: decoder{expander: expander{env}}, config: &Config{Path: path}, nodes: map[string]*yaml.Node{}}
	l.load(document.Content[0])
	l.discover(find)
	l.validate()
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, &Error{path, l.problems}
	}
	return l.config, nil
}

// A loader turns a document into a Config.
type loader struct {
	decoder
	config *Config
	nodes  map[string]*yaml.Node // where keys are, such as jobs.shop.from
}

// load reads the defaults first, wherever they stand, then the jobs.
func (l *loader) load(root *yaml.Node) {
	base := defaults()
	var top struct {
		Ping Ping `yaml:"ping"`
	}
	var jobs *yaml.Node
	shared := keysOf(reflect.TypeFor[Job](), "from", "discover", "password", "password_file", "ping")
	l.mapping(root, "", append([]string{"jobs", "ping"}, shared...), func(name string, value *yaml.Node) {
		switch name {
		case "jobs":
			jobs = value
		case "ping":
			l.nodes[name] = value
			l.decode(value, name, reflect.ValueOf(&top).Elem().Field(0))
		default:
			l.key(value, name, name, &base)
		}
	})
	l.config.Ping = top.Ping
	if jobs == nil {
		l.problem(root, "", "there are no jobs; name at least one below the key jobs")
		return
	}
	l.pairs(jobs, "jobs", func(name, value *yaml.Node) {
		job := base
		job.Name = name.Value
		at := join("jobs", job.Name)
		l.mapping(value, at, keysOf(reflect.TypeFor[Job]()), func(key string, value *yaml.Node) { l.key(value, join(at, key), key, &job) })
		l.nodes[at] = name
		l.config.Jobs = append(l.config.Jobs, &job)
	})
	if len(l.config.Jobs) == 0 && len(l.problems) == 0 {
		l.problem(jobs, "jobs", "there are no jobs; name at least one")
	}
}

// key decodes one key of a job. A section that is given takes the place of the default whole, but for what it leaves to the program.
func (l *loader) key(value *yaml.Node, path, key string, job *Job) {
	l.nodes[path] = value
	fresh := defaults()
	field := fieldOf(job, key)
	field.Set(fieldOf(&fresh, key))
	l.decode(value, path, field)
}

func fieldOf(job *Job, key string) reflect.Value {
	for field, value := range reflect.ValueOf(job).Elem().Fields() {
		if field.Tag.Get("yaml") == key {
			return value
		}
	}
	panic("config: no key " + key)
}

// keysOf are the keys of a struct, less some.
func keysOf(t reflect.Type, but ...string) []string {
	var keys []string
	for field := range t.Fields() {
		if key, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); key != "" && !slices.Contains(but, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Choose returns the jobs of some names, or all if there are none, in the order of the file.
func (c *Config) Choose(names []string) ([]*Job, error) {
	var known []string
	for _, job := range c.Jobs {
		known = append(known, job.Name)
		if job.section != "" && !slices.Contains(known, job.section) {
			known = append(known, job.section)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s has no such job; its jobs are %s", c.Path, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		return c.Jobs, nil
	}
	return slices.DeleteFunc(slices.Clone(c.Jobs), func(j *Job) bool { return !slices.Contains(names, j.Name) && !slices.Contains(names, j.section) }), nil
}
