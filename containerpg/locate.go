package containerpg

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"
)

// Resolve answers the one server that sel selects, reached and logged in to. A
// server that is starting is waited for, until ctx's deadline or else a minute.
//
// The error is, or wraps, a [*NotFoundError], [*AmbiguousError], [*StoppedError],
// [*NotPostgresError], [*StartError], [*UnreachableError] or [*AuthError] where one of
// them tells the trouble.
func (e *Engine) Resolve(ctx context.Context, sel Selector) (*Server, error) {
	boxes, err := e.find(ctx, sel)
	if err != nil {
		return nil, err
	}
	if len(boxes) > 1 {
		return nil, &AmbiguousError{Selector: sel, Matches: describe(boxes)}
	}
	b := boxes[0]
	if !b.running() {
		return nil, b.stopped()
	}
	return (&visit{e: e, sel: sel, box: b}).reach(ctx, true)
}

// Locate answers every running Postgres server that sel selects; with the zero
// Selector, every one there is, which may be none. A server that cannot be used
// is in the list too, with its Problem.
func (e *Engine) Locate(ctx context.Context, sel Selector) ([]*Server, error) {
	boxes, err := e.find(ctx, sel)
	if err != nil {
		if none, ok := err.(*NotFoundError); ok && none.Selector.Name == "" && none.Selector.Port == 0 {
			return []*Server{}, nil
		}
		return nil, err
	}
	servers := make([]*Server, len(boxes))
	var group errgroup.Group
	group.SetLimit(4)
	for i, b := range boxes {
		group.Go(func() error {
			if !b.running() {
				servers[i] = b.server()
				servers[i].Problem = b.stopped().Error()
				return nil
			}
			s, err := (&visit{e: e, sel: sel, box: b}).reach(ctx, false)
			if _, other := errors.AsType[*NotPostgresError](err); other && sel.Name == "" && sel.Port == 0 {
				return nil // nobody asked for it
			}
			if err != nil {
				s = b.server()
				s.Problem = err.Error()
			}
			servers[i] = s
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, context.Cause(ctx)
	}
	return slices.DeleteFunc(servers, func(s *Server) bool { return s == nil }), nil
}

// Reresolve finds a server again, whose address may have changed because its
// container was restarted, and logs in as before. It must be the same server: the
// error says so if another data directory is there now.
func (e *Engine) Reresolve(ctx context.Context, s *Server) (*Server, error) {
	if s.conn == nil {
		return nil, fmt.Errorf("container %q: %s", s.Name, s.Problem)
	}
	b, err := e.inspect(ctx, s.ID)
	if errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("container %q was removed: %w", s.Name, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if !b.running() {
		return nil, b.stopped()
	}
	v := &visit{e: e, sel: Selector{User: s.User, Database: s.Database}, box: b}
	v.known = &login{user: s.User, password: s.conn.Password, source: "the password that worked before"}
	v.accounts = []account{{database: s.conn.Database}}
	again, err := v.reach(ctx, true)
	if err != nil {
		return nil, err
	}
	if err := sameCluster(s.Name, again.SystemIdentifier, s.SystemIdentifier); err != nil {
		return nil, err
	}
	return again, nil
}

// find answers the containers that sel selects, at least one. Those selected by
// name may be stopped, or run something else.
func (e *Engine) find(ctx context.Context, sel Selector) ([]box, error) {
	list, err := e.docker.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	named := sel.Name != "" || sel.Port != 0
	boxes, err := e.inspectAll(ctx, matching(list, sel), !named)
	if err != nil {
		return nil, err
	}
	if sel.Port != 0 && len(boxes) == 0 {
		boxes, err = e.onHostNetwork(ctx, matching(list, Selector{Project: sel.Project}), sel.Port)
		if err != nil {
			return nil, err
		}
	}
	if len(boxes) > 0 {
		return boxes, nil
	}
	none := &NotFoundError{Selector: sel}
	if named || sel.Project != "" {
		known, err := e.inspectAll(ctx, matching(list, Selector{}), true)
		if err != nil {
			return nil, err
		}
		none.Known = describe(known)
		none.Project = sel.Name != "" && slices.ContainsFunc(list, func(c container.Summary) bool { return c.Labels[labelProject] == sel.Name })
	}
	return nil, none
}

// onHostNetwork answers the server that uses a port of the host without
// publishing it, because it has no network of its own.
func (e *Engine) onHostNetwork(ctx context.Context, list []container.Summary, port int) ([]box, error) {
	list = slices.DeleteFunc(list, func(c container.Summary) bool { return c.HostConfig.NetworkMode != "host" })
	boxes, err := e.inspectAll(ctx, list, true)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(boxes, func(b box) bool {
		master, read := e.readPostmaster(ctx, b, nil)
		if !read {
			master.port = b.serverPort()
		}
		return master.port != port
	}), nil
}

// inspectAll looks at containers closely; with onlyPostgres it leaves out those
// that show no server.
func (e *Engine) inspectAll(ctx context.Context, list []container.Summary, onlyPostgres bool) ([]box, error) {
	found := make([]*box, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, summary := range list {
		group.Go(func() error {
			b, err := e.inspect(ctx, summary.ID)
			if errdefs.IsNotFound(err) {
				return nil // gone since it was listed
			}
			if err != nil {
				return err
			}
			if !onlyPostgres || e.isPostgres(ctx, b) {
				found[i] = &b
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var boxes []box
	for _, b := range found {
		if b != nil {
			boxes = append(boxes, *b)
		}
	}
	return boxes, nil
}

func (e *Engine) inspect(ctx context.Context, id string) (box, error) {
	info, err := e.docker.ContainerInspect(ctx, id)
	if err != nil {
		return box{}, fmt.Errorf("inspect container %.12s: %w", id, err)
	}
	return newBox(info), nil
}

// isPostgres says whether a container's configuration and processes show a
// Postgres server, up or starting. One that may yet run anything is none.
func (e *Engine) isPostgres(ctx context.Context, b box) bool {
	commands, _ := e.processes(ctx, b) // where nothing is known of them, what it was told to run counts
	switch b.activity(commands) {
	case serving:
		return true
	case starting:
		return b.score() >= 2
	}
	return false
}

func describe(boxes []box) []string {
	var list []string
	for _, b := range boxes {
		list = append(list, b.server().describe())
	}
	return list
}
