package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/restore"
)

// fastLoadFlag says which of the target's settings may be changed for the load.
type fastLoadFlag struct{ level choice }

var fastLoadLevels = []string{
	string(restore.FastLoadOff), string(restore.FastLoadAuto), string(restore.FastLoadOn), string(restore.FastLoadRestart),
}

const fastLoadUsage = `settings of the target's server that are changed while it is filled, and put back before
the swap: auto, on a server that holds nothing else, has fewer checkpoints and no autovacuum;
on also does without fsync; restart also without WAL, and restarts the container twice`

func (f *fastLoadFlag) add(flags *pflag.FlagSet) {
	f.level = *newChoice(string(restore.FastLoadAuto), fastLoadLevels...)
	flags.Var(&f.level, "fast-load", fastLoadUsage)
	flags.Lookup("fast-load").NoOptDefVal = string(restore.FastLoadOn)
}

// joinFastLoad lets the flag's value follow it as a word of its own, although it may also
// stand without one.
func joinFastLoad(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(joined, args[i:]...)
		}
		if args[i] == "--fast-load" && i+1 < len(args) && slices.Contains(fastLoadLevels, args[i+1]) {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
			continue
		}
		joined = append(joined, args[i])
	}
	return joined
}

// fastLoad is what was asked for, with how to restart a target in a container.
func (f *fastLoadFlag) fastLoad(r *resolver, to place) (restore.FastLoad, restore.Restarter, error) {
	level := restore.FastLoad(f.level.value)
	if to.server == nil {
		return level, nil, nil
	}
	if err := to.server.Restartable(); err != nil {
		if level == restore.FastLoadRestart {
			return level, nil, fmt.Errorf("--fast-load restart: %w; use --fast-load on", err)
		}
		return level, nil, nil
	}
	return level, func(ctx context.Context, repair func(string) string) (*conninfo.Endpoint, error) {
		server, err := r.engine.Restart(ctx, to.server, repair)
		if err != nil {
			return nil, err
		}
		to.server = server
		endpoint := *to.Endpoint
		endpoint.Config = server.ConnConfig(to.Database())
		return &endpoint, nil
	}, nil
}
