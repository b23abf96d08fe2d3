package containerpg

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
)

// endWait is how long the engine may take to notice that a container has stopped.
const endWait = 3 * time.Second

// Ended returns how the container of a server has ended, as a [*StoppedError] if it is still there, or nil for one that has run on since the server was found.
// With wait the engine, which is the last to notice, is given a moment: the connections broke.
func (e *Engine) Ended(ctx context.Context, s *Server, wait bool) error {
	ctx, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	for {
		info, err := e.docker.ContainerInspect(ctx, s.ID)
		if errdefs.IsNotFound(err) {
			return fmt.Errorf("container %q was removed", s.Name)
		}
		if err != nil {
			return nil // that is another matter
		}
		switch b := newBox(info); {
		case !b.running():
			return b.stopped()
		case s.startedAt != "" && b.startedAt() != s.startedAt:
			return fmt.Errorf("container %q stopped and was started again; docker logs %[1]s says why", s.Name)
		case !wait || pause(ctx, 50*time.Millisecond) != nil:
			return nil
		}
	}
}
