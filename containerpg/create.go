package containerpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/go-connections/nat"
)

// A CreateSpec is a container with a server that is to be made.
type CreateSpec struct {
	Name    string
	Image   string
	Publish string // [ADDRESS:]PORT of the engine's machine; empty publishes nothing
	Volume  string // the name of a volume for the data; empty makes an anonymous one
	Network string // the network to join; empty is the engine's own choice
	// PasswordFile is where the password of the superuser is written, which nobody
	// is shown. It must not exist.
	PasswordFile string
}

// A Created is a container that was made, or found to be there already.
type Created struct {
	ID   string
	Name string
	// Ours says that it was made just now, so that Remove removes it.
	Ours bool

	at     time.Time // when it was made by Create, by the engine's clock
	remove func(ctx context.Context) error
}

// Older says that a server's cluster was there before the container that was made for it, in a volume: its passwords are
// those that it had. The identifier of a cluster begins with the second it was made in.
func (c *Created) Older(s *Server) bool {
	id, err := strconv.ParseUint(s.SystemIdentifier, 10, 64)
	return err == nil && s.ID == c.ID && !c.at.IsZero() && int64(id>>32) < c.at.Unix()
}

// Remove removes the container with its data, if it was made by this program.
func (c *Created) Remove(ctx context.Context) error {
	if !c.Ours {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	return c.remove(ctx)
}

const (
	removeTimeout = time.Minute
	volumeTimeout = 10 * time.Second
)

// shmSize is what parallel queries of a server of its own may use; it takes up
// memory only when it is used.
const shmSize = 1 << 30

// Create makes a container with a Postgres server and starts it. The server need
// not be up yet: [Engine.Resolve] waits for it.
func (e *Engine) Create(ctx context.Context, spec CreateSpec) (_ *Created, err error) {
	if spec.Name == "" || spec.Image == "" {
		return nil, errors.New("create container: give a name and an image, such as postgres:17")
	}
	ports, err := parsePublish(spec.Publish)
	if err != nil {
		return nil, err
	}
	image, err := e.inspectImage(ctx, spec.Image)
	if err != nil {
		return nil, err
	}
	var folders []string
	if image.Config != nil {
		folders = slices.Sorted(maps.Keys(image.Config.Volumes))
	}
	if spec.Volume != "" && len(folders) != 1 {
		return nil, fmt.Errorf("image %q does not say which folder a volume is for; leave out --volume", spec.Image)
	}
	if _, err := e.inspect(ctx, spec.Name); err == nil {
		return nil, fmt.Errorf("container %q is there already; leave out --create-container and give --to docker://%s", spec.Name, spec.Name)
	} else if !errdefs.IsNotFound(err) {
		return nil, err
	}
	password := rand.Text()
	if err := writePassword(spec.PasswordFile, password); err != nil {
		return nil, err
	}
	made := &Created{Name: spec.Name, Ours: true}
	newVolume := false
	made.remove = func(ctx context.Context) error {
		var errs []error
		if made.ID != "" {
			errs = append(errs, e.remove(ctx, made.ID))
		}
		if newVolume {
			errs = append(errs, e.removeVolume(ctx, spec.Volume))
		}
		return errors.Join(append(errs, os.Remove(spec.PasswordFile))...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, made.Remove(ctx))
		}
	}()
	host := &container.HostConfig{
		PortBindings:  ports,
		NetworkMode:   container.NetworkMode(spec.Network),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		ShmSize:       shmSize,
	}
	if spec.Volume != "" {
		known, err := e.volumes(ctx)
		if err != nil {
			return nil, err
		}
		newVolume = !known[spec.Volume]
		host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: spec.Volume, Target: folders[0]}}
	}
	config := &container.Config{
		Image: spec.Image,
		Env:   []string{"POSTGRES_PASSWORD=" + password},
		// Over TCP, where the server that makes the cluster ready does not listen.
		Healthcheck: &container.HealthConfig{
			Test:     []string{"CMD", "pg_isready", "--host=127.0.0.1", "--username=postgres", "--quiet"},
			Interval: 10 * time.Second, Timeout: 5 * time.Second, Retries: 5, StartPeriod: time.Minute,
		},
		ExposedPorts: nat.PortSet{serverPort: {}},
	}
	if made.ID, err = e.create(ctx, spec.Name, config, host); err != nil {
		return nil, fmt.Errorf("create container %q: %w", spec.Name, err)
	}
	if err := e.docker.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		return nil, fmt.Errorf("start container %q: %w", spec.Name, err)
	}
	b, err := e.inspect(ctx, made.ID)
	if err != nil {
		return nil, err
	}
	if made.at, err = time.Parse(time.RFC3339Nano, b.info.Created); err != nil {
		return nil, fmt.Errorf("when container %q was made: %w", spec.Name, err)
	}
	if spec.Publish != "" && b.running() && len(b.published()) == 0 {
		return nil, fmt.Errorf("container %q: the engine publishes no port on network %q, as on one that is internal; leave out --publish or --network", spec.Name, spec.Network)
	}
	return made, nil
}

const serverPort nat.Port = "5432/tcp"

// parsePublish reads [ADDRESS:]PORT.
func parsePublish(s string) (nat.PortMap, error) {
	if s == "" {
		return nil, nil
	}
	host, port := "", s
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || host != "" && net.ParseIP(host) == nil {
		return nil, errors.New("--publish: want [ADDRESS:]PORT, such as 127.0.0.1:54320")
	}
	return nat.PortMap{serverPort: {{HostIP: host, HostPort: port}}}, nil
}

// writePassword writes a file that is for this user's eyes only.
func writePassword(path, password string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the password file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("password file %s is there already; move it away, or give another --password-file", path)
	}
	if err != nil {
		return fmt.Errorf("write the password: %w", err)
	}
	_, err = f.WriteString(password + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the password: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// removeVolume removes a volume, which a container that is just going may still hold: the
// engine forgets the container first.
func (e *Engine) removeVolume(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, volumeTimeout)
	defer cancel()
	for {
		err := e.docker.VolumeRemove(ctx, name, false)
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		if !errdefs.IsConflict(err) || pause(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("remove volume %q: %w; docker volume rm %s", name, err, name)
		}
	}
}

// volumes are the names of those there are.
func (e *Engine) volumes(ctx context.Context) (map[string]bool, error) {
	list, err := e.docker.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	names := map[string]bool{}
	for _, v := range list.Volumes {
		names[v.Name] = true
	}
	return names, nil
}
