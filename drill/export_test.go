package drill

import (
	"context"

	"github.com/pgberth/pgberth/containerpg"
)

// Drill is a running drill, as a test that tampers with it sees it.
type Drill = drill

// WithTamper calls a function when the database is restored and nothing is checked yet.
func (o Options) WithTamper(tamper func(context.Context, *Drill) error) Options {
	o.tamper = tamper
	return o
}

// Throwaway is the server, and Database the one that was restored.
func (d *drill) Throwaway() Server { return d.server }

func (d *drill) Database() string { return d.database }

// Recheck runs the checks of the restored database and returns a report of them alone.
func (d *drill) Recheck(ctx context.Context) (*Report, error) {
	kept := d.report
	defer func() { d.report = kept }()
	r := *kept
	r.Checks = nil
	d.report = &r
	d.checkFreshness()
	err := d.check(ctx)
	r.judge()
	return &r, err
}

// Set changes the options of the drill.
func (d *drill) Set(change func(*Options)) { change(d.Options) }

// ContainerID is that of a server in a container.
func ContainerID(s Server) string { return s.(dockerServer).ID }

// InTmpfs makes a server whose data is in so much memory.
func InTmpfs(ctx context.Context, engine *containerpg.Engine, image string, want ServerSpec, size int64) (Server, error) {
	t, err := engine.StartThrowaway(ctx, containerpg.ThrowawaySpec{Image: image, User: want.Superuser, Settings: want.Settings(), Tmpfs: size})
	if err != nil {
		return nil, err
	}
	return dockerServer{t}, nil
}
