package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// endpointFlags say where a command's two databases are.
type endpointFlags struct{ from, to, project string }

func (f *endpointFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.from, "from", "", fromUsage)
	flags.StringVar(&f.to, "to", "", "target `ENDPOINT` (default the one running Postgres container;\nits database defaults to the source's name)")
	flags.StringVar(&f.project, "project", "", projectUsage)
}

const (
	fromUsage    = "source `ENDPOINT` (default $DATABASE_URL, then libpq's environment)"
	projectUsage = "Compose `PROJECT` that containers must belong to"
)

// A place is an endpoint and, if it is in a container, the server there.
type place struct {
	*conninfo.Endpoint
	server *containerpg.Server // nil for a server that is not in a container
}

// A resolver finds out where endpoints are. It opens the docker engine when the
// first of them needs it; the caller closes it.
type resolver struct {
	cmd      *cobra.Command
	c        *cli
	project  string
	reporter progress.Reporter
	wire     *containerpg.Compression // nil for commands that move no rows to or from a server
	engine   *containerpg.Engine
	relays   []*containerpg.Relay
	servers  []*containerpg.Server // in containers, that were found

	// anyDatabase is for sources that are a whole server: without a database it is the one through which the server was found.
	anyDatabase bool
}

func (r *resolver) Close() error {
	var errs []error
	for _, relay := range r.relays {
		errs = append(errs, relay.Close())
	}
	if r.engine != nil {
		errs = append(errs, r.engine.Close())
	}
	return errors.Join(errs...)
}

// finish closes the resolver after a run that may have failed.
func (r *resolver) finish(ctx context.Context, err error) error {
	return errors.Join(r.explain(ctx, err), r.Close())
}

// explain names a container that stopped while something failed, or an ssh that ended, before what that led to.
func (r *resolver) explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil {
		for _, server := range r.servers {
			if ended := r.engine.Ended(ctx, server, session.IsBroken(err)); ended != nil {
				err = errors.Join(ended, err)
			}
		}
		if r.engine != nil {
			if lost := r.engine.Lost(); lost != nil && !errors.Is(err, lost) {
				err = errors.Join(lost, err)
			}
		}
	}
	return err
}

// docker returns the docker engine.
func (r *resolver) docker(ctx context.Context) (*containerpg.Engine, error) {
	if r.engine != nil {
		return r.engine, nil
	}
	if r.c.docker.host != "" && r.c.docker.context != "" {
		return nil, usage(r.cmd, errors.New("--docker-host and --docker-context both name an engine; give one of them"))
	}
	engine, err := containerpg.Open(ctx, r.c.docker.options())
	if err != nil {
		return nil, err
	}
	engine.Reporter, engine.Via = r.reporter, r.c.docker.only()
	engine.Measure = r.wire != nil && r.wire.Mode == "auto"
	r.engine = engine
	r.detail("docker engine: " + engine.String())
	return engine, nil
}

// both resolves the endpoints of a command. What is written wrong is reported
// before anything is looked for.
func (r *resolver) both(ctx context.Context, f endpointFlags) (from, to place, err error) {
	source, err := r.source(f.from)
	if err != nil {
		return place{}, place{}, err
	}
	target, err := r.parse("--to", f.to)
	if err != nil {
		return place{}, place{}, err
	}
	if from, err = r.resolve(ctx, "source", source, ""); err != nil {
		return place{}, place{}, err
	}
	if to, err = r.resolve(ctx, "target", target, from.Database()); err != nil {
		return place{}, place{}, err
	}
	if f.to == "" && from.server != nil && from.server.ID == to.server.ID {
		return place{}, place{}, usage(r.cmd, fmt.Errorf("--to: the only running Postgres container, %q, is the source", to.server.Name))
	}
	return from, to, nil
}

// A reference is an endpoint as it was given.
type reference struct {
	selector *containerpg.Selector // a container
	endpoint *conninfo.Endpoint    // or anything else
}

// libpqEnv are the variables any of which names a source.
var libpqEnv = []string{"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE"}

// source reads --from or what it defaults to.
func (r *resolver) source(arg string) (reference, error) {
	if arg != "" {
		return r.parse("--from", arg)
	}
	if url := r.c.env.get("DATABASE_URL"); url != "" {
		return r.parse("DATABASE_URL", url)
	}
	for _, name := range libpqEnv {
		if r.c.env.get(name) != "" {
			endpoint, err := conninfo.Parse("")
			if err != nil {
				return reference{}, usage(r.cmd, fmt.Errorf("the environment: %w", err))
			}
			return reference{endpoint: endpoint}, r.checkName("PGDATABASE", endpoint.Config.Database)
		}
	}
	return reference{}, usage(r.cmd, errors.New("no source: give --from, or set DATABASE_URL or PGDATABASE"))
}

// parse reads an endpoint. An empty one is the only running container. The
// error names the flag and repeats nothing of the value.
func (r *resolver) parse(name, arg string) (reference, error) {
	if arg == "" {
		return reference{selector: &containerpg.Selector{Project: r.project}}, nil
	}
	if containerpg.IsURL(arg) {
		selector, err := containerpg.ParseURL(arg, r.project)
		if err != nil {
			return reference{}, usage(r.cmd, fmt.Errorf("%s: %w", name, err))
		}
		return reference{selector: &selector}, r.checkName(name, selector.Database)
	}
	endpoint, err := conninfo.Parse(ectoURL(arg))
	if err != nil {
		return reference{}, usage(r.cmd, fmt.Errorf("%s: %w", name, err))
	}
	return reference{endpoint: endpoint}, r.checkName(name, endpoint.Config.Database)
}

// maxName is the longest name PostgreSQL keeps, in bytes. Of a longer one it would take the beginning, which may be
// the name of another database.
const maxName = 63

// checkName refuses the name of a database that the server would cut. The error does not repeat the name, which in
// an endpoint that is written wrong may hold a password.
func (r *resolver) checkName(where, database string) error {
	if len(database) > maxName {
		return usage(r.cmd, fmt.Errorf("%s: the database's name is longer than %d bytes; PostgreSQL would cut it", where, maxName))
	}
	return nil
}

// ectoURL turns the URL of an Ecto repository into libpq's. Its parameters are
// settings of Ecto's pool, but for ssl.
func ectoURL(s string) string {
	rest, found := strings.CutPrefix(s, "ecto://")
	if !found {
		return s
	}
	rest, query, _ := strings.Cut(rest, "?")
	for _, parameter := range strings.Split(query, "&") {
		if parameter == "ssl=true" {
			rest += "?" + parameter
		}
	}
	return "postgres://" + rest
}

// resolve finds the server of an endpoint. Without a database it is database,
// or else the container's own.
func (r *resolver) resolve(ctx context.Context, side string, ref reference, database string) (place, error) {
	if err := r.checkName(side, database); err != nil { // what an archive says
		return place{}, err
	}
	if ref.selector == nil {
		endpoint := ref.endpoint
		if endpoint.Config.Database == "" && database != "" {
			endpoint = endpoint.WithDatabase(database)
		}
		endpoint.AdoptPeer(ctx)
		if endpoint.Peer != nil {
			r.detail(fmt.Sprintf("%s: connecting as the operating system's user %s, for peer authentication", side, endpoint.Config.User))
		}
		r.detail(side + ": " + endpoint.Name)
		return place{Endpoint: endpoint}, nil
	}
	engine, err := r.docker(ctx)
	if err != nil {
		return place{}, err
	}
	server, err := engine.Resolve(ctx, *ref.selector)
	if err != nil {
		return place{}, err
	}
	r.servers = append(r.servers, server)
	switch {
	case ref.selector.Database != "":
		database = ref.selector.Database
	case database == "":
		database = server.Database
	}
	if database == "" && r.anyDatabase {
		database = server.ConnConfig("").Database
	}
	if database == "" {
		return place{}, usage(r.cmd, fmt.Errorf("%s: container %q names no database; write docker://%s/DBNAME", side, server.Name, server.Name))
	}
	r.detail(fmt.Sprintf("%s: container %s (%s, PostgreSQL %s), %s, as %s",
		side, server.Name, server.Image, server.Version, viaText(server), server.User))
	endpoint := &conninfo.Endpoint{
		Name:   "docker://" + server.Name + "/" + database,
		Config: server.ConnConfig(database),
		Image:  server.Image,
		Via:    viaText(server),
	}
	if side == "source" && server.NeedsRelay() { // for pg_dump
		relay, err := server.Relay()
		if err != nil {
			return place{}, err
		}
		r.relays = append(r.relays, relay)
		endpoint.Client = &conninfo.ClientAddress{Host: relay.Dir, Port: relay.Port}
	}
	if r.wire != nil {
		if err := r.compress(ctx, endpoint, server); err != nil {
			return place{}, err
		}
	}
	return place{Endpoint: endpoint, server: server}, nil
}

// compress makes rows travel compressed where that is asked for, or pays.
func (r *resolver) compress(ctx context.Context, endpoint *conninfo.Endpoint, server *containerpg.Server) error {
	wire, reason, err := r.engine.Wire(ctx, server, *r.wire)
	if err != nil {
		return err
	}
	if reason != "" {
		r.reporter.Report(progress.Notice{Text: reason})
	}
	if wire != nil {
		endpoint.Wire = wire
		endpoint.Via += ", rows by " + wire.String()
	}
	return nil
}

// viaText says how a server is reached.
func viaText(s *containerpg.Server) string {
	if s.Path == containerpg.ViaExec {
		return s.Via
	}
	return s.Via + ", " + s.Address
}

// resources are what the target has for itself; nothing is known of one that is in
// no container.
func (r *resolver) resources(ctx context.Context, to place) restore.Resources {
	if to.server == nil {
		return restore.Resources{}
	}
	has, err := r.engine.Resources(ctx, to.server)
	if err != nil {
		r.detail(fmt.Sprintf("target: %v", err))
		return restore.Resources{}
	}
	r.detail(fmt.Sprintf("target: %d CPUs, %s of memory", has.CPUs, human.Bytes(has.Memory)))
	return restore.Resources{CPUs: has.CPUs, Memory: has.Memory}
}

// detail says something that only --verbose asks for.
func (r *resolver) detail(text string) {
	if r.c.verbose {
		r.reporter.Report(progress.Notice{Text: text})
	}
}
