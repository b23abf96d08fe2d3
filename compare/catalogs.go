package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/pgberth/pgberth/internal/definitions"
	"github.com/pgberth/pgberth/progress"
)

// compareCatalogs compares all definitions.
func (c *comparison) compareCatalogs(ctx context.Context) error {
	started := time.Now()
	c.opts.Reporter.Report(progress.PhaseStart{Phase: PhaseCatalog, Units: len(definitions.Topics)})
	for _, topic := range definitions.Topics {
		unit := time.Now()
		c.opts.Reporter.Report(progress.UnitStart{Phase: PhaseCatalog, Object: topic.File})
		from, err := c.pair.from.dialect.Statements(topic.File)
		if err != nil {
			return err
		}
		to, err := c.pair.to.dialect.Statements(topic.File)
		if err != nil {
			return err
		}
		for i := range from {
			m := merge{pair: c.pair, gone: c.gone, facts: topic.Facts}
			if err := m.run(ctx, c.pair.from.leader, c.pair.to.leader, from[i], to[i]); err != nil {
				return fmt.Errorf("compare %s: %w", topic.File, err)
			}
			c.add(m)
		}
		c.opts.Reporter.Report(progress.UnitEnd{Phase: PhaseCatalog, Object: topic.File, Elapsed: time.Since(unit)})
	}
	c.opts.Reporter.Report(progress.PhaseEnd{Phase: PhaseCatalog, Units: len(definitions.Topics), Elapsed: time.Since(started)})
	return nil
}

func (c *comparison) add(m merge) {
	c.report.Differences = append(c.report.Differences, m.differences...)
	if !m.facts {
		for kind, n := range m.objects {
			c.report.Objects[kind] += n
		}
	}
}

// straddles reports whether the servers stand on both sides of a major
// version: one is older than it.
func (p pair) straddles(major int) bool {
	return (p.from.dialect.Major < major) != (p.to.dialect.Major < major)
}
