package containerpg

import (
	"context"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/pgberth/pgberth/internal/owner"
)

// sweep removes side containers that a process which was killed had created and
// not yet started; started ones end by themselves. What cannot be removed is left
// to the next run.
func (e *Engine) sweep(ctx context.Context) {
	list, err := e.docker.ContainerList(ctx, container.ListOptions{
		All:     true,
		Filters: filters.NewArgs(filters.Arg("label", labelRun), filters.Arg("status", container.StateCreated)),
	})
	if err != nil {
		return
	}
	for _, c := range list {
		if owner.Dead(c.Labels[labelRun]) {
			_ = e.remove(ctx, c.ID)
		}
	}
}
