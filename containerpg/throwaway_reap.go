package containerpg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/pgberth/pgberth/internal/owner"
)

// Reap removes the throwaway servers of runs on this machine that are dead, with their volumes and
// networks, and says what it removed; what it could not remove is in the error. Those of living runs, and
// those that were kept, are left alone. Of a run that was killed a moment ago the engine may still be
// making something, which the next Reap finds.
func (e *Engine) Reap(ctx context.Context) (removed []string, err error) {
	marked := filters.NewArgs(filters.Arg("label", labelDrill))
	var errs []error
	remove := func(what string, remove func(context.Context) error) {
		bounded, cancel := context.WithTimeout(ctx, cleanupTimeout)
		defer cancel()
		if err := remove(bounded); err != nil {
			errs = append(errs, err)
			return
		}
		removed = append(removed, what)
	}
	containers, err := e.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: marked})
	if err != nil {
		return nil, fmt.Errorf("list throwaway servers: %w", err)
	}
	networks, err := e.docker.NetworkList(ctx, network.ListOptions{Filters: marked})
	if err != nil {
		return nil, fmt.Errorf("list networks of throwaway servers: %w", err)
	}
	volumes, err := e.docker.VolumeList(ctx, volume.ListOptions{Filters: marked})
	if err != nil {
		return nil, fmt.Errorf("list volumes of throwaway servers: %w", err)
	}
	dead := map[string]bool{} // owners
	for _, c := range containers {
		dead[c.Labels[labelDrill]] = owner.Dead(c.Labels[labelDrill])
	}
	for _, n := range networks {
		dead[n.Labels[labelDrill]] = owner.Dead(n.Labels[labelDrill])
	}
	for _, v := range volumes.Volumes {
		dead[v.Labels[labelDrill]] = owner.Dead(v.Labels[labelDrill])
	}
	// Once more: a run may have kept its server, and ended, since the first list was made.
	if containers, err = e.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: marked}); err != nil {
		return nil, fmt.Errorf("list throwaway servers: %w", err)
	}
	kept := map[string]bool{} // IDs of networks and names of volumes
	for _, c := range containers {
		if slices.ContainsFunc(c.Names, func(name string) bool { return strings.HasPrefix(name, "/"+keptPrefix) }) {
			for _, m := range c.Mounts {
				kept[m.Name] = true
			}
			if c.NetworkSettings != nil {
				for _, n := range c.NetworkSettings.Networks {
					kept[n.NetworkID] = true
				}
			}
			continue
		}
		if dead[c.Labels[labelDrill]] {
			remove(fmt.Sprintf("container %.12s", c.ID), func(ctx context.Context) error { return e.remove(ctx, c.ID) })
		}
	}
	for _, n := range networks {
		if dead[n.Labels[labelDrill]] && !kept[n.ID] {
			remove("network "+n.Name, func(ctx context.Context) error { return e.removeNetwork(ctx, n.ID) })
		}
	}
	for _, v := range volumes.Volumes {
		if dead[v.Labels[labelDrill]] && !kept[v.Name] {
			remove(fmt.Sprintf("volume %.12s", v.Name), func(ctx context.Context) error { return e.removeVolume(ctx, v.Name) })
		}
	}
	return removed, errors.Join(errs...)
}
