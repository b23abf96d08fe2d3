package containerpg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// A visit is an attempt to reach the server in one container.
type visit struct {
	e        *Engine
	sel      Selector
	known    *login // the only one to try; nil: all that can be found
	box      box
	commands []string // command lines of the processes inside
	accounts []account
	unread   []string // settings that could not be read, and why
}

// once tries every address with every login.
func (v *visit) once(ctx context.Context) (*Server, error) {
	commands, told := v.e.processes(ctx, v.box)
	doing := v.box.activity(commands)
	if told && doing == elsewhere {
		return nil, v.notPostgres(ctx)
	}
	v.commands = commands
	if v.e.Measure && v.e.IsRemote() {
		v.e.probeEarly(v.box.id)
	}
	// An entrypoint that is still at work may yet run something else, and may look
	// at the postmaster.pid of a server that was killed.
	preparing := told && (doing == starting || doing == undecided)
	master, read := v.e.readPostmaster(ctx, v.box, commands)
	master.settled = told && doing == serving && !entrypointAtWork(commands)
	if read && !preparing && !master.listening() {
		return nil, errNotYet{tried: []string{"its postmaster.pid says that it takes no connections"}}
	}
	if !read || preparing {
		master = postmaster{port: v.box.serverPort(), socketDir: usualSocketDir}
	}
	addresses, err := v.e.addresses(ctx, v.box, master, !preparing)
	if err != nil {
		return nil, err
	}
	logins, err := v.logins(ctx, addresses)
	if err != nil {
		return nil, err
	}

	var refused error
	var tried []string
	again := preparing
	for _, a := range addresses {
		s, err := v.tryAddress(ctx, a, logins, master)
		if err == nil {
			v.tell(s, refused)
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, wait := errors.AsType[errNotYet](err); wait {
			return nil, err
		}
		switch classify(err) {
		case refusedUser, refusedDB:
			refused = err
		case failed:
			return nil, fmt.Errorf("container %q: %w", v.box.name, err)
		case starts:
			return nil, errNotYet{tried: []string{reason(err)}}
		case notYet:
			again = true
		}
		tried = append(tried, fmt.Sprintf("%s (%s): %s", a.where(), a.via, reason(err)))
	}
	if refused != nil {
		return nil, v.denied(refused, logins)
	}
	return nil, v.unanswered(ctx, master, tried, again)
}

// tell says of a server that was reached what its user may want to know.
func (v *visit) tell(s *Server, refused error) {
	if refused != nil && s.Path != ViaBridge && s.Path != ViaPort {
		v.e.notice(fmt.Sprintf("container %q: from outside: %s; let in through the container's own socket", s.Name, reason(refused)))
	}
	if said, unhealthy := v.box.unhealthy(); unhealthy && v.e.Reporter != nil {
		v.e.Reporter.Report(progress.Warning{
			Object: "container " + s.Name, Text: "its server answers, but its health check fails" + said,
			Remedy: "docker inspect " + s.Name + " shows the check",
		})
	}
}

// usualSocketDir is where images keep the socket.
const usualSocketDir = "/var/run/postgresql"

// unanswered is the error for a server that answered nowhere. If that may change,
// again, it is an errNotYet.
func (v *visit) unanswered(ctx context.Context, master postmaster, tried []string, again bool) error {
	if again && !master.listening() {
		return errNotYet{tried: tried}
	}
	unreachable := &UnreachableError{
		Name: v.box.name, Via: v.e.Via, Tried: tried,
		Remedy: fmt.Sprintf("publish its port, such as 127.0.0.1:54320:%d, or run pgberth where the container's network is reached", master.port),
	}
	switch {
	case v.e.Via != "":
		unreachable.Remedy = "no other way was tried; leave out --via, or give another"
	case again && master.onlyLoopback():
		unreachable.Remedy = "it listens inside its container only; start it with listen_addresses = '*'"
	}
	if !again {
		// A container that stops takes its address with it.
		started := v.box.startedAt()
		if err := v.refresh(ctx); err != nil {
			return err
		}
		if v.box.startedAt() != started {
			return errNotYet{tried: tried}
		}
		return unreachable
	}
	return errNotYet{tried: tried, unreachable: unreachable}
}

// tryAddress tries every login at one address.
func (v *visit) tryAddress(ctx context.Context, a address, logins []login, master postmaster) (*Server, error) {
	var last error
	for _, l := range logins {
		conn, config, used, err := v.tryLogin(ctx, a, l, master)
		if err == nil {
			s, err := v.introduce(ctx, conn, config, used, l, master)
			session.HangUp(ctx, conn)
			return s, err
		}
		last = err
		if classify(err) != refusedUser && classify(err) != refusedDB {
			break
		}
	}
	return nil, last
}

// tryLogin tries one login with each database that may be there: a server always
// has one of them, unless it was taken away. Where the server asks who the
// tunnel's process is, it is the user of that name.
func (v *visit) tryLogin(ctx context.Context, a address, l login, master postmaster) (conn *pgx.Conn, config *pgx.ConnConfig, used address, err error) {
	databases := []string{"postgres"}
	for _, account := range v.accounts {
		databases = append(databases, account.database)
	}
	databases = append(databases, v.sel.Database, l.user, "template1")
	var first error
	for i, database := range databases {
		if database == "" || slices.Contains(databases[:i], database) {
			continue
		}
		conn, config, err = v.login(ctx, a, l, database, master)
		if a.kind == ViaExec && a.user == "" && wantsPeer(err) {
			a.user = l.user
			conn, config, err = v.login(ctx, a, l, database, master)
		}
		if err == nil {
			return conn, config, a, nil
		}
		if first == nil {
			first = err
		}
		if classify(err) != refusedDB {
			break
		}
	}
	if classify(err) == refusedDB {
		err = first
	}
	return nil, nil, a, err
}

// wantsPeer says that a server refused a login because of who the process at the
// other end of its socket is.
func wantsPeer(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == invalidAuthorization && strings.HasPrefix(refusal.Message, "Peer authentication failed")
}

// introduce makes the Server of a connection that was made, if it is to the
// server in this container and no other.
func (v *visit) introduce(ctx context.Context, conn *pgx.Conn, config *pgx.ConnConfig, a address, l login, master postmaster) (*Server, error) {
	s := v.box.server()
	if err := s.interrogate(ctx, conn); err != nil {
		return nil, err
	}
	if !a.isTCP() && !master.listening() {
		// Inside, the server that makes a cluster ready answers too.
		var listen string
		if err := conn.QueryRow(ctx, "show listen_addresses").Scan(&listen); err != nil {
			return nil, fmt.Errorf("ask where the server listens: %w", err)
		}
		if listen == "" {
			return nil, errNotYet{tried: []string{"only a server without listen_addresses answers, as while a cluster is made"}}
		}
	}
	cluster := master.cluster
	s.DataDir = master.dataDir
	if s.DataDir == "" {
		if dirs := v.box.dataDirs(v.commands); len(dirs) > 0 {
			s.DataDir = dirs[0]
			cluster = v.e.readFingerprint(ctx, v.box, s.DataDir)
		}
	}
	if !cluster.is(s.SystemIdentifier) {
		return nil, errOtherServer
	}
	if s.SystemIdentifier != "" {
		config.ValidateConnect = sameServer(s.Name, s.SystemIdentifier)
	}
	s.Path, s.Via, s.Address, s.User, s.conn = a.kind, a.via, a.where(), l.user, config
	if a.isTCP() {
		s.Host, s.Port = a.host, a.port
	}
	s.inside = insideAddress{host: master.loopback(), port: master.port, socketDir: master.socketDir, user: a.user}
	s.Database = v.sel.Database
	for _, account := range v.accounts {
		if s.Database == "" && account.user == s.User {
			s.Database = account.database
		}
	}
	return s, nil
}

// errOtherServer says that what answers at an address is not the server whose
// data directory the container has: a forwarded engine's 127.0.0.1 is not ours.
var errOtherServer = errors.New("another server answers there")
