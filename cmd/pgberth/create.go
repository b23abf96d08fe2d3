package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/progress"
)

// createFlags make the container of the target before anything is moved.
type createFlags struct {
	spec                 containerpg.CreateSpec
	composeFile, service string
}

func (f *createFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.spec.Name, "create-container", "", "make the target's container, called `NAME`, of --image; it is removed\nagain if this fails")
	flags.StringVar(&f.spec.Image, "image", "", "with --create-container, its `IMAGE`, such as postgres:17")
	flags.StringVar(&f.spec.Publish, "publish", "", "with --create-container, `[ADDRESS:]PORT` of the engine's machine that leads to it")
	flags.StringVar(&f.spec.Volume, "volume", "", "with --create-container, the volume of its data, by `NAME`")
	flags.StringVar(&f.spec.Network, "network", "", "with --create-container, the network it joins, by `NAME`")
	flags.StringVar(&f.spec.PasswordFile, "password-file", "", "with --create-container, the `FILE` that its generated password is written to")
	flags.StringVar(&f.composeFile, "compose-file", "", "bring up the target's container from this Compose `FILE`, unless it runs")
	flags.StringVar(&f.service, "service", "", "the `SERVICE` of the Compose file that is the target")
}

// wanted says whether a container is to be made.
func (f *createFlags) wanted() bool {
	return f.spec.Name != "" || f.composeFile != "" || f.service != ""
}

func (f *createFlags) validate(to string) error {
	compose := f.composeFile != "" || f.service != ""
	switch {
	case !f.wanted() && (f.spec.Image+f.spec.Publish+f.spec.Volume+f.spec.Network+f.spec.PasswordFile) != "":
		return errors.New("--image, --publish, --volume, --network and --password-file are about --create-container; give that too")
	case !f.wanted():
		return nil
	case f.spec.Name != "" && compose:
		return errors.New("--create-container and --compose-file both make the target; give one of them")
	case to != "":
		return errors.New("--to names a target that is there, and the container that is made is the target; leave out --to")
	case f.spec.Name != "" && f.spec.Image == "":
		return errors.New("--create-container: give --image too, such as postgres:17")
	case compose && (f.composeFile == "" || f.service == ""):
		return errors.New("--compose-file and --service go together")
	}
	return nil
}

// make makes the container and answers its endpoint.
func (f *createFlags) make(ctx context.Context, r *resolver) (created *containerpg.Created, endpoint string, err error) {
	engine, err := r.docker(ctx)
	if err != nil {
		return nil, "", err
	}
	if f.spec.Name == "" {
		if created, err = engine.Compose(ctx, f.composeFile, f.service); err != nil {
			return nil, "", err
		}
	} else {
		spec := f.spec
		if spec.PasswordFile == "" {
			if spec.PasswordFile, err = passwordFile(spec.Name); err != nil {
				return nil, "", err
			}
		}
		if created, err = engine.Create(ctx, spec); err != nil {
			return nil, "", err
		}
		f.spec = spec
		r.reporter.Report(progress.Notice{Text: fmt.Sprintf("made container %s of %s; the password of its user postgres is in %s", spec.Name, spec.Image, spec.PasswordFile)})
	}
	return created, "docker://" + created.ID, nil
}

// ownPasswords warns of a cluster that was in the volume before.
func (f *createFlags) ownPasswords(r *resolver, created *containerpg.Created) {
	for _, s := range r.servers {
		if f.spec.Name != "" && created.Older(s) {
			r.reporter.Report(progress.Warning{Object: "volume " + f.spec.Volume,
				Text:   "held a database cluster already, whose roles have the passwords they had: the one in " + f.spec.PasswordFile + " is none of them",
				Remedy: "use those, or set one: docker exec -it " + s.Name + " psql -U " + s.User + " -c '\\password'"})
		}
	}
}

// passwordFile is where a password goes if no other place is named.
func passwordFile(container string) (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find a place for the password: %w; give --password-file", err)
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "pgberth", container+".password"), nil
}
