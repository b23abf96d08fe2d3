package drill

import (
	"context"
	"fmt"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/conninfo"
)

// Docker makes throwaway servers in containers. image, if it is not empty, is the one to run. What drills that
// are dead have left on the engine is removed first.
func Docker(engine *containerpg.Engine, image string) func(context.Context, ServerSpec) (Server, error) {
	return func(ctx context.Context, want ServerSpec) (Server, error) {
		if _, err := engine.Reap(ctx); err != nil {
			return nil, fmt.Errorf("remove what earlier drills have left: %w", err)
		}
		chosen, err := engine.ServerImage(ctx, want.Major, image, want.Image)
		if err != nil {
			return nil, err
		}
		spec := containerpg.ThrowawaySpec{Image: chosen, User: want.Superuser, Settings: want.Settings()}
		if want.Bytes > 0 && want.Bytes <= tmpfsBelow {
			spec.Tmpfs = tmpfsSize
		}
		t, err := engine.StartThrowaway(ctx, spec)
		if err != nil {
			return nil, err
		}
		return dockerServer{t}, nil
	}
}

const (
	// tmpfsBelow is up to how many bytes of rows a database is restored into memory: so few that a disk would
	// not be felt in what is measured.
	tmpfsBelow = 32 << 20
	tmpfsSize  = 1 << 30 // a limit, of which nothing is taken before it is used
)

// dockerServer is a [Server] in a container.
type dockerServer struct{ *containerpg.Throwaway }

var _ Server = dockerServer{}

func (s dockerServer) Endpoint(database string) *conninfo.Endpoint {
	return &conninfo.Endpoint{Name: fmt.Sprintf("the drill's container %.12s/%s", s.ID, database), Config: s.ConnConfig(database), Image: s.Image}
}

func (s dockerServer) Info() ServerInfo {
	return ServerInfo{Kind: "docker", Image: s.Image, ImageID: s.ImageID, Storage: s.Storage}
}
