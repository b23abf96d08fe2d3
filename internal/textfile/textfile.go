// Package textfile writes metrics for the textfile collector of Prometheus's node exporter.
package textfile

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pgberth/pgberth/internal/atomicfile"
)

// A Gauge is a metric with its samples. A gauge without samples is not written.
type Gauge struct {
	Name, Help string
	Samples    []Sample
}

// A Sample is a value and what it is of.
type Sample struct {
	Labels []Label
	Value  float64
}

// A Label is a name and a value.
type Label struct{ Name, Value string }

// Add adds a sample; labels are names and values in turn.
func (g *Gauge) Add(value float64, labels ...string) {
	s := Sample{Value: value}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels = append(s.Labels, Label{labels[i], labels[i+1]})
	}
	g.Samples = append(g.Samples, s)
}

// Write writes the metrics to a file, which anybody may read. A reader sees the old file or the new one, never a part; a device or a pipe is written to.
func Write(path string, gauges []*Gauge) error {
	return atomicfile.WriteOutput(path, 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, format(gauges))
		return err
	})
}

// format is the text of the metrics.
func format(gauges []*Gauge) string {
	var b strings.Builder
	help := strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	value := strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	for _, g := range gauges {
		if len(g.Samples) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", g.Name, help.Replace(g.Help), g.Name)
		for _, s := range g.Samples {
			var labels []string
			for _, l := range s.Labels {
				labels = append(labels, l.Name+`="`+value.Replace(strings.ToValidUTF8(l.Value, "?"))+`"`)
			}
			b.WriteString(g.Name)
			if len(labels) > 0 {
				b.WriteString("{" + strings.Join(labels, ",") + "}")
			}
			b.WriteString(" " + strconv.FormatFloat(s.Value, 'f', -1, 64) + "\n")
		}
	}
	return b.String()
}
