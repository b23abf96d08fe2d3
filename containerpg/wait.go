package containerpg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
)

// errNotYet says that a server may answer if it is tried again. If it claims to be
// up already, unreachable is the error for when it still does not.
type errNotYet struct {
	tried       []string
	unreachable *UnreachableError
}

func (errNotYet) Error() string { return "the server is starting" }

// reach connects to the server and answers what it found. With wait, a server
// that is starting is waited for.
func (v *visit) reach(ctx context.Context, wait bool) (*Server, error) {
	start := time.Now()
	limit := ctx
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, startWait)
		defer cancel()
	}
	silent := 0
	for first := true; ; first = false {
		s, err := v.once(limit)
		var notYet errNotYet
		if !errors.As(err, &notYet) {
			if err != nil && limit.Err() != nil {
				return nil, v.gaveUp(ctx, start, nil)
			}
			return s, err
		}
		if notYet.unreachable != nil {
			silent++
		} else {
			silent = 0
		}
		// A claim may be a little old, of a server that is stopping.
		if silent > 5 || silent > 0 && !wait {
			return nil, notYet.unreachable
		}
		if !wait {
			return nil, &StartError{Name: v.box.name, State: stillStarting}
		}
		if first {
			v.e.notice(fmt.Sprintf("waiting for the server in container %q to start", v.box.name))
		}
		if err := pause(limit, 200*time.Millisecond); err != nil {
			return nil, v.gaveUp(ctx, start, notYet.tried)
		}
		if err := v.refresh(limit); err != nil {
			return nil, err
		}
	}
}

// gaveUp is the error for a server that was waited for too long, or for a caller
// that lost patience.
func (v *visit) gaveUp(ctx context.Context, start time.Time, tried []string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	state := fmt.Sprintf("still starting after %s", time.Since(start).Round(time.Second))
	if len(tried) > 0 {
		state += fmt.Sprintf(" (%s)", tried[len(tried)-1])
	}
	return &StartError{Name: v.box.name, State: state, Log: v.e.lastLines(ctx, v.box.id)}
}

// refresh looks at the container again: addresses change, and it may have stopped.
func (v *visit) refresh(ctx context.Context) error {
	info, err := v.e.docker.ContainerInspect(ctx, v.box.id)
	if errdefs.IsNotFound(err) {
		return &StartError{Name: v.box.name, State: "the container was removed"}
	}
	if err != nil {
		return fmt.Errorf("inspect container %q: %w", v.box.name, err)
	}
	before := v.box
	v.box = newBox(info)
	if v.box.running() && v.box.info.RestartCount == before.info.RestartCount {
		return nil
	}
	state := fmt.Sprintf("the container stopped with exit status %d", v.box.stopped().ExitCode)
	if v.box.stopped().State == container.StateRestarting || v.box.info.RestartCount != before.info.RestartCount {
		state = "the container stopped and is started again and again"
	}
	return &StartError{Name: v.box.name, State: state, Log: v.e.lastLines(ctx, v.box.id)}
}
