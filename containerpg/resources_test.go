package containerpg

import (
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestResourcesOfLimits(t *testing.T) {
	machine := Resources{CPUs: 8, Memory: 16 << 30}
	for _, c := range []struct {
		name   string
		limits container.Resources
		want   Resources
	}{
		{"none", container.Resources{}, machine},
		{"cpus", container.Resources{NanoCPUs: 1_500_000_000}, Resources{2, 16 << 30}},
		{"more than there are", container.Resources{NanoCPUs: 64_000_000_000, Memory: 1 << 40}, machine},
		{"quota", container.Resources{CPUQuota: 300_000}, Resources{3, 16 << 30}},
		{"quota and period", container.Resources{CPUQuota: 50_000, CPUPeriod: 50_000}, Resources{1, 16 << 30}},
		{"set", container.Resources{CpusetCpus: "0-2,7"}, Resources{4, 16 << 30}},
		{"unreadable set", container.Resources{CpusetCpus: "a-b"}, machine},
		{"memory", container.Resources{Memory: 1 << 30}, Resources{8, 1 << 30}},
		{"the least", container.Resources{CpusetCpus: "1-5", NanoCPUs: 2_000_000_000}, Resources{2, 16 << 30}},
	} {
		got := machine
		got.limit(c.limits)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestResourcesOfContainer(t *testing.T) {
	t.Parallel()
	e, pg := container17(t, pgtest.DockerArgs("--cpus", "0.5", "--memory", "700m"))
	got, err := e.Resources(t.Context(), resolve(t, e, Selector{Name: pg.Container}))
	if err != nil || got != (Resources{CPUs: 1, Memory: 700 << 20}) {
		t.Errorf("%+v, %v", got, err)
	}
}
