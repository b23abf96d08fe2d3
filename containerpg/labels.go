package containerpg

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// Labels by which a container asks for backups.
const (
	labelBackup    = "pgberth.backup"
	labelDatabases = "pgberth.databases"
	labelExclude   = "pgberth.exclude"
	labelKeep      = "pgberth.keep-"
)

// A Labelled is a container whose labels ask for backups, whether it runs or not.
type Labelled struct {
	ID, Name  string
	Databases []string // names or patterns; none: all
	Exclude   []string
	// Keep is how many backups are kept, by "last", "hourly", "daily", "weekly",
	// "monthly" and "yearly". It is empty where the labels leave it open.
	Keep map[string]int
}

var keeps = []string{"last", "hourly", "daily", "weekly", "monthly", "yearly"}

// Labelled answers the containers with the label pgberth.backup=true, by name, of
// one Compose project or, without one, of all. Those that are stopped are among
// them: somebody counts on their backups. A label that cannot be read is an error
// for the same reason: what would be left out, or removed too early, is a backup.
func (e *Engine) Labelled(ctx context.Context, project string) ([]Labelled, error) {
	wanted := filters.NewArgs(filters.Arg("label", labelBackup))
	if project != "" {
		wanted.Add("label", labelProject+"="+project)
	}
	list, err := e.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: wanted})
	if err != nil {
		return nil, fmt.Errorf("list containers with the label %s: %w", labelBackup, err)
	}
	var found []Labelled
	for _, c := range list {
		if strings.EqualFold(c.Labels[labelOneoff], "true") {
			continue // "compose run" gives its containers the labels of the service
		}
		name := c.ID[:12]
		if len(c.Names) > 0 {
			name = strings.TrimPrefix(c.Names[0], "/")
		}
		l, wanted, err := parseLabels(c.Labels)
		if err != nil {
			return nil, fmt.Errorf("container %q: %w", name, err)
		}
		if l.ID, l.Name = c.ID, name; wanted {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b Labelled) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// parseLabels reads what the labels of one container ask for.
func parseLabels(labels map[string]string) (l Labelled, wanted bool, err error) {
	if wanted, err = strconv.ParseBool(labels[labelBackup]); err != nil {
		return l, false, fmt.Errorf("label %s: want true or false", labelBackup)
	}
	l.Databases, l.Exclude, l.Keep = words(labels[labelDatabases]), words(labels[labelExclude]), map[string]int{}
	for label, value := range labels {
		period, isKeep := strings.CutPrefix(label, labelKeep)
		if !isKeep {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || !slices.Contains(keeps, period) {
			return l, false, fmt.Errorf("label %s: want a number, and one of %s{%s}", label, labelKeep, strings.Join(keeps, ","))
		}
		l.Keep[period] = n
	}
	return l, wanted, nil
}

// words splits a list at its commas.
func words(s string) []string {
	var list []string
	for word := range strings.SplitSeq(s, ",") {
		if word = strings.TrimSpace(word); word != "" {
			list = append(list, word)
		}
	}
	return list
}
