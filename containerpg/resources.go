package containerpg

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// Resources are what a container may use: its own limits, or else what the
// engine's machine has.
type Resources struct {
	CPUs   int
	Memory int64 // bytes
}

// Resources reads what the container of a server may use.
func (e *Engine) Resources(ctx context.Context, s *Server) (Resources, error) {
	info, err := e.docker.Info(ctx)
	if err != nil {
		return Resources{}, fmt.Errorf("ask the docker engine for its machine: %w", err)
	}
	r := Resources{CPUs: info.NCPU, Memory: info.MemTotal}
	r.limit(s.limits)
	return r, nil
}

// limit applies a container's limits.
func (r *Resources) limit(l container.Resources) {
	atMost := func(cpus int64) {
		if cpus > 0 && int(cpus) < r.CPUs {
			r.CPUs = int(cpus)
		}
	}
	const whole = 1_000_000_000
	atMost((l.NanoCPUs + whole - 1) / whole)
	if l.CPUQuota > 0 {
		period := l.CPUPeriod
		if period <= 0 {
			period = 100_000 // microseconds, the kernel's own
		}
		atMost((l.CPUQuota + period - 1) / period)
	}
	atMost(countCPUs(l.CpusetCpus))
	if l.Memory > 0 && l.Memory < r.Memory {
		r.Memory = l.Memory
	}
}

// countCPUs counts those of a list such as "0-2,7"; 0 is for none, or for what
// cannot be read.
func countCPUs(list string) (n int64) {
	if list == "" {
		return 0
	}
	for _, part := range strings.Split(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.ParseInt(first, 10, 32)
		if err != nil {
			return 0
		}
		to := from
		if isRange {
			if to, err = strconv.ParseInt(last, 10, 32); err != nil || to < from {
				return 0
			}
		}
		n += to - from + 1
	}
	return n
}
