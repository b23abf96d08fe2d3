package containerpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
)

// An ImageError says that a throwaway server has no image to run.
type ImageError struct {
	Image  string // wanted
	Reason string
	Err    error
}

func (e *ImageError) Error() string {
	text := fmt.Sprintf("image %s %s", e.Image, e.Reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *ImageError) Unwrap() error { return e.Err }

// ServerImage chooses the image of a throwaway server of a major version. One that is named must be of that
// version. Else it is the first that is there: the preferred one, the official one, any other that says it is of that
// version; and if none is, the official one, pulled.
func (e *Engine) ServerImage(ctx context.Context, major int, named, preferred string) (string, error) {
	name, there, err := e.FindServerImage(ctx, major, named, preferred)
	if err == nil && !there {
		remedy := "docker pull " + name + ", or --image"
		if named != "" {
			remedy = "give --image one that is there, or one that a registry has"
		}
		err = e.provide(ctx, name, major, remedy)
	}
	return name, err
}

// FindServerImage is [Engine.ServerImage] without pulling what is not there.
func (e *Engine) FindServerImage(ctx context.Context, major int, named, preferred string) (name string, there bool, err error) {
	official := fmt.Sprintf("postgres:%d", major)
	if named != "" {
		is, err := e.imageMajor(ctx, named)
		if _, missing := errors.AsType[*ImageError](err); missing {
			return named, false, nil
		}
		if err == nil {
			err = sameMajor(named, is, major)
		}
		return named, true, err
	}
	for _, name := range []string{preferred, official} {
		if name == "" {
			continue
		}
		if is, err := e.imageMajor(ctx, name); err == nil && is == major {
			return name, true, nil
		}
	}
	found, err := e.anyImage(ctx, major)
	if err != nil || found != "" {
		return found, true, err
	}
	return official, false, nil
}

// provide pulls an image, and checks its version. The remedy is for one that cannot be pulled.
func (e *Engine) provide(ctx context.Context, name string, major int, remedy string) error {
	e.notice("pulling " + name)
	if err := e.pull(ctx, name); err != nil {
		return &ImageError{Image: name, Reason: "is not on the docker engine and could not be pulled; " + remedy, Err: err}
	}
	is, err := e.imageMajor(ctx, name)
	if err != nil {
		return err
	}
	return sameMajor(name, is, major)
}

// sameMajor holds the version that an image says it has, or 0, against the one that is wanted.
func sameMajor(name string, is, major int) error {
	if is != major && is != 0 {
		return &ImageError{Image: name, Reason: fmt.Sprintf("is of PostgreSQL %d and the backup of %d, which only a server of the same version proves", is, major)}
	}
	return nil
}

func (e *Engine) pull(ctx context.Context, name string) error {
	messages, err := e.docker.ImagePull(ctx, name, image.PullOptions{})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, messages)
	return errors.Join(err, messages.Close())
}

func (e *Engine) inspectImage(ctx context.Context, name string) (image.InspectResponse, error) {
	info, err := e.docker.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return info, &ImageError{Image: name, Reason: "is not on the docker engine; docker pull " + name}
	}
	if err != nil {
		return info, fmt.Errorf("inspect image %s: %w", name, err)
	}
	return info, nil
}

// imageMajor is the version of PostgreSQL an image says it has, or 0.
func (e *Engine) imageMajor(ctx context.Context, name string) (int, error) {
	info, err := e.inspectImage(ctx, name)
	if err != nil || info.Config == nil {
		return 0, err
	}
	for _, pair := range info.Config.Env {
		if value, found := strings.CutPrefix(pair, "PG_MAJOR="); found {
			major, _ := strconv.Atoi(value) // what is no number says nothing
			return major, nil
		}
	}
	return 0, nil
}

// anyImage is the first image, by name, that looks like the official one of a version; "" if there is none.
func (e *Engine) anyImage(ctx context.Context, major int) (string, error) {
	list, err := e.docker.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("list the engine's images: %w", err)
	}
	var names []string
	for _, summary := range list {
		for _, name := range summary.RepoTags {
			repository, _, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
			if slices.Contains(images, repository) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		is, err := e.imageMajor(ctx, name)
		if err != nil && ctx.Err() != nil {
			return "", err
		}
		if err == nil && is == major {
			return name, nil
		}
	}
	return "", nil
}
