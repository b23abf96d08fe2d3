package config

import (
	"cmp"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/ping"
)

// syntax is a problem of the YAML itself. Its text is kept but where it would quote a value.
func syntax(err error) Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(text, "unknown anchor") {
		return Problem{Text: "a value begins with *, which refers to an anchor that is not there; quote the value"}
	}
	if rest, found := strings.CutPrefix(text, "line "); found {
		number, rest, _ := strings.Cut(rest, ": ")
		if line, err := strconv.Atoi(number); err == nil {
			return Problem{Line: line, Text: "not YAML: " + rest}
		}
	}
	return Problem{Text: "not YAML: " + text}
}

var jobName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// validate finds what is wrong with jobs whose keys are all right in themselves.
func (l *loader) validate() {
	seen := uses{}
	if l.config.Ping.URL != "" {
		if err := ping.Validate(l.config.Ping.URL.Reveal()); err != nil {
			l.problem(l.nodes["ping"], "ping", "%v", err)
		}
		seen.add("ping", l.config.Ping.URL.Reveal(), "the whole run")
	}
	for _, job := range l.config.Jobs {
		seen := seen
		if job.Undiscovered != nil {
			seen = uses{} // it will use nothing
		}
		l.validateJob(job, func(key, format string, args ...any) {
			l.problem(l.node(job, key), "jobs."+job.at()+"."+key, format, args...)
		}, seen)
	}
}

// node is where a job's key is: in the job, or at the top of the file, or nowhere.
func (l *loader) node(job *Job, key string) *yaml.Node {
	key, _, _ = strings.Cut(key, ".")
	at := "jobs." + job.at()
	return cmp.Or(l.nodes[at+"."+key], l.nodes[key], l.nodes[at])
}

// uses are what no two jobs may share.
type uses map[[2]string]string

// add returns who uses a value of a key already.
func (u uses) add(key, value, who string) (other string) {
	other = u[[2]string{key, value}]
	u[[2]string{key, value}] = who
	return other
}

func (l *loader) validateJob(job *Job, wrong func(key, format string, args ...any), seen uses) {
	if !jobName.MatchString(job.Name) {
		l.problem(l.nodes["jobs."+job.at()], "jobs", "the name of a job is of letters, digits, dots, dashes and underscores")
		return
	}
	l.validateSource(job, wrong)
	l.validateRepository(job, wrong, seen)
	if err := archive.CheckRecipients(job.Recipients()); err != nil {
		wrong("encrypt_to", "%v", err)
	}
	if job.Ping.URL != "" {
		if err := ping.Validate(job.Ping.URL.Reveal()); err != nil {
			wrong("ping", "%v", err)
		}
		if other := seen.add("ping", job.Ping.URL.Reveal(), "job "+job.Name); other != "" {
			wrong("ping", "%s has the same: the success of one would hide the failure of the other; make a check for each, or one at the top of the file for the whole run", other)
		}
	}
	if job.Metrics != "" {
		job.Metrics = l.place(job, "metrics", job.Metrics, wrong)
		if filepath.Ext(job.Metrics) != ".prom" {
			wrong("metrics", "the textfile collector reads files that end with .prom; name one, such as pgberth-{job}.prom")
		}
		if other := seen.add("metrics", job.Metrics, "job "+job.Name); other != "" {
			wrong("metrics", "%s writes the same file; put {job} into its name", other)
		}
	}
	if job.Limits.Overall == 0 {
		wrong("limits.overall", "0 would end the job at once; give a duration, or leave it out for %s", DefaultOverall)
	}
	if job.Hooks.Timeout == 0 {
		wrong("hooks.timeout", "0 would end a hook at once; give a duration, or leave it out for %s", DefaultHookTimeout)
	}
	l.validateDrill(job, wrong)
	for _, tag := range job.Tags {
		if tag == "" {
			wrong("tags", "a tag is empty")
		}
	}
}

func (l *loader) validateDrill(job *Job, wrong func(key, format string, args ...any)) {
	d := &job.Drill
	for _, file := range []*string{&d.Identity, &d.Checks} {
		if *file != "" {
			*file = l.place(job, "drill", *file, wrong)
		}
	}
	switch {
	case d.Server != "" && d.Server != "docker" && d.Server != "local":
		wrong("drill.server", "want docker or local")
	case d.Server == "local" && d.Image != "":
		wrong("drill.image", "is of a container, and server: local makes none; leave one of them out")
	case d.When != DrillNever && len(job.EncryptTo) > 0 && d.Identity == "":
		wrong("drill", "backups are encrypted, so a drill needs identity_file, the secret key; on a host that must not have it, run pgberth drill elsewhere")
	}
}

func (l *loader) validateSource(job *Job, wrong func(key, format string, args ...any)) {
	switch {
	case job.Discover != "" && job.Discover != discoverLabels:
		wrong("discover", "want labels")
	case job.Discover != "" && job.section == "" && job.From != "":
		wrong("from", "discover says where to look; give one of them")
	case job.Discover == "" && job.From == "":
		wrong("from", "is missing; name the server, as in docker://shop-db or postgres://backup@db.example.org/postgres, or give discover: labels")
	case job.Password != "" && job.PassFile != "":
		wrong("password", "password_file is given too; give one of them")
	}
	if job.DockerHost != "" && job.DockerContext != "" {
		wrong("docker_host", "docker_context names an engine too; give one of them")
	}
	if job.PassFile != "" {
		job.PassFile = l.place(job, "password_file", job.PassFile, wrong)
		secret, err := readSecret(job.PassFile)
		if err != nil {
			wrong("password_file", "%v", err)
		}
		job.Password = Secret(secret)
	}
	checkPatterns := func(key string, patterns []string) {
		for _, pattern := range patterns {
			if pattern == "" {
				wrong(key, "a pattern is empty; * and ? are wildcards")
			}
		}
	}
	checkPatterns("databases", job.Databases)
	checkPatterns("exclude", job.Exclude)
}

func (l *loader) validateRepository(job *Job, wrong func(key, format string, args ...any), seen uses) {
	r := &job.Repository
	scheme, _, isURL := strings.Cut(r.URL, "://")
	switch {
	case r.URL == "":
		wrong("repository", "is missing; name a folder, or s3://BUCKET/PREFIX")
		return
	case isURL && scheme != "s3", !isURL && strings.HasPrefix(r.URL, "s3:"):
		wrong("repository", "want the path of a folder, or s3://BUCKET/PREFIX")
		return
	case isURL:
		r.URL = strings.ReplaceAll(strings.TrimRight(r.URL, "/"), "{job}", job.Name)
	default:
		if r.Endpoint != "" || r.Region != "" || r.PathStyle != "" {
			wrong("repository", "endpoint, region and path_style are for s3://BUCKET/PREFIX, and this is a folder")
		}
		r.URL = l.place(job, "repository", r.URL, wrong)
	}
	if other := seen.add("repository", r.Endpoint+" "+r.URL, "job "+job.Name); other != "" {
		wrong("repository", "%s has the same, and their databases of one name would be taken for one; put {job} into it", other)
	}
}

// place is a path with the job's name put in, relative to the file's folder.
func (l *loader) place(job *Job, key, name string, wrong func(key, format string, args ...any)) string {
	if strings.HasPrefix(name, "~") {
		wrong(key, "~ means nothing here; write the path in full, or as ${HOME}/...")
	}
	name = strings.ReplaceAll(name, "{job}", job.Name)
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(l.config.Path), name)
	}
	return filepath.Clean(name)
}
