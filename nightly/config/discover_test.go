package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiscover(t *testing.T) {
	find := func(found []Found, err error) Finder { return func(*Job) ([]Found, error) { return found, err } }
	read := func(text string, find Finder) (*Config, error) {
		return Read(strings.NewReader(text), "/etc/pgberth.yaml", environment(), find)
	}
	const text = "repository: /b/{job}\njobs:\n  host:\n    from: postgres:///shop\n  containers:\n    discover: labels\n    databases: [a]\n    keep: {daily: 7}\n"
	c, err := read(text, find([]Found{{Name: "shop-db-1"}, {Name: "blog-db-1", Databases: []string{"blog"}, Exclude: []string{"x_*"}, Keep: map[string]int{"last": 2, "weekly": 4}}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	type job struct {
		Name, From, Repository string
		Databases, Exclude     []string
		Keep                   *Keep
	}
	var got []job
	for _, j := range c.Jobs {
		got = append(got, job{j.Name, j.From.Reveal(), j.Repository.URL, j.Databases, j.Exclude, j.Keep})
	}
	want := []job{
		{"host", "postgres:///shop", "/b/host", nil, nil, nil},
		{"shop-db-1", "docker://shop-db-1", "/b/shop-db-1", []string{"a"}, nil, &Keep{Daily: 7}},
		{"blog-db-1", "docker://blog-db-1", "/b/blog-db-1", []string{"blog"}, []string{"x_*"}, &Keep{Last: 2, Weekly: 4}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, n := range map[string]int{"containers": 2, "blog-db-1": 1, "host": 1} {
		if jobs, err := c.Choose([]string{name}); err != nil || len(jobs) != n {
			t.Errorf("job %s: %d jobs, %v", name, len(jobs), err)
		}
	}

	// That there are none, or nobody knows, is that job's failure and not the others'.
	for _, f := range []Finder{nil, find(nil, nil), find(nil, errors.New("no engine answers"))} {
		c, err := read(text, f)
		if err != nil || len(c.Jobs) != 2 || c.Jobs[0].Undiscovered != nil || c.Jobs[1].Undiscovered == nil {
			t.Errorf("%+v, %v", c, err)
		}
	}
	// So is it with one that asks for what cannot be had, or is called as another job.
	c, err = read(text, find([]Found{{Name: "host"}, {Name: "odd", Err: errors.New("a label")}, {Name: "shop-db-1"}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, j := range c.Jobs {
		states[j.Name] = fmt.Sprint(j.Undiscovered)
	}
	double := `container "host" cannot be backed up: job host is called so too, and their backups would be taken for those of one; rename the job or the container`
	if diff := cmp.Diff(map[string]string{"host": "<nil>", "odd": "a label", "shop-db-1": "<nil>", "containers": double}, states); diff != "" {
		t.Error(diff)
	}
	two := find([]Found{{Name: "a"}, {Name: "b"}}, nil)
	for want, text := range map[string]string{
		"5: jobs.x.discover: want labels":                                    "jobs:\n\n  x:\n    repository: /b/{job}\n    discover: tags\n",
		"3: jobs.x.from: discover says where to look":                        "jobs:\n  x:\n    from: docker://a\n    repository: /b/{job}\n    discover: labels\n",
		"job a has the same, and their databases of one name would be taken": "jobs:\n  x:\n    repository: /b\n    discover: labels\n",
	} {
		if _, err := read(text, two); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
}
