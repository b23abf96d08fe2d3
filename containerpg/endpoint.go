package containerpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/client"
	"github.com/docker/go-connections/tlsconfig"
)

// An endpoint is where a docker engine may listen.
type endpoint struct {
	host   string
	source string
	opts   []client.Opt
}

// Options say which docker engine is meant. The zero value leaves it to docker's
// own settings.
type Options struct {
	Host    string // such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST
	Context string // the name of a docker context; Host wins
}

type foundEndpoints struct {
	list    []endpoint
	skipped []string // settings looked at that named nothing
}

// How long an engine may take to answer at all; by ssh a connection comes first.
const (
	pingTimeout    = 10 * time.Second
	sshPingTimeout = 45 * time.Second
)

// endpoints lists the engines to try, in docker's own order of precedence. An
// engine that was named is the only one tried.
func endpoints(opts Options) (foundEndpoints, error) {
	if opts.Host != "" {
		return foundEndpoints{list: []endpoint{{host: opts.Host, source: "--docker-host", opts: []client.Opt{client.WithTLSClientConfigFromEnv()}}}}, nil
	}
	if opts.Context != "" {
		return contextEndpoints(opts.Context, "--docker-context")
	}
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return foundEndpoints{list: []endpoint{{host: host, source: "DOCKER_HOST", opts: []client.Opt{client.FromEnv}}}}, nil
	}
	name, source, err := currentContext()
	if err != nil {
		return foundEndpoints{}, err
	}
	return contextEndpoints(name, source)
}

// contextEndpoints lists the engines to try for a docker context. The default
// one is whichever well-known socket answers.
func contextEndpoints(name, source string) (foundEndpoints, error) {
	if name != "" && name != "default" {
		ep, err := contextEndpoint(name, source)
		if err != nil {
			return foundEndpoints{}, err
		}
		return foundEndpoints{list: []endpoint{ep}}, nil
	}
	found := foundEndpoints{skipped: []string{"DOCKER_HOST (unset)", `docker context "default"`}}
	for _, path := range wellKnownSockets() {
		found.list = append(found.list, endpoint{host: "unix://" + path, source: "well-known socket"})
	}
	return found, nil
}

// connect answers a client whose engine has answered, and for one by ssh the dialer,
// which is to be closed after the client.
func (ep endpoint) connect(ctx context.Context) (cli *client.Client, ssh *sshDialer, err error) {
	opts := append(ep.opts, client.WithHost(ep.host))
	timeout, explain := pingTimeout, func(err error) error { return err }
	if strings.HasPrefix(ep.host, "ssh://") {
		ssh, err = newSSHDialer(ep.host)
		if err != nil {
			return nil, nil, err
		}
		timeout, explain = sshPingTimeout, ssh.lastFailure
		// The name is never looked up: every connection is an ssh.
		opts = []client.Opt{client.WithHost("http://docker.invalid"), client.WithDialContext(ssh.dial)}
	}
	if path, ok := strings.CutPrefix(ep.host, "unix://"); ok {
		// The client's own error does not say what is wrong with the socket.
		conn, err := (&net.Dialer{Timeout: pingTimeout}).DialContext(ctx, "unix", path)
		if err != nil {
			return nil, nil, err
		}
		if err := conn.Close(); err != nil {
			return nil, nil, err
		}
	}
	cli, err = client.NewClientWithOpts(append(opts, client.WithVersionFromEnv(), client.WithAPIVersionNegotiation())...)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ping, err := cli.Ping(ctx)
	if err != nil {
		err = errors.Join(explain(err), cli.Close())
		ssh.close()
		return nil, nil, err
	}
	cli.NegotiateAPIVersionPing(ping)
	return cli, ssh, nil
}

// wellKnownSockets lists where engines listen that set neither DOCKER_HOST nor a
// docker context.
func wellKnownSockets() []string {
	sockets := []string{"/var/run/docker.sock"}
	home, err := os.UserHomeDir()
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	if runtime != "" {
		sockets = append(sockets, filepath.Join(runtime, "docker.sock"))
	}
	if err == nil {
		for _, path := range []string{
			".docker/run/docker.sock", ".orbstack/run/docker.sock", ".colima/default/docker.sock",
			".config/colima/default/docker.sock", ".rd/docker.sock", ".lima/docker/sock/docker.sock",
		} {
			sockets = append(sockets, filepath.Join(home, path))
		}
	}
	if runtime != "" {
		sockets = append(sockets, filepath.Join(runtime, "podman/podman.sock"))
	}
	return append(sockets, "/run/podman/podman.sock")
}

// configDir is where docker's command line keeps its configuration; empty if
// there is no home directory.
func configDir() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}

// currentContext answers the docker context in use and who names it.
func currentContext() (name, source string, err error) {
	if name := os.Getenv("DOCKER_CONTEXT"); name != "" {
		return name, "DOCKER_CONTEXT", nil
	}
	if configDir() == "" {
		return "", "", nil
	}
	path := filepath.Join(configDir(), "config.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("read docker configuration: %w", err)
	}
	var config struct{ CurrentContext string }
	if err := json.Unmarshal(data, &config); err != nil {
		return "", "", fmt.Errorf("read docker configuration %s: %w", path, err)
	}
	return config.CurrentContext, path, nil
}

// contextEndpoint reads the engine of a docker context from docker's context store.
func contextEndpoint(name, source string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	store := filepath.Join(configDir(), "contexts")
	data, err := os.ReadFile(filepath.Join(store, "meta", id, "meta.json"))
	if errors.Is(err, os.ErrNotExist) {
		return endpoint{}, fmt.Errorf("docker context %q (from %s) does not exist; known: %s",
			name, source, strings.Join(knownContexts(store), ", "))
	}
	if err != nil {
		return endpoint{}, fmt.Errorf("read docker context %q: %w", name, err)
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		return endpoint{}, fmt.Errorf("read docker context %q: %w", name, err)
	}
	engine := meta.Endpoints["docker"]
	if engine.Host == "" {
		return endpoint{}, fmt.Errorf("docker context %q (from %s) names no docker engine", name, source)
	}
	ep := endpoint{host: engine.Host, source: fmt.Sprintf("docker context %q from %s", name, source)}
	tls := filepath.Join(store, "tls", id, "docker")
	if _, err := os.Stat(tls); err == nil || engine.SkipTLSVerify {
		ep.opts = append(ep.opts, withTLS(tls, engine.SkipTLSVerify))
	}
	return ep, nil
}

// withTLS makes the client use whichever of ca, cert and key a context has.
func withTLS(dir string, skipVerify bool) client.Opt {
	present := func(name string) string {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			return ""
		}
		return path
	}
	return func(c *client.Client) error {
		config, err := tlsconfig.Client(tlsconfig.Options{
			CAFile: present("ca.pem"), CertFile: present("cert.pem"), KeyFile: present("key.pem"),
			InsecureSkipVerify: skipVerify, ExclusiveRootPools: true,
		})
		if err != nil {
			return fmt.Errorf("load TLS files of docker context: %w", err)
		}
		return client.WithHTTPClient(&http.Client{
			Transport:     &http.Transport{TLSClientConfig: config},
			CheckRedirect: client.CheckRedirect,
		})(c)
	}
}

func knownContexts(store string) []string {
	names := []string{"default"}
	files, err := filepath.Glob(filepath.Join(store, "meta", "*", "meta.json"))
	if err != nil {
		return names
	}
	for _, file := range files {
		var meta struct{ Name string }
		data, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(data, &meta) == nil && meta.Name != "" {
			names = append(names, meta.Name)
		}
	}
	slices.Sort(names[1:])
	return names
}
