package config

import (
	"errors"
	"fmt"
	"reflect"
)

// Found is a container that asks for backups.
type Found struct {
	Name               string
	Databases, Exclude []string       // none: what the job says
	Keep               map[string]int // by the keys of keep; empty: what the job says
	Err                error          // why it is not known what it asks for; it names the container
}

// A Finder finds the containers that a job with discover stands for.
type Finder func(job *Job) ([]Found, error)

// discover puts a job for each container that is found in the place of the one that stands for them. If none can be found, or one of
// them cannot be a job, the run goes on with the others, and that one fails.
func (l *loader) discover(find Finder) {
	if len(l.problems) > 0 {
		return
	}
	names := map[string]bool{} // that are taken
	for _, job := range l.config.Jobs {
		names[job.Name] = job.Discover == ""
	}
	var jobs []*Job
	for _, job := range l.config.Jobs {
		if job.Discover != discoverLabels || job.From != "" { // which is an error, and told as one
			jobs = append(jobs, job)
			continue
		}
		var found []Found
		err := errors.New("containers are not looked for here")
		if find != nil {
			found, err = find(job)
		}
		if err == nil && len(found) == 0 {
			err = errors.New("no container has the label pgberth.backup=true")
		}
		if err != nil {
			job.Undiscovered = fmt.Errorf("discover containers: %w", err)
			jobs = append(jobs, job)
			continue
		}
		var doubles []error
		for _, f := range found {
			if names[f.Name] {
				doubles = append(doubles, fmt.Errorf("container %q cannot be backed up: job %s is called so too, and their backups would be taken for those of one; rename the job or the container", f.Name, f.Name))
				continue
			}
			names[f.Name] = true
			jobs = append(jobs, job.of(f))
		}
		if len(doubles) > 0 {
			job.Undiscovered = errors.Join(doubles...)
			jobs = append(jobs, job)
		}
	}
	l.config.Jobs = jobs
}

const discoverLabels = "labels"

// of is the job of one of the containers it stands for.
func (j *Job) of(f Found) *Job {
	own := *j
	own.Name, own.section, own.From, own.Undiscovered = f.Name, j.Name, Secret("docker://"+f.Name), f.Err
	if len(f.Databases) > 0 {
		own.Databases = f.Databases
	}
	if len(f.Exclude) > 0 {
		own.Exclude = f.Exclude
	}
	if len(f.Keep) > 0 {
		own.Keep = &Keep{}
		for field, value := range reflect.ValueOf(own.Keep).Elem().Fields() {
			if n, ok := f.Keep[field.Tag.Get("yaml")]; ok {
				value.Set(reflect.ValueOf(Count(n)))
			}
		}
	}
	return &own
}

// at is where the job is in the file.
func (j *Job) at() string {
	if j.section != "" {
		return j.section
	}
	return j.Name
}
