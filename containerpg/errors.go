package containerpg

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/pgberth/pgberth/internal/session"
)

// ErrNotFound is wrapped by every error that says that no container is the one
// asked for.
var ErrNotFound = errors.New("container not found")

// A NotFoundError says that no container matches a selector. It wraps [ErrNotFound].
type NotFoundError struct {
	Selector Selector
	Known    []string // the running Postgres containers, each described in a few words
	Project  bool     // the name is that of a Compose project
}

func (e *NotFoundError) Error() string {
	var msg string
	if e.Selector.Name == "" && e.Selector.Port == 0 {
		msg = "no Postgres container is running" + e.inProject()
	} else {
		msg = "no container " + e.Selector.what() + e.inProject()
	}
	if e.Project {
		msg += fmt.Sprintf("; %q is a Compose project: name a service of it, docker://SERVICE with --project %[1]s", e.Selector.Name)
	}
	if len(e.Known) > 0 {
		return msg + "; running Postgres containers: " + strings.Join(e.Known, ", ")
	}
	return msg + "; docker ps -a shows what there is"
}

func (e *NotFoundError) inProject() string {
	if e.Selector.Project == "" {
		return ""
	}
	return fmt.Sprintf(" in Compose project %q", e.Selector.Project)
}

func (e *NotFoundError) Unwrap() error { return ErrNotFound }

// An AmbiguousError says that several containers match a selector.
type AmbiguousError struct {
	Selector Selector
	Matches  []string // each described in a few words
}

func (e *AmbiguousError) Error() string {
	what := "running Postgres containers"
	if e.Selector.Name != "" || e.Selector.Port != 0 {
		what = "containers " + e.Selector.what()
	}
	remedy := "name one of them as docker://NAME"
	if e.Selector.Name != "" && e.Selector.Project == "" {
		remedy += ", or its Compose project with --project"
	}
	return fmt.Sprintf("%d %s; %s: %s", len(e.Matches), what, remedy, strings.Join(e.Matches, ", "))
}

// A StoppedError says that a container is not running.
type StoppedError struct {
	Name      string
	State     string // docker's word: exited, created, paused, restarting, dead
	ExitCode  int
	OOMKilled bool
}

func (e *StoppedError) Error() string {
	switch e.State {
	case "paused":
		return fmt.Sprintf("container %q is paused; docker unpause %s", e.Name, e.Name)
	case "created":
		return fmt.Sprintf("container %q was never started; docker start %s", e.Name, e.Name)
	case "restarting":
		return fmt.Sprintf("container %q keeps stopping and is being restarted (exit %d); docker logs %s says why", e.Name, e.ExitCode, e.Name)
	}
	why := fmt.Sprint(e.ExitCode)
	if e.OOMKilled {
		why += ", OOM-killed"
	}
	return fmt.Sprintf("container %q is %s (%s); docker start %s", e.Name, e.State, why, e.Name)
}

// A NotPostgresError says that a container does not run a Postgres server.
type NotPostgresError struct {
	Name    string
	Command string // what it runs
}

func (e *NotPostgresError) Error() string {
	return fmt.Sprintf("container %q runs %q, not a Postgres server", e.Name, e.Command)
}

// A StartError says that a server did not come up.
type StartError struct {
	Name  string
	State string // what became of it, such as "exited (1)" or "still starting after 1m0s"
	Log   string // the last lines the container wrote
}

// stillStarting is the state of a server that is not waited for.
const stillStarting = "still starting"

func (e *StartError) Error() string {
	if e.State == stillStarting {
		return fmt.Sprintf("the server in container %q is still starting, or stops again and again; try again in a moment, or see docker logs %s", e.Name, e.Name)
	}
	msg := fmt.Sprintf("the server in container %q did not come up: %s", e.Name, e.State)
	if e.Log == "" {
		return msg + fmt.Sprintf("; docker logs %s may say why", e.Name)
	}
	return msg + "; it last wrote:\n" + indent(e.Log)
}

// An UnreachableError says that a running server answers on no address that can
// be used from here.
type UnreachableError struct {
	Name   string
	Via    Via      // the only way there was to be, if one was named
	Tried  []string // address, how it was come by, and what went wrong
	Remedy string
}

func (e *UnreachableError) Error() string {
	msg := fmt.Sprintf("the server in container %q cannot be reached", e.Name)
	switch {
	case len(e.Tried) > 0:
		msg += ": " + strings.Join(e.Tried, "; ")
	case e.Via != "":
		msg += fmt.Sprintf(": there is no way of the kind --via %s", e.Via)
	default:
		msg += ": it publishes no port and has no address of its own"
	}
	return msg + "; " + e.Remedy
}

// An AuthError says that a server answered and accepted none of the known
// credentials.
type AuthError struct {
	Name   string
	User   string
	Tried  []string // where the passwords came from that were tried; never the passwords
	Unread []string // where others should have come from, and why they did not
	Err    error    // the server's last word
}

func (e *AuthError) Error() string {
	msg := fmt.Sprintf("container %q: %v", e.Name, e.Err)
	if len(e.Tried) > 0 {
		msg += fmt.Sprintf(" (tried %s)", strings.Join(e.Tried, ", "))
	}
	if len(e.Unread) > 0 {
		msg += fmt.Sprintf(" (could not read %s)", strings.Join(e.Unread, ", "))
	}
	switch {
	case len(e.Tried) == 0:
		return msg + "; no password is known: set PGPASSWORD or ~/.pgpass, and give the user as docker://USER@" + e.Name
	case session.HasCode(e.Err, invalidPassword):
		return msg + "; POSTGRES_PASSWORD is only used at a container's first start: give docker://USER@" + e.Name + " and PGPASSWORD or ~/.pgpass"
	}
	return msg + "; give another user as docker://USER@" + e.Name
}

func (e *AuthError) Unwrap() error { return e.Err }

// An EngineError says that no docker engine answered.
type EngineError struct {
	Skipped []string
	Tried   []EndpointAttempt
}

// An EndpointAttempt is an engine that did not answer.
type EndpointAttempt struct {
	Host   string
	Source string // who named it
	Err    error
}

func (e *EngineError) Error() string {
	tried := append([]string(nil), e.Skipped...)
	remedy := "start docker, or name the engine in DOCKER_HOST"
	for _, a := range e.Tried {
		why := attemptReason(a)
		if strings.HasPrefix(a.Host, "ssh://") {
			remedy = "see that ssh reaches it without a question asked, as in: ssh HOST docker version"
		} else if isTLS(a.Err) {
			remedy = "see that ca.pem, cert.pem and key.pem, of the docker context or in DOCKER_CERT_PATH with DOCKER_TLS_VERIFY=1, are those that the engine wants"
		} else if errors.Is(a.Err, fs.ErrPermission) {
			remedy = "join the group that owns the socket (usually docker), or use sudo"
		}
		tried = append(tried, fmt.Sprintf("%s (%s)", strings.TrimPrefix(a.Host, "unix://"), why))
	}
	if len(e.Skipped) == 0 && len(e.Tried) == 1 {
		a := e.Tried[0]
		return fmt.Sprintf("no docker engine answered at %s (from %s): %s; %s", a.Host, a.Source, attemptReason(a), remedy)
	}
	return "no docker engine answered; tried " + strings.Join(tried, ", ") + "; " + remedy
}

// isTLS says that two sides could not agree on who they are. To a client that does not know of it an engine behind TLS says so in words.
func isTLS(err error) bool {
	alert, heard := errors.AsType[*net.OpError](err)
	_, unknown := errors.AsType[*tls.CertificateVerificationError](err)
	return heard && alert.Op == "remote error" || unknown || strings.Contains(err.Error(), "HTTP request to an HTTPS server")
}

func attemptReason(a EndpointAttempt) string {
	var ssh *SSHError
	switch {
	case errors.As(a.Err, &ssh): // without the client's words around it
		return ssh.Error()
	case errors.Is(a.Err, fs.ErrNotExist):
		return "no such file"
	case errors.Is(a.Err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(a.Err, syscall.ECONNREFUSED):
		return "connection refused"
	}
	return a.Err.Error()
}

func (e *EngineError) Unwrap() []error {
	var errs []error
	for _, a := range e.Tried {
		errs = append(errs, a.Err)
	}
	return errs
}

// An ExitError says that a command in a side container ended with a status
// other than 0.
type ExitError struct {
	Command string // the program, without its arguments
	Image   string
	Code    int
	Stderr  string // the end of what it wrote to its standard error
}

func (e *ExitError) Error() string {
	msg := fmt.Sprintf("%s in a container of %s exited with status %d", e.Command, e.Image, e.Code)
	if text := strings.TrimSpace(e.Stderr); text != "" {
		return msg + ":\n" + indent(text)
	}
	return msg
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}
