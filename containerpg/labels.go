package containerpg

import (
	"context"
	"fmt"
	"maps"
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
	labelAny       = "pgberth."
)

// A Labelled is a container whose labels ask for backups, whether it runs or not.
type Labelled struct {
	ID, Name  string
	Databases []string // names or patterns; none: all
	Exclude   []string
	// Keep is how many backups are kept, by "last", "hourly", "daily", "weekly",
	// "monthly" and "yearly". It is empty where the labels leave it open.
	Keep map[string]int
	// Err says which label cannot be read. Name is all that is known then.
	Err error
}

var keeps = []string{"last", "hourly", "daily", "weekly", "monthly", "yearly"}

// Labelled answers the containers with the label pgberth.backup=true, by name, of
// one Compose project or, without one, of all. Those that are stopped are among
// them: somebody counts on their backups. One with a label that cannot be read is
// there with an error, for the same reason: what would be left out, or removed too
// early, is a backup.
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
		l, wanted, err := parseLabels(e.ownLabels(ctx, c))
		if err != nil {
			l, wanted = Labelled{Err: fmt.Errorf("container %q: %w", name, err)}, true
		}
		if l.ID, l.Name = c.ID, name; wanted {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b Labelled) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// known reports whether a label means something here.
func known(label string) bool {
	return label == labelBackup || label == labelDatabases || label == labelExclude || strings.HasPrefix(label, labelKeep)
}

// ownLabels returns the labels of a container, without those that mean nothing here and
// that it has from its image: its maker's, not those of who wants the backups.
func (e *Engine) ownLabels(ctx context.Context, c container.Summary) map[string]string {
	unknown := func(label, _ string) bool { return strings.HasPrefix(label, labelAny) && !known(label) }
	var some bool
	for label, value := range c.Labels {
		some = some || unknown(label, value)
	}
	if !some {
		return c.Labels
	}
	info, err := e.docker.ImageInspect(ctx, c.ImageID)
	if err != nil || info.Config == nil {
		return c.Labels // the image is gone
	}
	own := maps.Clone(c.Labels)
	maps.DeleteFunc(own, func(label, value string) bool {
		inherited, found := info.Config.Labels[label]
		return unknown(label, value) && found && inherited == value
	})
	return own
}

// parseLabels reads what the labels of one container ask for.
func parseLabels(labels map[string]string) (l Labelled, wanted bool, err error) {
	wanted, err = strconv.ParseBool(labels[labelBackup])
	if err != nil {
		return l, false, fmt.Errorf("label %s: want true or false", labelBackup)
	}
	if !wanted {
		return l, false, nil
	}
	l.Databases, l.Exclude, l.Keep = words(labels[labelDatabases]), words(labels[labelExclude]), map[string]int{}
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(label, labelAny) && !known(label) {
			return l, false, fmt.Errorf("label %q is not known; there are %s, %s, %s and %s{%s}",
				label, labelBackup, labelDatabases, labelExclude, labelKeep, strings.Join(keeps, ","))
		}
		period, isKeep := strings.CutPrefix(label, labelKeep)
		if !isKeep {
			continue
		}
		n, err := strconv.Atoi(labels[label])
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
