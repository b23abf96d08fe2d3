package containerpg

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// Via is a kind of way to a server.
type Via string

// The ways to a server, the shortest wire first.
const (
	ViaSocket Via = "socket" // its unix socket
	ViaBridge Via = "bridge" // an address of its container
	ViaPort   Via = "port"   // a port it publishes
	ViaExec   Via = "exec"   // a process in its container
)

// An address is where a server may answer, and why there.
type address struct {
	kind Via
	via  string        // says it to the user, and tells it from the others of a container
	host string        // for TCP; for a socket in a mounted folder, the folder on this machine
	dir  string        // the socket's folder in the container
	port int           // also part of a socket's name
	user string        // of the container's, who runs the process of a tunnel; empty: the image's
	dial time.Duration // how long connecting may take
}

func (a address) isTCP() bool { return a.kind == ViaBridge || a.kind == ViaPort }

// where is the address as it is shown.
func (a address) where() string {
	switch {
	case a.isTCP():
		return net.JoinHostPort(a.host, strconv.Itoa(a.port))
	case a.kind == ViaSocket && a.host != "":
		return a.host
	case a.dir != "":
		return a.dir
	}
	return "127.0.0.1:" + strconv.Itoa(a.port)
}

// name is the host that a configuration, an error and a password file have.
func (a address) name(b box) string {
	if a.host != "" {
		return a.host
	}
	return b.name
}

const (
	// An address on a bridge answers at once or, from another machine, never.
	bridgeDial    = time.Second
	publishedDial = 5 * time.Second
)

// addresses lists the ways to the server in b that may work, the shortest wire
// first; of one kind only if that is asked for. Without a postmaster that is
// known to be up for good, its socket is not among them: behind that may be the
// server that makes a cluster ready and goes again.
func (e *Engine) addresses(ctx context.Context, b box, master postmaster, inside bool) ([]address, error) {
	networked, err := e.networkOwner(ctx, b.info)
	if err != nil {
		return nil, err
	}
	var list []address
	if inside && !e.IsRemote() {
		list = append(list, socketAddresses(b, master)...)
	}
	list = append(list, e.bridgeAddresses(networked, master.port)...)
	list = append(list, e.publishedAddresses(networked, master.port)...)
	if inside {
		list = append(list, address{kind: ViaExec, via: "docker exec", dir: master.socketDir, port: master.port, dial: tunnelDial})
	}
	if e.Via != "" {
		list = slices.DeleteFunc(list, func(a address) bool { return a.kind != e.Via })
	}
	return list, nil
}

// socketAddresses are those of a container of this machine: a folder of the
// host that is mounted into it and has the socket, and for root its own.
func socketAddresses(b box, master postmaster) []address {
	if b.info.State == nil || !onThisMachine(b.info.State.Pid, b.id) {
		return nil
	}
	var list []address
	name := fmt.Sprintf(".s.PGSQL.%d", master.port)
	for _, m := range b.info.Mounts {
		if m.Type != mount.TypeBind && m.Type != mount.TypeVolume || m.Source == "" {
			continue
		}
		dirs := []string{m.Source}
		if rest, ok := strings.CutPrefix(master.socketDir, path.Clean(m.Destination)+"/"); ok {
			dirs = append(dirs, filepath.Join(m.Source, rest))
		}
		for _, dir := range dirs {
			if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.Mode().Type() == os.ModeSocket {
				list = append(list, address{kind: ViaSocket, via: "socket in a mounted folder", host: dir, dir: master.socketDir, port: master.port, dial: bridgeDial})
			}
		}
	}
	if os.Geteuid() == 0 && strings.HasPrefix(master.socketDir, "/") {
		list = append(list, address{kind: ViaSocket, via: "its own socket", dir: master.socketDir, port: master.port, dial: bridgeDial})
	}
	return list
}

// bridgeAddresses are the container's own: they save a proxy that copies every
// byte once more.
func (e *Engine) bridgeAddresses(networked container.InspectResponse, port int) []address {
	if isHostNetwork(networked) {
		host := e.localhost()
		if e.IsRemote() && e.Via != ViaBridge {
			return nil
		}
		return []address{{kind: ViaBridge, host: host, port: port, via: "host network", dial: publishedDial}}
	}
	// The networks of another machine have the addresses of this one's: what
	// answers there is somebody else's, and would be shown a password.
	if e.IsRemote() && e.Via != ViaBridge || networked.NetworkSettings == nil {
		return nil
	}
	var list []address
	for _, name := range slices.Sorted(maps.Keys(networked.NetworkSettings.Networks)) {
		endpoint := networked.NetworkSettings.Networks[name]
		if endpoint == nil {
			continue
		}
		if endpoint.IPAddress != "" {
			list = append(list, address{kind: ViaBridge, host: endpoint.IPAddress, port: port, via: "address on network " + name, dial: bridgeDial})
		}
		if endpoint.GlobalIPv6Address != "" {
			list = append(list, address{kind: ViaBridge, host: endpoint.GlobalIPv6Address, port: port, via: "IPv6 address on network " + name, dial: bridgeDial})
		}
	}
	return list
}

func (e *Engine) publishedAddresses(networked container.InspectResponse, port int) []address {
	var list []address
	for _, p := range newBox(networked).published() {
		host := e.publishedHost(p.HostIP)
		if p.ContainerPort == port && host != "" {
			list = append(list, address{kind: ViaPort, host: host, port: p.HostPort, via: "published port", dial: publishedDial})
		}
	}
	return list
}

// dial connects to an address of the server in b.
func (e *Engine) dial(ctx context.Context, b box, a address) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: a.dial}
	switch {
	case a.isTCP():
		return dialer.DialContext(ctx, "tcp", net.JoinHostPort(a.host, strconv.Itoa(a.port)))
	case a.kind == ViaExec:
		return e.tunnel(ctx, b, a)
	}
	name := fmt.Sprintf(".s.PGSQL.%d", a.port)
	if a.host == "" {
		return dialInside(ctx, b.info.State.Pid, b.id, path.Join(a.dir, name))
	}
	return dialer.DialContext(ctx, "unix", filepath.Join(a.host, name))
}

// redial connects to the server of a container by the way that has worked, at
// the address it has now: one that was restarted has another, and its old one
// may be another container's.
func (e *Engine) redial(ctx context.Context, was box, a address, master postmaster) (net.Conn, error) {
	if a.kind == ViaExec { // the engine looks for the container itself, and what is inside does not move
		conn, err := e.tunnel(ctx, was, a)
		if err == nil {
			return conn, nil
		}
		if b, inspectErr := e.inspect(ctx, was.id); inspectErr == nil && !b.running() {
			return nil, b.stopped()
		}
		return nil, err
	}
	b, err := e.inspect(ctx, was.id)
	if err != nil {
		return nil, err
	}
	if !b.running() {
		return nil, b.stopped()
	}
	now, err := e.addresses(ctx, b, master, true)
	if err != nil {
		return nil, err
	}
	var found *address
	for _, candidate := range now {
		if candidate.kind == a.kind && candidate.via == a.via && (found == nil || candidate.host == a.host) {
			found = &candidate
		}
	}
	if found == nil {
		return nil, fmt.Errorf("container %q has no %s any more", b.name, a.via)
	}
	found.user = a.user
	return e.dial(ctx, b, *found)
}

// networkOwner follows containers that share another one's network, as those
// with network_mode "service:..." do.
func (e *Engine) networkOwner(ctx context.Context, info container.InspectResponse) (container.InspectResponse, error) {
	for range 8 {
		if info.HostConfig == nil || !info.HostConfig.NetworkMode.IsContainer() {
			break
		}
		owner, err := e.docker.ContainerInspect(ctx, info.HostConfig.NetworkMode.ConnectedContainer())
		if err != nil {
			return info, fmt.Errorf("inspect the container whose network %s uses: %w", strings.TrimPrefix(info.Name, "/"), err)
		}
		info = owner
	}
	return info, nil
}

func isHostNetwork(info container.InspectResponse) bool {
	return info.HostConfig != nil && info.HostConfig.NetworkMode.IsHost()
}

// IsRemote says that the engine is another machine's, by its own word.
func (e *Engine) IsRemote() bool { return e.localhost() != "127.0.0.1" }

// localhost is the engine's machine as seen from here.
func (e *Engine) localhost() string {
	engine, err := url.Parse(e.host)
	if err != nil || engine.Scheme == "unix" || engine.Hostname() == "" || engine.Hostname() == "localhost" {
		return "127.0.0.1"
	}
	if ip := net.ParseIP(engine.Hostname()); ip != nil && ip.IsLoopback() && engine.Scheme != "ssh" {
		return "127.0.0.1"
	}
	return engine.Hostname()
}

// publishedHost is where a port is found that is published on an address; empty
// if it is published only to the programs of another machine.
func (e *Engine) publishedHost(ip string) string {
	local := e.localhost()
	if published := net.ParseIP(ip); published != nil && !published.IsUnspecified() {
		if published.IsLoopback() && e.IsRemote() {
			return ""
		}
		return ip
	}
	if ip == "::" && local == "127.0.0.1" {
		return "::1"
	}
	return local
}

// serverPort is the port the server in b is likely to use inside its container,
// for when its postmaster.pid cannot be read.
func (b box) serverPort() int {
	for i, word := range b.command {
		if i+1 < len(b.command) && word == "-p" {
			if port, err := strconv.Atoi(b.command[i+1]); err == nil {
				return port
			}
		}
		if value, ok := strings.CutPrefix(word, "port="); ok {
			if port, err := strconv.Atoi(value); err == nil {
				return port
			}
		}
	}
	for _, name := range []string{"PGPORT", "POSTGRESQL_PORT_NUMBER"} {
		if port, err := strconv.Atoi(b.env[name]); err == nil {
			return port
		}
	}
	if len(b.exposed) == 1 {
		return b.exposed[0]
	}
	return 5432
}
