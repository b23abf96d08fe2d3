package containerpg

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/pgberth/pgberth/internal/owner"
)

// Reap removes the throwaway servers of runs on this machine that are dead, with their volumes and
// networks, and says what it removed. Those of living runs are left alone.
func (e *Engine) Reap(ctx context.Context) (removed []string, err error) {
	marked := filters.NewArgs(filters.Arg("label", labelDrill))
	containers, err := e.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: marked})
	if err != nil {
		return nil, fmt.Errorf("list throwaway servers: %w", err)
	}
	var errs []error
	for _, c := range containers {
		if owner.Dead(c.Labels[labelDrill]) {
			errs = append(errs, e.remove(ctx, c.ID))
			removed = append(removed, fmt.Sprintf("container %.12s", c.ID))
		}
	}
	networks, err := e.docker.NetworkList(ctx, network.ListOptions{Filters: marked})
	if err != nil {
		return removed, errors.Join(append(errs, fmt.Errorf("list networks of throwaway servers: %w", err))...)
	}
	for _, n := range networks {
		if owner.Dead(n.Labels[labelDrill]) {
			errs = append(errs, e.removeNetwork(ctx, n.ID))
			removed = append(removed, "network "+n.Name)
		}
	}
	volumes, err := e.docker.VolumeList(ctx, volume.ListOptions{Filters: marked})
	if err != nil {
		return removed, errors.Join(append(errs, fmt.Errorf("list volumes of throwaway servers: %w", err))...)
	}
	for _, v := range volumes.Volumes {
		if owner.Dead(v.Labels[labelDrill]) {
			if err := e.docker.VolumeRemove(ctx, v.Name, true); err != nil {
				errs = append(errs, fmt.Errorf("remove volume %s: %w", v.Name, err))
				continue
			}
			removed = append(removed, fmt.Sprintf("volume %.12s", v.Name))
		}
	}
	return removed, errors.Join(errs...)
}
